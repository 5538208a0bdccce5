"""What is done to a picture, stage by stage: callables that go to other processes as they are.

Both engines run these, each in its own way.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from srgan.atomic import cache_folder, written_whole
from srgan.bulk.manifest import Record, Status, clean, whoami
from srgan.bulk.places import Place
from srgan.bulk.sources import Task, pictures_in
from srgan.errors import OutputError, PictureError, SrganError
from srgan.image.picture import Limits, Picture, signed
from srgan.image.reading import read_picture
from srgan.image.seamless import Margin, margin_of
from srgan.image.size import Size
from srgan.image.writing import RESULT_FORMATS, WriteOptions, check_result, options_for, result_format, write_picture
from srgan.inference.fingerprint import all_settings, fate, fingerprint, network_settings
from srgan.inference.jobs import Ending
from srgan.inference.pipeline import Parts, held_bytes
from srgan.inference.upscaler import Upscaler, condition_for
from srgan.weights import checksum, choose, find_weights, read_card


@dataclass(frozen=True)
class Making:
    """All that says what results are made of and how.

    model    a shipped network's name, or the path of a file, whose bytes are `weights`
    how      further arguments of `Upscaler`
    options  with a format, which may be SAME
    suffix   of the results' names, see `srgan.inference.jobs.Ending`
    network  what it adds to fingerprints: see `network_settings`
    around   how much of a picture goes through the network again on each side, where it wraps around
    """

    model: str
    size: Size
    options: WriteOptions
    destination: Place
    how: dict[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    overwrite: bool = False
    weights: bytes | None = None
    scale: int = 4
    network: str = ""
    suffix: str | None = None
    around: Margin | None = None

    @cached_property
    def ending(self) -> Ending:
        """What stands after pictures' names in those of their results."""
        return Ending(self.size, self.options.format, self.suffix)

    @cached_property
    def mark(self) -> str:
        """What the manifest calls these settings."""
        settings = "".join(dict.fromkeys(self.settings_of(f"picture{suffix}") for suffix in RESULT_FORMATS))
        settings += "" if self.suffix is None else f", called {clean(self.suffix)}"
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    def settings_of(self, name: str) -> str:
        """Return all that tells results of a picture of that name apart."""
        options = options_for(name, self.options)
        return all_settings(self.network, result_format(None, options), options)


def plan_making(
    model: str,
    size: Size,
    options: WriteOptions,
    destination: Place,
    how: dict[str, Any],
    limits: Limits,
    *,
    overwrite: bool = False,
    suffix: str | None = None,
) -> Making:
    """Return how results are made, once it is known that they can be. Raises ArgumentError, WeightsError."""
    options = replace(options, format=options.format or "png")
    path = find_weights(choose(model).model).one
    card = read_card(path)
    network = network_settings(
        model,
        precision=how.get("precision", "auto"),
        size=size,
        detail=how.get("detail"),
        repair=how.get("repair"),
        consistent=how.get("consistent", False),
        ensemble=how.get("ensemble", False),
        seamless=how.get("seamless", False),
    )
    making = Making(
        model,
        size,
        options,
        destination,
        how,
        limits,
        overwrite,
        path.read_bytes() if path == Path(model) else None,
        card["scale"],
        network,
        suffix,
        margin_of(
            card["halo"], card["scale"], consistent=how.get("consistent", False), seamless=how.get("seamless", False)
        ),
    )
    making.settings_of("")  # raises where the options do not fit the format
    return making


@dataclass
class Work:
    """A picture on its way: decoded, then enlarged, then None when it goes no further."""

    task: Task
    record: Record
    picture: Picture | None = None
    held: int = 0
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        self.parts = Parts(self.task.source)

    @contextmanager
    def part(self, stage: str) -> Iterator[None]:
        """Time a stage, which an error in it ends."""
        with self.parts.part(stage):
            yield
        setattr(self.record, f"{stage}_s", self.parts.seconds[stage])
        if self.parts.error is not None:
            self.picture = None
            of_memory = isinstance(self.parts.error.__cause__, MemoryError)
            self.record.status, self.record.stage = "failed", "memory" if of_memory else stage
            self.record.error = str(self.parts.error).removeprefix(f"{self.task.source}: ")


def expand(task: Task, making: Making, on_read: Callable[[], None] | None = None) -> Iterator[Task | Record]:
    """Yield the pictures of an archive, and at its end a record of how many there are; another task as it is.

    on_read  see `pictures_in`

    An archive that cannot be read to its end has a record that says so.
    """
    if task.kind == "file":
        yield task
        return
    record = Record(task.source, task.key, "listed", settings=making.mark, version=task.version, worker=whoami())
    record.members = len(task.settled)
    try:
        for picture in pictures_in(task, making.ending, on_read):
            record.members += 1
            yield picture
    except SrganError as error:
        record.status, record.stage = "failed", "read"
        record.error = str(error).removeprefix(f"{task.source}: ")
    yield record


