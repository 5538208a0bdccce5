"""What became of each picture, as Parquet files under a destination: one is added every so often, whole.

The last row of a result counts. In its metadata each file says which run wrote it, and of how many pictures.
"""

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from srgan.bulk.places import Place, reason
from srgan.errors import BulkError

FOLDER = "_srgan/manifest"
"""Where under a destination the files are."""

ROWS, SECONDS = 10_000, 20.0
"""How many rows, or after how long, make a file: what a killed driver had not written is found in the results."""

MANY = 200
"""So many files are put together when a run begins."""

Status: TypeAlias = Literal["done", "remade", "skipped", "failed", "listed", "gone"]

_KEY = b"srgan"
_MOMENT = timedelta(milliseconds=1)  # that times are told apart by


@dataclass
class Record:
    """A row: what became of a picture.

    source, target  the picture as people call it, the result's name below the destination
    status          done: made where there was nothing; remade: in the place of another; skipped: there already;
                    failed; listed: no picture but an archive, all of whose `members` have been found; gone: it had
                    failed, and nothing is to be made of it any more
    identity        the fingerprint in the result; of a failed picture that which its result would have had
    settings        stands for the network and all options
    version         of the file that the picture was read from, see `srgan.bulk.places.File`
    archive         the file that the picture is a member of, "" for a file of its own
    stage           where it failed: read, decode, network, encode, write, worker; memory, where there was too little
    error           what is wrong, without the picture's name
    read_s ...      seconds of each stage; those of several pictures overlap
    worker          machine and process
    time            when the manifest was told of it
    """

    source: str
    target: str
    status: Status = "done"
    identity: str = ""
    settings: str = ""
    version: str = ""
    archive: str = ""
    stage: str = ""
    error: str = ""
    width_in: int = 0
    height_in: int = 0
    width_out: int = 0
    height_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    read_s: float = 0.0
    decode_s: float = 0.0
    network_s: float = 0.0
    encode_s: float = 0.0
    write_s: float = 0.0
    members: int = 0
    worker: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Run:
    """What a run is about, in the metadata of its files.

    total          how many pictures the source has, as far as is known: what is left of an unread tar counts as one
    done_before    how many of these were done before it began, so that it does nothing for them
    failed_before  how many had failed for good, by their reasons
    unread         how many tars have not been read to their ends
    settings       what it makes results by, as in its rows
    """

    source: str
    total: int = 0
    done_before: int = 0
    failed_before: dict[str, int] = field(default_factory=dict)
    unread: int = 0
    settings: str = ""
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started: float = field(default_factory=time.time)
    ended: float | None = None

    @property
    def about(self) -> tuple[str, int, str]:
        """What tells a run from another that does as little: its source, that one's pictures, and its settings."""
        return self.source, self.total, self.settings


_TYPES: dict[Any, pa.DataType] = {int: pa.int64(), float: pa.float32(), datetime: pa.timestamp("ms", "UTC")}
SCHEMA = pa.schema([(column.name, _TYPES.get(column.type, pa.string())) for column in fields(Record)])


def whoami() -> str:
    """Return what a row calls the process that did the work."""
    return f"{socket.gethostname()}:{os.getpid()}"


def clean(name: str) -> str:
    """Return a name as a manifest can hold it: bytes that are not UTF-8 become backslashes and digits."""
    return name.encode("utf-8", "backslashreplace").decode()


def in_short(error: str, target: str) -> str:
    """Return an error without what is of one picture alone: its result's place, figures, and most behind a colon."""
    first, *more = error.rpartition(f"{target}: ")[2].split(": ")
    whole = ": ".join([first, *more[:1]]) if first.startswith("cannot be ") else first
    return re.sub(r"\d([\d,.]*\d)?", "N", whole)


def newest(runs: Iterable[Run]) -> Run:
    """Return the last run, as the last of its files has it."""
    return sorted(runs, key=lambda run: (run.started, run.ended or 0))[-1]


