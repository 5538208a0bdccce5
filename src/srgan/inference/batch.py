"""A batch of pictures through a network, each to a file of its own.

Three things happen at once: one thread looks at the pictures to come and decodes them, the calling thread runs
the network on one after the other, and a few threads encode and write results. What is between them is held to
a number of bytes.

A result carries a fingerprint of what it was made of: its picture's file and the settings. So it is known of every
file that is where a result goes whether it is that result (it is kept), another one (it is made anew), or none of
ours (it is kept, and that is an error). What a result was made of cannot be lost apart from it, and no other file is
needed for it. Results without provenance carry none, and whatever is in the place of one is kept.
"""

import hashlib
import json
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from threading import Condition
from typing import Literal, TypeAlias

from srgan.atomic import remove_leftovers
from srgan.errors import InferenceError, OutputError, PictureError, SrganError
from srgan.image.picture import Limits, Picture, in_words
from srgan.image.reading import read_picture
from srgan.image.size import Size, passes
from srgan.image.writing import PNG_COMPRESSION, WriteOptions, check_result, result_format, write_picture
from srgan.image.xmp import read_fingerprint
from srgan.inference.jobs import Job
from srgan.inference.upscaler import Progress, Upscaler

BatchProgress: TypeAlias = Callable[[float, int], None]
"""Is told how many pictures are done, the fraction of the one under way included, and how many there are."""

Status: TypeAlias = Literal["done", "remade", "skipped", "failed"]

BYTES_IN_FLIGHT = 800_000_000
"""Of pictures and their results, from decoding to the end of writing. A picture of more goes alone."""

PATIENCE = 2.0
"""Seconds that a batch which is ended waits for what is being written."""

PICTURES_AHEAD = 64
"""Of the one that the network is at, which are looked at and, where there is room, decoded."""

_WRITERS = min(8, os.cpu_count() or 1)


@dataclass
class Result:
    """What became of one picture.

    status      done: made where there was nothing; remade: made in the place of a result of other content or
                settings, or with `overwrite` of anything; skipped: there already; failed
    seconds     what reading, the network and writing took; those of several pictures overlap
    pixels_in   of all frames, 0 where the picture was not read; pixels_out likewise
    """

    job: Job
    status: Status = "done"
    error: SrganError | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    pixels_in: int = 0
    pixels_out: int = 0


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
    progress: BatchProgress | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Upscaler | None:
    """Upscale the pictures of `jobs`, and go on after an error with one of them.

    load       gives the upscaler, with a network of that `scale`; it is called once, where a picture has to be
               made, in a thread
    size       of the results, where the upscaler makes another than the network
    settings   what tells results apart beside the `options`: the network, say
    overwrite  make every result anew, whatever is in its place
    on_result  is told of each picture, in the order of the jobs, when its result is written

    Returns the upscaler, None where none was needed. Raises ArgumentError, before any work, for options that do
    not fit the format of a result. An error of `load` or of `on_result`, and Ctrl-C, end the
    batch: for what is being written there are two seconds to be done, and the rest is dropped.
    """
    options = options or WriteOptions()
    for job in jobs:
        result_format(job.target or BytesIO(), options)
    for folder in {job.target.parent for job in jobs if job.target is not None}:
        remove_leftovers(folder)
    batch = _Batch(load, size or Size(scale=scale), scale, settings, options, limits or Limits(), overwrite)
    batch.run(jobs, progress or (lambda *_: None), on_result or (lambda _: None))
    return batch.upscaler


