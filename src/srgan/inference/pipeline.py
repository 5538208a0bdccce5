"""Three things at once: threads read, the calling thread runs the network, and other threads write.

What is between them is held to a number of bytes.
"""

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Condition, Event, Thread
from typing import Generic, TypeVar

from srgan.errors import InferenceError, SrganError, TooLargeError
from srgan.image.picture import Limits, Picture, in_words
from srgan.image.seamless import Margin, widened
from srgan.image.size import Size, passes
from srgan.threads import processors

BYTES_IN_FLIGHT = 800_000_000
"""Of pictures and their results, from decoding to the end of writing. A picture of more goes alone."""

PATIENCE = 2.0
"""Seconds that a pipeline which is ended waits for what is being written."""

PICTURES_AHEAD = 64
"""Of the one that the network is at, which are looked at and, where there is room, decoded."""

WRITERS = min(8, processors())

_Job = TypeVar("_Job")
_Work = TypeVar("_Work")
_Result = TypeVar("_Result")


@dataclass
class Parts:
    """How long the parts of a picture's work took, in seconds, and the error that ended it.

    name  what the picture is called in errors
    """

    name: str
    seconds: dict[str, float] = field(default_factory=dict)
    error: SrganError | None = None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the work; an error in it is the picture's, and ends the block but nothing else."""
        start = time.perf_counter()
        try:
            yield
        except MemoryError as error:
            self._fail(InferenceError(f"{self.name}: not enough memory for this picture and its result"), error)
        except InferenceError as error:
            self._fail(InferenceError(f"{self.name}: {error}"), error)
        except SrganError as error:
            self._fail(error, error.__cause__)
        except Exception as error:  # what nobody thought of is of this picture too, and no reason to lose the others
            self._fail(SrganError(f"{self.name}: {type(error).__name__}: {error}"), error)
        finally:
            self.seconds[name] = time.perf_counter() - start

    def _fail(self, error: SrganError, cause: BaseException | None) -> None:
        error.__cause__ = cause
        self.error = error
        held: BaseException | None = error
        while held is not None:  # the functions that an error came through hold pictures
            traceback.clear_frames(held.__traceback__)
            held = held.__cause__


def held_bytes(
    picture: Picture, size: Size, scale: int, limits: Limits, name: str, around: Margin | None = None
) -> int:
    """Return the bytes of a picture and of the largest that is made of it on the way to a size.

    scale   the network's
    name    what the result is called in errors
    around  how much of the picture goes through the network again on each side, where it wraps around

    Raises TooLargeError where that has more pixels than the limit.
    """
    held = 0
    for frame in picture.frames:
        lr = frame.pixels.shape[:2]
        sr = size.of(*lr)
        height, width = widened(lr, sr, around)
        growth = scale ** (2 * passes(lr, sr, scale))
        if growth * height * width > limits.output_pixels:
            made = in_words(growth * height * width)
            raise TooLargeError(
                f"{name}: the network makes {made} on the way to that size, more than the limit of"
                f" {in_words(limits.output_pixels)}; --max-output-pixels raises it"
            )
        own = frame.pixels.nbytes + (0 if frame.alpha is None else frame.alpha.nbytes)
        held += (1 + growth) * own * height * width // (lr[0] * lr[1])
    return held


class Room:
    """Bytes that pictures hold while they are in flight, given in the order of the pictures.

    One that is alone gets as many as it wants.
    """

    def __init__(self, size: int) -> None:
        self._size, self._held, self._next = size, 0, 0
        self._changed = Condition()

    def take(self, number: int, size: int) -> None:
        """Wait for the turn of a picture, the numbers count from 0, and until there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._size == sys.maxsize or (number == self._next and self._fits(size)))
            self._held += size
            self._next += 1
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._size

    def give_back(self, size: int) -> None:
        """Let others have the bytes that a picture held."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def open_wide(self) -> None:
        """Let whoever waits go on."""
        with self._changed:
            self._size = sys.maxsize
            self._changed.notify_all()


class Pipeline(Generic[_Job, _Work, _Result]):
    """The stages that a picture goes through, each a function.

    read     a job to the work on it, in one of `readers` threads
    size     how many bytes it and its result hold from now on
    network  what the calling thread does, in the order of the jobs
    write    the work to its result, in one of `writers` threads
    """

    def __init__(
        self,
        read: Callable[[_Job], _Work],
        size: Callable[[_Work], int],
        network: Callable[[_Work], object],
        write: Callable[[_Work], _Result],
        *,
        readers: int = 1,
        writers: int | None = None,
        ahead: int = PICTURES_AHEAD,
        room: int | None = None,
    ) -> None:
        self._read, self._size, self._network, self._write = read, size, network, write
        self._readers = ThreadPoolExecutor(readers, "srgan-read")
        self._writers = ThreadPoolExecutor(writers or WRITERS, "srgan-write")
        self._ahead = ahead
        self._room = Room(room or BYTES_IN_FLIGHT)

    def run(self, jobs: Iterable[_Job]) -> Generator[_Result, None, None]:
        """Yield the results, in the order of the jobs, as they are written.

        An error of a stage, or of whoever takes the results, and Ctrl-C, end it all: for what is being written there
        are two seconds to be done, and the rest is dropped.
        """
        writing: deque[Future[_Result]] = deque()
        reading: Queue[Future[tuple[_Work, int]] | None] = Queue(self._ahead)
        ended = Event()
        feeder = Thread(target=self._feed, args=(jobs, reading, ended), name="srgan-jobs", daemon=True)
        feeder.start()
        try:
            while (future := reading.get()) is not None:
                work, size = future.result()
                self._network(work)
                writing.append(self._writers.submit(self._give, work, size))
                del work, future  # its writer alone holds it
                while writing and writing[0].done():
                    yield writing.popleft().result()
            while writing:
                yield writing[0].result()
                writing.popleft()
        finally:
            ended.set()
            with suppress(Empty):  # so that the feeder, which may wait for a place, sees it
                while True:
                    reading.get_nowait()
            self._room.open_wide()
            self._readers.shutdown(wait=False, cancel_futures=True)
            self._writers.shutdown(wait=False, cancel_futures=True)
            wait([result for result in writing if not result.cancelled()], PATIENCE)

    def _feed(self, jobs: Iterable[_Job], reading: "Queue[Future[tuple[_Work, int]] | None]", ended: Event) -> None:
        """Let jobs be read, as many ahead as there are places for."""
        try:
            for number, job in enumerate(jobs):
                if ended.is_set():
                    return
                reading.put(self._readers.submit(self._take, number, job))
        except BaseException as error:  # of the jobs, for whoever takes the results; or no more is taken: it has ended
            failed: Future[tuple[_Work, int]] = Future()
            failed.set_exception(error)
            if not ended.is_set():
                reading.put(failed)
        finally:
            if not ended.is_set():
                reading.put(None)

    def _take(self, number: int, job: _Job) -> tuple[_Work, int]:
        work = self._read(job)
        size = self._size(work)
        self._room.take(number, size)
        return work, size

    def _give(self, work: _Work, size: int) -> _Result:
        try:
            return self._write(work)
        finally:
            self._room.give_back(size)
