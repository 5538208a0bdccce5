"""A batch of pictures through a network, each to a file of its own.

A result carries a fingerprint of what it was made of: its picture's file and the settings. So it is known of every
file that is where a result goes whether it is that result (it is kept), another one (it is made anew), or none of
ours (it is kept, and that is an error). What a result was made of cannot be lost apart from it, and no other file is
needed for it. Results without provenance carry none, and whatever is in the place of one is kept. The map of what was
invented in a picture is a result of its own.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias

from srgan.atomic import as_output_error, remove_leftovers
from srgan.errors import ArgumentError, OutputError, PictureError, SrganError
from srgan.image.heat import check_map
from srgan.image.picture import Condition, Limits, Picture, signed
from srgan.image.reading import read_picture
from srgan.image.seamless import Margin
from srgan.image.size import Size
from srgan.image.writing import WriteOptions, check_result, options_for, result_format, write_picture
from srgan.image.xmp import read_fingerprint
from srgan.inference.fingerprint import all_settings, fate, fingerprint, map_settings
from srgan.inference.jobs import Job
from srgan.inference.pipeline import Parts, Pipeline, held_bytes
from srgan.inference.upscaler import Progress, Upscaler

BatchProgress: TypeAlias = Callable[[float, int], None]
"""Is told how many pictures are done, the fraction of the one under way included, and how many there are."""

Status: TypeAlias = Literal["done", "remade", "skipped", "failed"]


@dataclass
class Result:
    """What became of one picture.

    status        done: made where there was nothing; remade: made in the place of a result of other content or
                  settings, or with `overwrite` of anything; skipped: there already; failed. Where the result is there
                  already, that of the map
    seconds       what reading, the network and writing took; those of several pictures overlap
    pixels_in     of all frames, 0 where the picture was not read; pixels_out likewise
    condition     of a picture that was read
    model         the network that made it, by its card's name
    """

    job: Job
    status: Status = "done"
    error: SrganError | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    pixels_in: int = 0
    pixels_out: int = 0
    condition: Condition = field(default_factory=Condition)
    model: str | None = None


def upscale_batch(
    jobs: Sequence[Job],
    load: Callable[[], Upscaler],
    scale: int,
    *,
    size: Size | None = None,
    settings: str = "",
    options: WriteOptions | None = None,
    limits: Limits | None = None,
    overwrite: bool = False,
    look: Callable[[Picture], Condition] | None = None,
    around: Margin | None = None,
    progress: BatchProgress | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Upscaler | None:
    """Upscale the pictures of `jobs`, and go on after an error with one of them.

    load       gives the upscaler, with a network of that `scale`; it is called once, where a picture has to be
               made, in a thread
    size       of the results, where the upscaler makes another than the network
    settings   what tells results apart beside the `options`: the network, say
    overwrite  make every result anew, whatever is in its place
    look       says a picture's condition, see `condition_for`, while another is with the network; by default its file
    around     how much of a picture goes through the network again on each side, where it wraps around
    on_result  is told of each picture, in the order of the jobs, when its result is written

    Returns the upscaler, None where none was needed. Raises ArgumentError, before any work, for options that do
    not fit the format of a result. An error of `load` or of `on_result`, and Ctrl-C, end the
    batch: for what is being written there are two seconds to be done, and the rest is dropped.
    """
    options = options or WriteOptions()
    fitting = [options_for(job.source_name, options) for job in jobs]
    for name, asked in (("quality", options.quality), ("compression", options.compression)):
        if jobs and asked is not None and all(getattr(one, name) is None for one in fitting):
            raise ArgumentError(f"no result is of a format that has a {name}")
    for job, one in zip(jobs, fitting, strict=True):
        result_format(job.target, one)
        if job.confidence is not None:
            result_format(job.confidence, _of_map(options))
    for folder in {place.parent for job in jobs for place in job.places}:
        remove_leftovers(folder)
    told, seen = progress or (lambda *_: None), look or (lambda picture: Condition(picture.metadata.coding))
    size, limits = size or Size(scale=scale), limits or Limits()
    batch = _Batch(load, size, scale, settings, options, limits, overwrite, seen, around, told)
    batch.run(jobs, on_result or (lambda _: None))
    return batch.upscaler


class _Work:
    """A picture on its way: decoded, then enlarged, then None when it goes no further."""

    def __init__(self, job: Job, options: WriteOptions) -> None:
        self.result = Result(job)
        self.options = options_for(job.source_name, options)
        self.parts = Parts(job.source_name, self.result.seconds)
        self.picture: Picture | None = None
        self.confidence: Picture | None = None
        self.mark: str | None = None  # the fingerprint of a result that is to be written
        self.mark_of_map: str | None = None
        self.size = 0  # the bytes that it holds in flight

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the work, which an error in it ends."""
        with self.parts.part(name):
            yield
        if self.parts.error is not None:
            self.result.status, self.result.error, self.picture = "failed", self.parts.error, None


