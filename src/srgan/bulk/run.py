"""A bulk run: what there is to do by the manifest, done by an engine, and written into the manifest."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol

from srgan.bulk.manifest import FOLDER, Known, Manifest, Record, Run, clean, known
from srgan.bulk.places import Place
from srgan.bulk.sources import Listing, Task, list_source, row_target, upward
from srgan.bulk.stages import Making
from srgan.errors import BulkError, PictureError

REFUSED = 20
"""So many results one after the other that cannot be written end a run: there is no room, say, for any."""


class Engine(Protocol):
    """What gets tasks done."""

    def run(self, making: Making, tasks: list[Task]) -> Generator[Record, None, None]:
        """Yield a record for each picture, in any order. Raises SrganError where it cannot go on."""


@dataclass
class Outcome:
    """What became of the pictures of a source.

    skipped  there already, by the manifest or by their fingerprints
    failed   in this run or in one before, after which they have not changed
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[PictureError] = field(default_factory=list)


@dataclass
class Plan:
    """What there is to do, and what is settled: pictures done, and failed for good, by their reasons."""

    tasks: list[Task]
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    errors: list[PictureError] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many pictures there are, as far as is known: a tar that has not been opened counts as one."""
        return self.done + self.failed.total() + sum(_count(task) for task in self.tasks)


def run_bulk(
    source: str,
    making: Making,
    engine: Engine,
    *,
    column: str | None = None,
    retry_failed: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Outcome:
    """Upscale the pictures of a source that the destination has no results of, each once.

    column        of Parquet, see `list_source`
    retry_failed  try pictures again that could not be decoded
    on_plan       is told what there is to do
    on_record     is told of each picture that has been done with

    What is done is in the destination and, all but the last seconds of a killed run, in its manifest. Raises BulkError
    where a place cannot be used or the engine cannot go on, OutputError where the manifest cannot be written.
    """
    destination = making.destination
    listing = list_source(source, making.ending, column)
    if listing.place is not None and listing.place.holds(destination):
        raise BulkError(f"{destination.url} is in {listing.place.url}: results would become pictures; choose another")
    _refuse_own(listing, destination)
    manifest = Manifest(destination)
    manifest.tidy()
    plan = plan_bulk(listing, making, manifest, retry_failed=retry_failed)
    if on_plan is not None:
        on_plan(plan)
    outcome = Outcome(Counter(skipped=plan.done, failed=plan.failed.total() + len(plan.errors)), plan.errors)
    unread = {task.name: len(task.settled) for task in plan.tasks if task.kind == "tar"}  # known of each
    run = Run(listing.url, plan.total, plan.done, dict(plan.failed), len(unread), making.mark)
    gone = _gone(listing, manifest)
    if gone or plan.tasks:
        manifest.begin(run)
    for record in gone:
        manifest.add(record)
    if not plan.tasks:
        last = manifest.last()
        if last is not None and (last.ended is None or last.about != run.about):
            manifest.end(run)  # else --status would tell of what is no longer so
        return outcome
    results = [task.target for task in plan.tasks if task.kind == "file"]
    folders = {FOLDER, *(task.target for task in plan.tasks if task.kind != "file")}
    destination.remove_leftovers(results, folders)
    refused = 0
    try:
        with closing(engine.run(making, plan.tasks)) as records:
            for record in records:
                if record.archive in unread:
                    unread[record.archive] += 1
                    run.total += 1
                elif record.target in unread:
                    run.total += max(record.members - unread.pop(record.target), 0) - (record.status == "listed")
                    run.unread = len(unread)
                manifest.add(record)
                if record.status != "listed":
                    outcome.counts[record.status] += 1
                if on_record is not None:
                    on_record(record)
                if record.status in ("done", "remade"):
                    refused = 0
                refused += record.stage == "write"
                if refused == REFUSED:
                    raise BulkError(f"{destination.url}: {REFUSED} results, one after the other: {record.error}")
        run.total = outcome.counts.total() - len(plan.errors)  # now that all archives have been opened
        manifest.end(run)
    finally:
        manifest.flush()
        destination.remove_leftovers(results, folders)  # of workers that were killed
    return outcome


def _refuse_own(listing: Listing, destination: Place) -> None:
    """Raise BulkError where a result would take the place of a picture that a list names."""
    pictures = [task for task in listing.tasks if task.kind == "file"]
    own = {task.place.real_path_of(task.name) for task in pictures if task.place.system == destination.system}
    for task in pictures:
        if destination.real_path_of(task.target) in own:
            raise BulkError(
                f"{destination.url_of(task.target)}: the result of {task.source} would go there, which is a picture of"
                f" {listing.url} itself: choose another destination"
            )


def _gone(listing: Listing, manifest: Manifest) -> list[Record]:
    """Return rows for what failed of a folder and is in it no more, or is another picture now."""
    if listing.place is None or listing.errors:  # it cannot be told what is there
        return []
    below = clean(listing.place.url_of(""))
    pictures = {clean(task.source): task.version for task in listing.tasks}
    archives = {clean(task.name): task.version for task in listing.tasks if task.kind != "file"}
    return [
        Record(row["source"], row["target"], "gone", archive=row["archive"])
        for row in manifest.failed()
        if row["source"].startswith(below)
        and pictures.get(row["source"], archives.get(row["archive"])) != row["version"]
    ]


def plan_bulk(listing: Listing, making: Making, manifest: Manifest, *, retry_failed: bool = False) -> Plan:
    """Return what is to be done of a listing, by the manifest and what is in the destination."""
    found, archives = known(manifest)
    present = {clean(file.name) for file in making.destination.files([]) if not file.name.startswith(f"{FOLDER}/")}
    below = _in_folders(present, {clean(task.target) for task in listing.tasks if task.kind == "tar"})
    plan = Plan([], errors=listing.errors)

    def settled(target: str, version: str) -> Known | None:
        """Return what is known of a result that nothing is to be done for."""
        last = found.get(target)
        if last is None or making.overwrite or version == "" or last.version != version:
            return None
        if last.settings != making.mark or not last.final:
            return None
        return last if (target in present if not last.failed else not retry_failed) else None

    def count(last: Known) -> None:
        if last.failed:
            plan.failed[last.reason] += 1
        else:
            plan.done += 1

    for task in listing.tasks:
        if task.kind == "file":
            key = clean(task.target)
            last = settled(key, task.version)
            if last is not None:
                count(last)
            else:
                identity = found[key].identity if key in found and key in present else ""
                plan.tasks.append(replace(task, present=key in present, identity=identity))
            continue
        if task.kind == "rows":
            targets = [clean(row_target(task, row, making.ending)) for row in task.rows]
        else:
            folder = f"{clean(task.target)}/"
            targets = [target for target in archives.get(clean(task.name), []) if target.startswith(folder)]
        done = {target: last for target in targets if (last := settled(target, task.version)) is not None}
        for last in done.values():
            count(last)
        whole = found.get(clean(task.key))
        if task.kind == "rows":
            complete = len(done) == len(targets) and not (whole is not None and whole.failed)
        else:
            complete = (
                whole is not None
                and not whole.failed
                and (whole.version, whole.settings) == (task.version, making.mark)
                and whole.members == len(done)
            )
        if not complete:
            inside = below[clean(task.target)] if task.kind == "tar" else targets
            names = [name for name in inside if name in present]
            there = tuple((name, found[name].identity if name in found else "") for name in names)
            plan.tasks.append(replace(task, settled=frozenset(done), members=there))
    return plan


def _in_folders(present: set[str], folders: set[str]) -> dict[str, list[str]]:
    """Return what is present below each of some folders."""
    found: dict[str, list[str]] = {folder: [] for folder in folders}
    for name in present if folders else ():
        for folder in upward(name):
            if folder in found:
                found[folder].append(name)
    return found


def _count(task: Task) -> int:
    return {"file": 1, "rows": len(task.rows) - len(task.settled), "tar": 1}[task.kind]
