"""The engine of one machine: processes that each read, enlarge and write, several pictures at once.

A worker is a process whose main thread runs the network, while threads beside it read the next pictures and
write the last results. It is given a few pictures at a time. One that dies, or is ended as it has told of none for
too long, is replaced, and what it had is done again one by one, the pictures of an archive too; one that a second
worker dies with has failed.
"""

import atexit
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import Empty, Queue
from typing import Any, TypeAlias

from srgan.bulk.manifest import Record, clean
from srgan.bulk.sources import Task
from srgan.bulk.stages import Making, Network, Reader, Work, Writer, expand
from srgan.errors import ArgumentError, BulkError, SrganError
from srgan.inference.pipeline import BYTES_IN_FLIGHT, PATIENCE, Pipeline
from srgan.threads import processors

LEAST_BESIDE = 2
"""Threads that read beside a network, and as many that write: one of each waits for a disk or a store, one works."""

STILLBORN = 10
"""So many workers may die, and none has made a result, before the run ends: it is not the pictures that they die of."""

SIGN_OF_LIFE = 0.1
"""Seconds after which a worker that reads on in an archive says so again."""

_LEAST_ROOM = 100_000_000


@dataclass
class LocalEngine:
    """How many workers, and the variables of the environment of each: which GPU it sees, say.

    A worker that has something in hand and tells of nothing for `timeout` seconds is ended.
    """

    workers: int
    environments: list[dict[str, str]] = field(default_factory=list)
    timeout: float | None = None

    def run(self, making: Making, tasks: list[Task]) -> Generator[Record, None, None]:
        """Yield a record for each picture as it is done with. Raises SrganError where no network can be loaded."""
        workers = min(self.workers, max(len(tasks), 1))
        beside = max(LEAST_BESIDE, processors() // self.workers)  # many, where a GPU does what the network costs
        crew = _Crew(making, workers, beside, self.environments, self.timeout)
        try:
            yield from crew.run(tasks)
        finally:
            crew.end()


@dataclass
class _Flight:
    """A task that a worker has.

    suspect   whether a worker died that had it: it is done alone, one picture after the other
    told      the results that the worker has told of
    expected  how many there are, where that is known
    at        the picture of a suspect that the worker is at
    """

    task: Task
    suspect: bool = False
    told: set[str] = field(default_factory=set)
    expected: int | None = None
    at: Task | None = None


class _Crew:
    def __init__(
        self,
        making: Making,
        workers: int,
        beside: int,
        environments: list[dict[str, str]],
        timeout: float | None,
    ) -> None:
        self._making, self._workers, self._beside, self._environments = making, workers, beside, environments
        self._timeout = timeout
        self._heard: dict[Connection, float] = {}  # when those that are there told of something, or were given it
        self._silent: set[Connection] = set()  # those that were ended for it
        self._crew: dict[Connection, tuple[BaseProcess, dict[int, _Flight], int]] = {}
        self._room = max(BYTES_IN_FLIGHT // workers, _LEAST_ROOM)
        self._number = 0
        self._suspects: deque[_Flight] = deque()
        self._deaths = 0
        self._works = False  # a worker has made a result

    def run(self, tasks: Iterable[Task]) -> Iterator[Record]:
        waiting = deque(_Flight(task) for task in tasks)
        for place in range(self._workers):
            self._hire(place)
        while waiting or self._suspects or any(flights for _, flights, _ in self._crew.values()):
            for line, (_, flights, _) in self._crew.items():
                self._give(line, flights, waiting)
            ready = connection.wait(list(self._crew), self._end_silent())
            for line in [line for line in self._crew if line in ready]:
                try:
                    told = line.recv()
                except (EOFError, OSError):
                    yield from self._bury(line)
                    continue
                yield from self._hear(line, told)

    def _give(self, line: Connection, flights: dict[int, _Flight], waiting: deque[_Flight]) -> None:
        """Give a worker what it has room for; what one died with alone, so that it is known what it dies of."""
        while len(flights) <= 2 * self._beside and not any(flight.suspect for flight in flights.values()):
            if self._suspects and not flights:
                flight = self._suspects.popleft()
            elif waiting:
                flight = waiting.popleft()
            else:
                return
            if not flights and line in self._heard:
                self._heard[line] = time.monotonic()
            self._number += 1
            flights[self._number] = flight
            with suppress(OSError):  # of one that has died, which is seen elsewhere
                line.send((self._number, flight.task, flight.suspect))

    def _hear(self, line: Connection, told: Any) -> Iterator[Record]:
        self._heard[line] = time.monotonic()
        if told is None:  # that it is there, or reads on in an archive
            return
        if isinstance(told, BaseException):
            raise told
        number, what = told
        flights = self._crew[line][1]
        flight = flights[number]
        if isinstance(what, Task):
            flight.at = what
        elif isinstance(what, Record):
            flight.told.add(what.target)
            flight.at = None
            self._works |= what.status in ("done", "remade")
            yield what
        else:
            flight.expected = what
        if flight.expected is not None and len(flight.told) >= flight.expected:
            del flights[number]

    def _end_silent(self) -> float | None:
        """End workers that have told of nothing for too long; return the seconds until the next one is due, if any."""
        if self._timeout is None:
            return None
        now, due = time.monotonic(), []
        for line, (process, flights, _) in self._crew.items():
            if not flights or line not in self._heard or line in self._silent:
                continue
            left = self._heard[line] + self._timeout - now
            if left > 0:
                due.append(left)
            else:
                process.kill()
                self._silent.add(line)
        return min(due, default=None)

    def _hire(self, place: int) -> None:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        environment = self._environments[place] if self._environments else {}
        arguments = (theirs, self._making, self._beside, self._room, environment)
        process = context.Process(target=_work, args=arguments, name=f"srgan-{place}", daemon=True)
        with _undisturbed(), _without_ctrl_c():
            process.start()
            theirs.close()
            self._crew[ours] = (process, {}, place)

    def _bury(self, line: Connection) -> Iterator[Record]:
        """Let others do what a worker that died had in hand."""
        process, flights, place = self._crew.pop(line)
        process.join()
        line.close()
        self._heard.pop(line, None)
        how = f"signal {-process.exitcode}" if process.exitcode and process.exitcode < 0 else "an error"
        hint = "; is there too little memory?"
        if line in self._silent:
            self._silent.remove(line)
            how, hint = f"the timeout of {self._timeout:g} s", ""
        else:
            self._deaths += 1
        if self._deaths >= STILLBORN and not self._works:
            raise BulkError(f"{STILLBORN} workers, one after the other, were ended by {how} before they did anything")
        for flight in flights.values():
            settled = flight.task.settled | set(map(clean, flight.told - {flight.task.key}))
            if flight.suspect:
                yield self._failed(flight.at or flight.task, how, hint)
                if flight.task.kind == "file" or flight.at is None:
                    continue
                settled |= {clean(flight.at.target)}
            self._suspects.append(_Flight(replace(flight.task, settled=settled), suspect=True))
        self._hire(place)

    def _failed(self, task: Task, how: str, hint: str) -> Record:
        """Return the record of a picture that a second worker died with, or of an archive that it died of reading."""
        record = Record(task.source, task.key, "failed", settings=self._making.mark, version=task.version)
        record.archive, record.stage = task.archive if task.kind == "file" else "", "worker"
        record.error = f"its process was ended by {how}, and so was the next{hint}"
        return record

    def end(self) -> None:
        """Let the workers go: at once those that have something in hand."""
        for line, (process, flights, _) in self._crew.items():
            if flights:
                process.terminate()
            with suppress(OSError):
                line.send(None)
            line.close()
        for process, _, _ in self._crew.values():
            process.join(2 * PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def gpu_environments(workers: int, gpus: int) -> list[dict[str, str]]:
    """Return the variables by which workers share GPUs: of those that this process sees. Raises ArgumentError."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(gpus)] if visible is None else visible.replace(" ", "").split(",")
    names = [name for name in names if name not in ("", "-1")]
    if len(names) < gpus:
        raise ArgumentError(f"--gpus {gpus} are more than CUDA_VISIBLE_DEVICES has: {visible!r}")
    return [{"CUDA_VISIBLE_DEVICES": names[number % gpus]} for number in range(workers)]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let this process hear of signals when the block ends: a worker started in it is told all that it is to do.

    To block them would not do, as other threads hear of them for the main one.
    """
    if threading.current_thread() is not threading.main_thread():  # where none is raised
        yield
        return
    heard: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in heard:
            signal.raise_signal(number)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Let processes that are started in the block not hear of Ctrl-C, in the second until they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would let the signal through when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_Job: TypeAlias = tuple[int, Task, threading.Event]
_Doing: TypeAlias = tuple[int, Work, threading.Event]


class _Ended(BaseException):
    """A worker is to end."""


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is being written has its time, however often it is told
    raise _Ended


def _work(line: Connection, making: Making, beside: int, room: int, environment: dict[str, str]) -> None:
    """Be a worker: take numbered tasks until there are no more, or whoever gives them has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever gives the tasks hears it, and ends this
    os.environ.update(environment)
    turn = threading.Lock()
    given: Queue[Any] = Queue()
    read, network, write = Reader(making), Network(making), Writer(making)
    told_of_life = 0.0

    def take() -> None:
        """Take tasks as they come, so that whoever gives them never waits for what is done here."""
        try:
            while (order := line.recv()) is not None:
                given.put(order)
        except (EOFError, OSError):  # whoever gave them has died: what is not begun is for the next run
            with suppress(Empty):
                while True:
                    given.get_nowait()
        given.put(None)

    def tell(what: object) -> None:
        with turn, suppress(OSError):
            line.send(what)

    def tell_of_life() -> None:
        nonlocal told_of_life
        if time.monotonic() - told_of_life > SIGN_OF_LIFE:
            told_of_life = time.monotonic()
            tell(None)

    def pictures() -> Iterator[_Job]:
        while (order := given.get()) is not None:
            number, task, one_by_one = order
            count = 0
            for found in expand(task, making, tell_of_life):
                count += 1
                if isinstance(found, Record):
                    tell((number, found))
                    continue
                if one_by_one:
                    tell((number, replace(found, content=None)))
                told = threading.Event()
                yield number, found, told
                if one_by_one:
                    told.wait()
            tell((number, count))

    def finish(doing: _Doing) -> None:
        number, work, told = doing
        tell((number, write(work)))
        told.set()

    tell(None)
    threading.Thread(target=take, name="srgan-tasks", daemon=True).start()
    pipeline = Pipeline[_Job, _Doing, None](
        lambda job: (job[0], read(job[1]), job[2]),
        lambda doing: doing[1].held,
        lambda doing: network(doing[1]),
        finish,
        readers=beside,
        writers=beside,
        ahead=beside,
        room=room,
    )
    with suppress(_Ended):
        signal.signal(signal.SIGTERM, _end)
        try:
            for _ in pipeline.run(pictures()):
                pass
        except SrganError as error:  # no picture's: the network cannot be loaded
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which comes as soon as this is told
            tell(error)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # of `timeout`, say, which sends it to workers as well
    atexit._run_exitfuncs()
    os._exit(0)