class Reader:
    """Fetches a picture and decodes it, where its result is not what it would come to."""

    def __init__(self, making: Making) -> None:
        self._making = making

    def __call__(self, task: Task) -> Work:
        """Return the work on a picture; without a picture where there is nothing more to do."""
        making = self._making
        record = Record(
            task.source,
            task.target,
            settings=making.mark,
            version=task.version,
            archive=task.archive,
            worker=whoami(),
        )
        work = Work(task, record)
        content = b""
        with work.part("read"):
            content = task.place.read(task.name) if task.content is None else task.content
            record.bytes_in = len(content)
            record.identity = fingerprint(hashlib.sha256(content).hexdigest(), making.settings_of(task.name))
            record.status, record.identity = self._status(task, record.identity)
        if record.status in ("done", "remade"):
            with work.part("decode"):
                if task.problem:
                    raise PictureError(f"{task.source}: {task.problem}")
                picture = read_picture(BytesIO(content), making.limits, name=task.source)
                asked = making.model, making.how.get("detail"), making.how.get("repair")
                condition_for(*asked, picture, consistent=making.how.get("consistent", False))  # keeps it
                try:
                    check_result(None, picture, making.size, options_for(task.name, making.options), making.limits)
                    work.held = held_bytes(
                        picture, making.size, making.scale, making.limits, "its result", making.around
                    )
                except OutputError as error:
                    raise PictureError(f"{task.source}: {error}") from error
                work.picture = picture
                record.height_in, record.width_in = picture.pixels.shape[:2]
        work.task = replace(task, content=None)
        return work

    def _status(self, task: Task, wanted: str) -> tuple[Status, str]:
        """Return what becomes of a picture by what is in its result's place, and the identity of what is there then.

        Results without provenance do not say what they are: what the manifest knows of them counts, and what it does
        not know is kept, and stays unknown. Raises OutputError.
        """
        there = task.present or self._making.destination.has(task.target)
        if self._making.overwrite or not there:
            return "remade" if there else "done", wanted
        where = self._making.destination.url_of(task.target)
        if task.identity == wanted:
            return "skipped", wanted
        try:
            found = self._making.destination.fingerprint_of(task.target)
        except FileNotFoundError:
            return "done", wanted
        if found is None and not self._making.options.provenance:
            found = task.identity or None
        status = fate(found, wanted, self._making.options, where)
        return status, "" if found is None else wanted


class Network:
    """Enlarges decoded pictures, with a network that is loaded once, for the first of them."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._upscaler: Upscaler | None = None

    def __call__(self, work: Work) -> Work:
        """Enlarge a picture where there is one. Raises SrganError where the network cannot be loaded."""
        if work.picture is None:
            return work
        if self._upscaler is None:
            self._upscaler = Upscaler(_model_file(self._making), size=self._making.size, **self._making.how)
        with work.part("network"):
            picture = self._upscaler.upscale_picture(work.picture)
            work.picture = signed(picture, work.record.identity)
            work.record.worker = whoami()
            work.record.height_out, work.record.width_out = picture.pixels.shape[:2]
        return work


class Writer:
    """Encodes a result and puts it in its place."""

    def __init__(self, making: Making) -> None:
        self._making = making

    def __call__(self, work: Work) -> Record:
        """Return the record of a picture."""
        if work.picture is not None:
            whole = BytesIO()
            with work.part("encode"):
                write_picture(work.picture, whole, options_for(work.task.name, self._making.options))
            if work.picture is not None:
                with work.part("write"):
                    work.record.bytes_out = len(whole.getbuffer())
                    self._making.destination.write(work.task.target, whole.getbuffer())
            work.picture = None
        return work.record


def _model_file(making: Making) -> str | Path:
    """Return the model, its file made where this machine has none like it."""
    if making.weights is None:
        return making.model
    path, digest = Path(making.model), checksum(making.weights)
    if path.is_file() and checksum(path) == digest:
        return path
    try:
        kept = cache_folder("models") / digest / path.name
        if not (kept.is_file() and checksum(kept) == digest):
            with written_whole(kept) as file:
                file.write(making.weights)
    except OutputError:  # no home that can be written to
        kept = Path(tempfile.mkdtemp(prefix="srgan-")) / path.name
        kept.write_bytes(making.weights)
    return kept