class _Batch:
    def __init__(
        self,
        load: Callable[[], Upscaler],
        size: Size,
        scale: int,
        settings: str,
        options: WriteOptions,
        limits: Limits,
        overwrite: bool,
        look: Callable[[Picture], Condition],
        around: Margin | None,
        progress: BatchProgress,
    ) -> None:
        self.upscaler: Upscaler | None = None
        self._load, self._size, self._scale, self._settings = load, size, scale, settings
        self._options, self._limits, self._overwrite, self._look = options, limits, overwrite, look
        self._around = around
        self._loader = ThreadPoolExecutor(1, "srgan-load")
        self._loading: Future[Upscaler] | None = None
        self._progress, self._number, self._total = progress, 0, 0

    def run(self, jobs: Sequence[Job], on_result: Callable[[Result], None]) -> None:
        pipeline = Pipeline(self._read, lambda work: work.size, self._enlarge, self._write)
        self._total = len(jobs)
        try:
            with closing(pipeline.run(jobs)) as results:
                for result in results:
                    on_result(result)
        finally:
            self._loader.shutdown(wait=False)

    def _read(self, job: Job) -> _Work:
        work = _Work(job, self._options)
        with work.part("read"):
            source = _source(job)
            content = _content(source)
            status, work.mark = self._status(job.target, content, self._settings, work.options)
            if job.confidence is not None:
                options, settings = _of_map(work.options), map_settings(self._settings)
                of_map, work.mark_of_map = self._status(job.confidence, content, settings, options)
                status = of_map if status == "skipped" else status
            work.result.status = status
            if status != "skipped":
                if self._loading is None:
                    self._loading = self._loader.submit(self._load)
                picture = read_picture(source, self._limits)
                if work.mark is not None:
                    check_result(job.target, picture, self._size, work.options, self._limits)
                if job.confidence is not None and work.mark_of_map is not None:
                    check_map(job.confidence, picture, self._size, options, self._limits)
                work.picture = picture
                work.result.pixels_in = picture.pixel_count
                work.result.condition = self._look(picture)
                sizes = self._size, self._scale, self._limits
                work.size = held_bytes(picture, *sizes, job.target_name, self._around)
        return work

    def _status(
        self, place: Path | None, content: str, settings: str, options: WriteOptions
    ) -> tuple[Status, str | None]:
        """Return what becomes of the place of a result, and the fingerprint of what is to be written there, if any.

        Raises OutputError for a file there that has to stay.
        """
        wanted = fingerprint(content, all_settings(settings, result_format(place, options), options))
        if place is None:
            return "done", wanted
        try:
            if self._overwrite:
                return "remade" if place.exists() else "done", wanted
            status = fate(read_fingerprint(place), wanted, options, place)
        except FileNotFoundError:
            return "done", wanted
        except OSError as error:
            raise OutputError(f"{place}: {error.strerror}") from error
        return status, None if status == "skipped" else wanted

    def _enlarge(self, work: _Work) -> None:
        number, self._number = self._number, self._number + 1
        self._progress(number, self._total)
        if work.picture is not None:
            assert self._loading is not None
            self.upscaler = self._loading.result()
            self._make(work, lambda part: self._progress(number + part, self._total))
        if self._number == self._total:
            self._progress(self._total, self._total)

    def _make(self, work: _Work, progress: Progress) -> None:
        assert self.upscaler is not None
        assert work.picture is not None
        with work.part("network"):
            picture = self.upscaler.upscale_picture(work.picture, progress)
            if work.mark_of_map is not None:
                work.confidence = signed(self.upscaler.doubt(work.picture, picture), work.mark_of_map)
            work.picture = signed(picture, work.mark)
            work.result.model = picture.maker.model if picture.maker is not None else None

    def _write(self, work: _Work) -> Result:
        if work.picture is not None:
            with work.part("write"):
                if work.result.job.target is None:
                    _to_stdout(work.picture, work.options)
                elif work.mark is not None:
                    write_picture(work.picture, work.result.job.target, work.options)
                if work.confidence is not None and work.result.job.confidence is not None:
                    write_picture(work.confidence, work.result.job.confidence, _of_map(work.options))
                work.result.pixels_out = work.picture.pixel_count
        work.picture = work.confidence = None
        return work.result


def _of_map(options: WriteOptions) -> WriteOptions:
    """Return how the map beside a result is written: as its name says, and as silent of what made it."""
    return WriteOptions(provenance=options.provenance)


def _source(job: Job) -> Path | BytesIO:
    """Return the path of a picture, or what is in it where that can be read only once. Raises PictureError."""
    try:
        if job.source is None:
            return BytesIO(sys.stdin.buffer.read())
        return BytesIO(job.source.read_bytes()) if job.source.is_fifo() else job.source
    except OSError as error:
        raise PictureError(f"{job.source_name}: cannot be read: {error.strerror}") from error


def _content(source: Path | BytesIO) -> str:
    """Return the SHA-256 of a picture's file, in hex. Raises PictureError."""
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(source.getbuffer()).hexdigest()
    except FileNotFoundError as error:
        raise PictureError(f"{source}: no such file") from error
    except OSError as error:
        raise PictureError(f"{source}: cannot be read: {error.strerror}") from error


def _to_stdout(picture: Picture, options: WriteOptions) -> None:
    with as_output_error("standard output:"):
        write_picture(picture, sys.stdout.buffer, options)
        sys.stdout.buffer.flush()
