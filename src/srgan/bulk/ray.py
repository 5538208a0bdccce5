"""The engine of a cluster: Ray Data runs the stages, each with processors or GPUs of its own.

Archives and pictures are read by tasks, enlarged by actors that load the network once, and written by tasks. Ray Data
holds back what would fill its object store, and does again what a process or a machine that died had in hand.
"""

import logging
import os
import pickle
import socket
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from srgan.bulk.manifest import Record, clean
from srgan.bulk.sources import Task, row_target
from srgan.bulk.stages import Making, Network, Reader, Work, Writer, expand
from srgan.errors import ArgumentError, BulkError, RuntimeMissingError, SrganError
from srgan.inference.jobs import Ending
from srgan.threads import processors

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
try:
    import ray
    import ray.data
    import ray.exceptions
except ImportError as missing:
    raise RuntimeMissingError(f"the engine ray is not installed ({missing}): pip install 'srgan[ray]'") from missing

PATIENCE = 10.0
"""Seconds that a cluster has to answer."""

OBJECT_STORE = 1_000_000_000
"""Bytes for what is between the stages, where a cluster is started here."""

BLOCK = 8_000_000
"""Bytes of pictures that go from stage to stage together."""

TOGETHER = 16
"""So many tasks are read together. What one that dies had is done again one by one, so that the others do not fail."""

RETRIES = 2
"""How often Ray does again what a process died with, which by itself it did for ever."""

_LARGEST = 1_500_000_000
_Row: TypeAlias = dict[str, bytes]