class _Room:
    """Bytes that pictures hold while they are in flight. One that is alone gets as many as it wants."""

    def __init__(self, size: int) -> None:
        self._size, self._held = size, 0
        self._changed = Condition()

    def take(self, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + size <= self._size)
            self._held += size

    def give_back(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def open_wide(self) -> None:
        """Let whoever waits go on."""
        with self._changed:
            self._size = sys.maxsize
            self._changed.notify_all()


class _Work:
    """A picture on its way: decoded, then enlarged, then None when it goes no further."""

    def __init__(self, job: Job) -> None:
        self.result = Result(job)
        self.picture: Picture | None = None
        self.confidence: Picture | None = None
        self.fingerprint = ""
        self.room = 0  # the bytes that it holds in flight

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the work; an error in it is the picture's."""
        start = time.perf_counter()
        try:
            yield
        except MemoryError as error:
            reason = f"{self.result.job.source_name}: not enough memory for this picture and its result"
            self._fail(InferenceError(reason), error)
        except InferenceError as error:
            self._fail(InferenceError(f"{self.result.job.source_name}: {error}"), error)
        except SrganError as error:
            self._fail(error, error.__cause__)
        except Exception as error:  # what nobody thought of is of this picture too, and no reason to lose the others
            reason = f"{self.result.job.source_name}: {type(error).__name__}: {error}"
            self._fail(SrganError(reason), error)
        finally:
            self.result.seconds[name] = time.perf_counter() - start

    def _fail(self, error: SrganError, cause: BaseException | None) -> None:
        error.__cause__ = cause
        self.result.status, self.result.error, self.picture = "failed", error, None
        held: BaseException | None = error
        while held is not None:  # the functions that an error came through hold pictures
            traceback.clear_frames(held.__traceback__)
            held = held.__cause__


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
    ) -> None:
        self.upscaler: Upscaler | None = None
        self._load, self._size, self._scale, self._settings = load, size, scale, settings
        self._options, self._limits, self._overwrite = options, limits, overwrite
        self._reader = ThreadPoolExecutor(1, "srgan-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "srgan-write")
        self._loading: Future[Upscaler] | None = None
        self._room = _Room(BYTES_IN_FLIGHT)

    def run(self, jobs: Sequence[Job], progress: BatchProgress, on_result: Callable[[Result], None]) -> None:
        writing: deque[Future[Result]] = deque()
        try:
            submitted = (self._reader.submit(self._read, job) for job in jobs)
            reading = deque(islice(submitted, PICTURES_AHEAD))
            for number in range(len(jobs)):
                progress(number, len(jobs))
                work = reading.popleft().result()
                reading.extend(islice(submitted, 1))
                self._enlarge(work, lambda part, before=number: progress(before + part, len(jobs)))  # type: ignore[misc]
                writing.append(self._writers.submit(self._write, work))
                while writing and writing[0].done():
                    on_result(writing.popleft().result())
            progress(len(jobs), len(jobs))
            while writing:
                on_result(writing[0].result())
                writing.popleft()
        finally:
            self._room.open_wide()
            self._reader.shutdown(wait=False, cancel_futures=True)
            self._writers.shutdown(wait=False, cancel_futures=True)
            wait([result for result in writing if not result.cancelled()], PATIENCE)

    def _read(self, job: Job) -> _Work:
        work = _Work(job)
        with work.part("read"):
            source = _source(job)
            work.fingerprint = _fingerprint(source, self._settings_of(job))
            work.result.status = self._status(job, work.fingerprint)
            if work.result.status == "skipped" and job.confidence is not None and not job.confidence.exists():
                work.result.status = "remade"
            if work.result.status != "skipped":
                if self._loading is None:
                    self._loading = self._writers.submit(self._load)
                picture = read_picture(source, self._limits)
                check_result(job.target or BytesIO(), picture, self._size, self._options, self._limits)
                work.picture = picture
                work.result.pixels_in = _count(picture)
                work.room = sum(_bytes(frame) * (1 + self._growth(frame, job)) for frame in picture.frames)
        self._room.take(work.room)
        return work

    def _growth(self, frame: Picture, job: Job) -> int:
        """Return how many times as many pixels as a frame the largest picture made of it has. Raises OutputError."""
        height, width = frame.pixels.shape[:2]
        growth: int = self._scale ** (2 * passes((height, width), self._size.of(height, width), self._scale))
        if growth * height * width > self._limits.output_pixels:
            made = in_words(growth * height * width)
            raise OutputError(
                f"{job.target_name}: the network makes {made} on the way to that size, more than the limit of"
                f" {in_words(self._limits.output_pixels)}; --max-output-pixels raises it"
            )
        return growth

    def _settings_of(self, job: Job) -> str:
        """Return what tells results apart beside their pictures; the defaults said or not are the same."""
        result = result_format(job.target or BytesIO(), self._options)
        quality = self._options.quality or result.quality
        compression = PNG_COMPRESSION if self._options.compression is None else self._options.compression
        options = replace(self._options, format=result.name, quality=quality, compression=compression)
        return json.dumps([self._settings, asdict(options)])

    def _status(self, job: Job, fingerprint: str) -> Status:
        """Return what becomes of a job by what is in its result's place. Raises OutputError for what has to stay."""
        if job.target is None:
            return "done"
        try:
            if self._overwrite:
                return "remade" if job.target.exists() else "done"
            found = read_fingerprint(job.target)
        except FileNotFoundError:
            return "done"
        except OSError as error:
            raise OutputError(f"{job.target}: {error.strerror}") from error
        if found == fingerprint or (found is None and not self._options.provenance):
            return "skipped"
        if found is None:
            raise OutputError(f"{job.target}: is there already and was not made by srgan; --overwrite replaces it")
        return "remade"

    def _enlarge(self, work: _Work, progress: Progress) -> None:
        if work.picture is None:
            return
        assert self._loading is not None
        self.upscaler = self._loading.result()
        with work.part("network"):
            picture = self.upscaler.upscale_picture(work.picture, progress)
            assert picture.maker is not None
            if work.result.job.confidence is not None:
                work.confidence = self.upscaler.doubt(work.picture, picture)
            work.picture = replace(picture, maker=replace(picture.maker, fingerprint=work.fingerprint))

    def _write(self, work: _Work) -> Result:
        try:
            if work.picture is not None:
                with work.part("write"):
                    if work.result.job.target is None:
                        _to_stdout(work.picture, self._options)
                    else:
                        write_picture(work.picture, work.result.job.target, self._options)
                    if work.confidence is not None and work.result.job.confidence is not None:
                        write_picture(work.confidence, work.result.job.confidence)
                    work.result.pixels_out = _count(work.picture)
            work.picture = work.confidence = None
        finally:
            self._room.give_back(work.room)
        return work.result


def _bytes(frame: Picture) -> int:
    return frame.pixels.nbytes + (0 if frame.alpha is None else frame.alpha.nbytes)


def _source(job: Job) -> Path | BytesIO:
    """Return the path of a picture, or what is in it where that can be read only once. Raises PictureError."""
    try:
        if job.source is None:
            return BytesIO(sys.stdin.buffer.read())
        return BytesIO(job.source.read_bytes()) if job.source.is_fifo() else job.source
    except OSError as error:
        raise PictureError(f"{job.source_name}: cannot be read: {error.strerror}") from error


def _fingerprint(source: Path | BytesIO, settings: str) -> str:
    """Return 32 digits that another content or other settings would change. Raises PictureError."""
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
        else:
            content = hashlib.sha256(source.getbuffer())
    except FileNotFoundError as error:
        raise PictureError(f"{source}: no such file") from error
    except OSError as error:
        raise PictureError(f"{source}: cannot be read: {error.strerror}") from error
    return hashlib.sha256(f"{content.hexdigest()} {settings}".encode()).hexdigest()[:32]


def _to_stdout(picture: Picture, options: WriteOptions) -> None:
    try:
        write_picture(picture, sys.stdout.buffer, options)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputError(f"standard output: cannot be written: {error.strerror or error}") from error


def _count(picture: Picture) -> int:
    return sum(frame.pixels.shape[0] * frame.pixels.shape[1] for frame in picture.frames)