class Manifest:
    """The rows under a destination."""

    def __init__(self, destination: Place) -> None:
        self._place = destination
        self._rows: list[Record] = []
        self._run: Run | None = None
        self._newest = datetime.fromtimestamp(0, UTC)
        self._last = time.monotonic()

    @property
    def where(self) -> str:
        """What people call the place."""
        return self._place.url

    def names(self) -> list[str]:
        """Return the names of the files. Raises BulkError."""
        below = Place(self._place.url, self._place.system, self._place.path_of(FOLDER), self._place.kind)
        return [f"{FOLDER}/{file.name}" for file in below.all_files() if file.name.endswith(".parquet")]

    def read(self, columns: list[str] | None = None, names: Iterable[str] | None = None) -> tuple[pa.Table, list[Run]]:
        """Return the rows of all files, oldest first, and what the files say of their runs. Raises BulkError.

        Where a run puts files together meanwhile, it looks for them again.
        """
        tables, runs = [SCHEMA.empty_table().select(columns or SCHEMA.names)], []
        times = [self._newest]
        for name in names if names is not None else self.names():
            try:
                opened = self._place.open(name, anywhere=True)
            except BulkError as error:
                if names is None and isinstance(error.__cause__, FileNotFoundError) and name not in self.names():
                    return self.read(columns)
                raise
            with opened as file:
                try:
                    found = parquet.ParquetFile(file)
                    if set(found.schema_arrow.names) != set(SCHEMA.names):
                        raise BulkError(f"{self._place.url_of(name)}: is of another version of srgan")
                    tables.append(found.read(columns).select(columns or SCHEMA.names).replace_schema_metadata(None))
                    runs.append(run := Run(**json.loads(found.schema_arrow.metadata[_KEY])))
                    times.append(datetime.fromtimestamp(max(run.started, run.ended or 0), UTC))
                except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, OverflowError) as error:
                    raise BulkError(
                        f"{self._place.url_of(name)}: damaged: {reason(error)}; results have marks of their own"
                    ) from error
        table = pa.concat_tables(tables)
        if "time" in table.column_names and len(table):
            times.append(pc.max(table["time"]).as_py())
        self._newest = max(times)
        return (table.sort_by("time") if "time" in table.column_names else table), runs

    def failed(self) -> list[dict[str, Any]]:
        """Return the last rows of results, those that say failed. Raises BulkError."""
        table, _ = self.read(["source", "target", "status", "version", "archive", "time"])
        names = table.filter(pc.equal(table["status"], "failed"))["target"].combine_chunks()
        last = {row["target"]: row for row in table.filter(pc.is_in(table["target"], names)).to_pylist()}
        return [row for row in last.values() if row["status"] == "failed"]

    def last(self) -> Run | None:
        """Return the run that wrote last, None where none did. Raises BulkError."""
        runs = self.read(["target"], self.names()[-1:])[1]
        return runs[0] if runs else None

    def begin(self, run: Run) -> None:
        """Let rows be those of a run from now on, and say so in a file. Raises OutputError."""
        self._take(run)
        self._write([])

    def tidy(self) -> None:
        """Put many files together to one, with the last row of each result. Raises BulkError, OutputError."""
        names = self.names()
        if len(names) < MANY:
            return
        table, runs = self.read(names=names)
        last = {key: number for number, key in enumerate(table["target"].to_pylist())}
        whole = table.take(pa.array(sorted(last.values()), pa.int64()))
        self._put(whole, newest(runs))
        for name in names:
            self._place.remove(name)

    def add(self, record: Record) -> None:
        """Add a row, and write a file where it is time for one. Raises OutputError."""
        # by one clock, whatever those of the workers' machines say
        record.time = self._newest = max(datetime.now(UTC), self._newest)
        self._rows.append(record)
        if len(self._rows) >= ROWS or time.monotonic() - self._last > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are not written yet."""
        if self._rows:
            self._write(self._rows)
            self._rows = []
        self._last = time.monotonic()

    def end(self, run: Run) -> None:
        """Write what is left, and that the run has come to its end."""
        if self._run is not run:  # it had nothing to do
            self._take(run)
        run.ended = self._later().timestamp()
        self._write(self._rows)
        self._rows = []

    def _take(self, run: Run) -> None:
        self._run, run.started = run, max(run.started, (self._newest + _MOMENT).timestamp())

    def _later(self) -> datetime:
        """Return the time, later than all that was read or told here, as where a clock was ahead once."""
        self._newest = max(datetime.now(UTC), self._newest + _MOMENT)
        return self._newest

    def _write(self, rows: list[Record]) -> None:
        columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA.names}
        for name in ("source", "target", "archive", "error"):
            columns[name] = [clean(text) for text in columns[name]]
        assert self._run is not None
        self._put(pa.table(columns, SCHEMA), self._run)

    def _put(self, table: pa.Table, run: Run) -> None:
        whole = BytesIO()
        parquet.write_table(table.replace_schema_metadata({_KEY: json.dumps(asdict(run))}), whole)
        stamp = self._later().strftime("%Y%m%dT%H%M%S%f")
        self._place.write(f"{FOLDER}/{stamp}-{uuid.uuid4().hex[:8]}.parquet", whole.getvalue())


@dataclass(slots=True)
class Known:
    """What a manifest knows of a result: its last row, in short.

    final     whether doing it again would come to the same: done, or a picture that cannot be decoded
    reason    why it failed
    identity  "" where it failed: what is in its place is then not what was wanted
    """

    final: bool
    failed: bool
    reason: str
    version: str
    settings: str
    identity: str
    members: int


def known(manifest: Manifest) -> tuple[dict[str, Known], dict[str, list[str]]]:
    """Return what is known by the names of results, and which results came of each archive. Raises BulkError."""
    columns = ["target", "status", "stage", "error", "version", "settings", "identity", "archive", "members", "time"]
    table, _ = manifest.read(columns)
    found: dict[str, Known] = {}
    archives: dict[str, list[str]] = {}
    shared: dict[str, str] = {}
    for target, status, stage, error, version, settings, identity, archive, members in _rows(table, columns[:-1]):
        settings = shared.setdefault(settings, settings)
        failed = status == "failed"
        reason = in_short(error, target)
        reason = shared.setdefault(reason, reason)
        if archive and target not in found:
            archives.setdefault(shared.setdefault(archive, archive), []).append(target)
        final = not failed or stage == "decode"
        found[target] = Known(final, failed, reason, version, settings, "" if failed else identity, members)
    return found, archives


def _rows(table: pa.Table, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of a large table, without all of it as Python's objects at once."""
    for batch in table.select(columns).to_batches(max_chunksize=50_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