@dataclass
class RayEngine:
    """Where the cluster is, None to start one here; how many networks, by default as many as it has room for.

    threads  of each network on a CPU
    gpus     that the networks share
    """

    address: str | None
    workers: int | None
    threads: int = 1
    gpus: int | None = None

    def run(self, making: Making, tasks: list[Task]) -> Generator[Record, None, None]:
        """Yield a record for each picture. Raises SrganError where the cluster or the network cannot be had."""
        with _connected(self.address):
            flow = self._flow(making)
            for together in (TOGETHER, 1):
                told: set[str] = set()
                archives: dict[str, Record] = {}  # those that have been told of as a whole
                keys = {task.key for task in tasks if task.kind != "file"}
                for record in flow.run(tasks, together):
                    told.add(record.target)
                    if record.target in keys:
                        archives[record.target] = record
                    yield record
                tasks = [left for task in tasks if (left := _left(task, told, archives, making.ending)) is not None]
                if not tasks:
                    return
        for task in tasks:
            record = Record(task.source, task.key, "failed", settings=making.mark, version=task.version, stage="worker")
            record.error = "every process that had it died; is there too little memory?"
            yield record

    def _flow(self, making: Making) -> "_Flow":
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        cpus, gpus = (sum(node.get(kind, 0) for node in nodes) for kind in ("CPU", "GPU"))
        if self.gpus is not None and self.gpus > gpus:
            raise ArgumentError(f"--gpus {self.gpus} are more than the cluster has: {gpus:g}")
        workers = self.workers or self.gpus or max(1, int(cpus) // self.threads)
        store = min(node.get("object_store_memory", OBJECT_STORE) for node in nodes)
        return _Flow(
            making,
            workers,
            # half of the processors are promised to networks, which use them all but for what the other stages take
            network={"num_cpus": min(self.threads / 2, cpus / 2 / workers)}
            if self.gpus is None
            else {"num_cpus": 1, "num_gpus": self.gpus / workers},
            others={"num_cpus": 0.25 if self.gpus is None else 1},
            large=min(int(store) // 20, _LARGEST),
        )


@dataclass
class _Flow:
    making: Making
    workers: int
    network: dict[str, Any]
    others: dict[str, Any]
    large: int

    def run(self, tasks: list[Task], together: int) -> Iterator[Record]:
        read, write = _reading(self.making, self.large), _writing(self.making)
        blocks = sum(task.kind != "file" for task in tasks) + -(-len(tasks) // together)
        pictures = (
            ray.data.from_items([_packed(task) for task in tasks], override_num_blocks=min(blocks, len(tasks)))
            .flat_map(read, max_retries=RETRIES, **self.others)
            .map(
                _Enlarging,  # type: ignore[arg-type]
                fn_constructor_args=(self.making, self.large),
                compute=ray.data.ActorPoolStrategy(size=self.workers),
                max_task_retries=RETRIES,
                **self.network,
            )
            .map(write, max_retries=RETRIES, **self.others)
        )
        try:
            for row in pictures.iter_rows():
                found = pickle.loads(row["it"])
                if isinstance(found, SrganError):
                    raise found
                yield found
        except ray.exceptions.RayError as error:
            text = str(error).strip() or type(error).__name__
            raise BulkError(f"Ray cannot go on: {text.splitlines()[-1]}") from error


def _left(task: Task, told: set[str], archives: dict[str, Record], ending: Ending) -> Task | None:
    """Return what is left of a task when some results have been told of, None where that is all."""
    if task.kind == "file":
        return None if task.key in told else task
    whole = archives.get(task.key)
    if whole is not None and whole.status == "failed":
        return None
    settled = task.settled | {clean(target) for target in told if target.startswith(f"{task.target}/")}
    if task.kind == "rows" and all(clean(row_target(task, row, ending)) in settled for row in task.rows):
        return None
    if task.kind == "tar" and whole is not None and len(settled) >= whole.members:
        return None
    return replace(task, settled=settled)


def _packed(it: object) -> _Row:
    return {"it": pickle.dumps(it, protocol=5)}


def _reading(making: Making, large: int) -> Any:
    """Return the first stage: tasks to work, or, of pictures too large to go from process to process, to tasks."""
    reader = Reader(making)

    def read(row: _Row) -> Iterator[_Row]:
        for found in expand(pickle.loads(row["it"]), making):
            if isinstance(found, Record):
                yield _packed(found)
                continue
            work = reader(found)
            yield _packed(found if work.held > large else work)

    return read


class _Enlarging:
    """The second: an actor with a network. What is too large to go on is read and written here."""

    def __init__(self, making: Making, large: int) -> None:
        self._read, self._network, self._write = Reader(making), Network(making), Writer(making)
        self._large = large

    def __call__(self, row: _Row) -> _Row:
        found = pickle.loads(row["it"])
        if isinstance(found, Task):
            found = self._read(found)
        if not isinstance(found, Work):
            return row
        try:
            work = self._network(found)
        except SrganError as error:  # no picture's: the network cannot be loaded
            return _packed(error)
        return _packed(self._write(work) if work.held > self._large else work)


def _writing(making: Making) -> Any:
    """Return the third stage: work to records."""
    writer = Writer(making)

    def write(row: _Row) -> _Row:
        found = pickle.loads(row["it"])
        return _packed(writer(found)) if isinstance(found, Work) else row

    return write


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster, quietly; one that is started here ends with the block. Raises BulkError."""
    if address not in (None, "auto"):
        _reach(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        quiet |= {"num_cpus": processors(), "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        with _hushed():
            ray.init(address or "local", **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise BulkError(f"the Ray cluster at {address or 'this machine'} cannot be used: {text}") from error
    ray._private.worker._worker_logs_enabled = False  # of processes that died, whose work it does again
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = BLOCK
    context.max_errored_blocks = -1  # what they had is done again, see RayEngine.run
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")  # how often to retry has no other way
            warnings.filterwarnings("ignore", module=r"ray\.")
            yield
    finally:
        ray.shutdown()


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep Ray's core from saying, now, that it will say nothing, and then anything: errors are exceptions as well."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _reach(address: str | None) -> None:
    """Raise BulkError where nobody answers at HOST:PORT or ray://HOST:PORT."""
    parts = urlsplit(address if address is not None and "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise ArgumentError(f"--address {address}: HOST:PORT, ray://HOST:PORT or auto")
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError as error:
        reason = f"no answer in {PATIENCE:g} s" if isinstance(error, TimeoutError) else error.strerror or error
        raise BulkError(f"the Ray cluster at {address} cannot be reached: {reason}") from error
