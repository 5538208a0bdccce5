"""What a manifest tells of a run: done, failed and why, how fast, how long still."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from srgan.bulk.manifest import Manifest, Run, in_short, newest
from srgan.errors import BulkError

RECENT = 600.0
"""Seconds that the rate is measured over, up to the last word."""

SILENT = 120.0
"""After so many seconds without a word a run that has not ended is said to be silent."""

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass
class Status:
    """What the last run has come to.

    run      the last one
    done     its pictures with a result, those that were done before included
    reasons  what its pictures failed of, and how many, those that had failed before included
    rate     pictures a second, lately; 0 where nothing tells
    last     when the last word came, seconds since 1970
    """

    run: Run
    done: int
    reasons: Counter[str]
    rate: float
    last: float

    @property
    def failed(self) -> int:
        """How many pictures have no result."""
        return self.reasons.total()

    @property
    def left(self) -> int:
        """How many pictures are still to do, as far as is known."""
        return max(self.run.total - self.done - self.failed, self.run.unread)


def status_of(manifest: Manifest) -> Status:
    """Return what a manifest tells. Raises BulkError where there is none, or one that is damaged."""
    table, runs = _read(manifest)
    run = newest(runs)
    table = table.filter(pc.greater_equal(table["time"].cast("int64"), int(run.started * 1000)))
    last: dict[str, tuple[str, str]] = {}
    columns = (table[name].to_pylist() for name in ("target", "status", "error"))
    for target, status, error in zip(*columns, strict=True):
        last[target] = status, error
    outcomes = Counter(status for status, _ in last.values())
    pictures = table.filter(pc.invert(pc.is_in(table["status"], pa.array(["listed", "gone"]))))
    times = pictures["time"].cast("int64").to_numpy() / 1000
    word = run.ended or max([run.started, *times[-1:]])
    since = max(run.started, word - RECENT)
    rate = float((times >= since).sum()) / max(word - since, 1e-3)
    reasons = Counter(in_short(error, target) for target, (status, error) in last.items() if status == "failed")
    reasons.update(run.failed_before)
    done = run.done_before + outcomes["done"] + outcomes["remade"] + outcomes["skipped"]
    return Status(run, done, reasons, rate, word)


def failures(manifest: Manifest) -> Iterator[str]:
    """Yield a line for each picture that has no result, once: its name, a tab, and why. Raises as `status_of` does.

    Tabs and ends of lines are written \\t, \\n and \\r.
    """
    table, runs = _read(manifest, "source", "settings", "archive")
    asked = newest(runs).settings
    last: dict[str, tuple[int, dict[str, str]]] = {}
    made: dict[str, tuple[int, str]] = {}
    for number, row in enumerate(table.to_pylist()):
        last[row["target"]] = number, row
        if row["status"] in ("done", "remade", "skipped"):
            made[row["source"]] = number, row["settings"]

    def has_result(number: int, row: dict[str, str]) -> bool:
        """Tell whether a picture that failed has a result of another name: by settings that the last run did not have
        it failed by, or since by the same, but that members of an archive may be called alike.
        """
        since, settings = made.get(row["source"], (-1, row["settings"]))
        return row["settings"] != asked if settings != row["settings"] else since > number and not row["archive"]

    rows = (row for number, row in last.values() if row["status"] == "failed" and not has_result(number, row))
    yield from dict.fromkeys("\t".join(row[name].translate(_ESCAPES) for name in ("source", "error")) for row in rows)


def lines_of(status: Status) -> Iterator[str]:
    """Yield the lines that say it to people."""
    run = status.run
    yield f"{run.source}, {run.total:,} pictures{' or more' if run.unread else ''}"
    yield f"  {status.done:>12,} done"
    yield f"  {status.failed:>12,} failed"
    for reason, count in status.reasons.most_common():
        yield f"      {count:>8,} {reason}"
    unread = f", or more: tars that are not read to their ends: {run.unread:,}" if run.unread else ""
    yield f"  {status.left:>12,} to do{unread}"
    when = datetime.fromtimestamp(status.last, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if run.ended is not None:
        yield f"ended {when}; {status.rate:.2f} pictures/s at the end"
        return
    left = f", {_span(status.left / status.rate)} left" if status.rate and status.left and not run.unread else ""
    yield f"{status.rate:.2f} pictures/s{left}; last word {when}"
    if time.time() - status.last > SILENT:
        yield f"silent for {_span(time.time() - status.last)}: it has been ended, as it seems; run it again to go on"


def _read(manifest: Manifest, *more: str) -> tuple[pa.Table, list[Run]]:
    """Return what became of the results, and the runs. Raises BulkError where there are none."""
    table, runs = manifest.read([*more, "target", "status", "error", "time"])
    if not runs:
        raise BulkError(f"{manifest.where}: nobody has written a manifest there")
    return table, runs


def _span(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
