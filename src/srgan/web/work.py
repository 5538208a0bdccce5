"""The way of a picture through the service: decoded, enlarged, encoded, each in threads of its own.

One thread decodes, one runs the networks, which use all processors themselves, and a few encode, so that the three
overlap. The network goes from picture to picture in the order that they came, but a much smaller one need not wait for
more than a tile of a large one. Pictures that are decoded, and results, take room, of which there is so much and no
more.
"""

import asyncio
import hashlib
import math
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import takewhile
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from srgan.errors import SrganError
from srgan.image.alpha import bleed
from srgan.image.colour import Pixels, from_floats, is_gray_in_rgb, to_floats
from srgan.image.heat import check_map, heat
from srgan.image.picture import Condition, Limits, Picture, signed
from srgan.image.reading import read_picture
from srgan.image.resize import imresize
from srgan.image.seamless import margin_of
from srgan.image.size import Size
from srgan.image.writing import WriteOptions, check_result, result_format, write_picture
from srgan.inference.ensemble import ORIENTATIONS
from srgan.inference.fingerprint import all_settings, fingerprint, map_settings, network_settings
from srgan.inference.pipeline import BYTES_IN_FLIGHT, held_bytes
from srgan.inference.upscaler import Progress, condition_for
from srgan.web.costs import bytes_of_bicubic, bytes_of_weights, check_sides, count_scans, network_pixels
from srgan.web.metrics import Metrics
from srgan.web.networks import Networks
from srgan.web.parameters import BICUBIC, Crop, Order
from srgan.web.problems import Problem, problem_of
from srgan.weights import Choice, choose, counterpart

_T = TypeVar("_T")

State: TypeAlias = Literal["waiting", "working", "writing", "done", "failed"]

_ENCODERS = 2
_MOST_SCANS = 100  # of a JPEG: each goes over all pixels again, and a small file has room for thousands
_MUCH_SMALLER = 8  # times as few pixels through a network


class EndedError(Exception):
    """The work on a picture is to go no further."""


@dataclass
class Made:
    """A result: the bytes of its file, and the sizes of the two pictures (width, height).

    model         what made it
    repair        how far its weights were on the way from srgan-plus's, where they were between two networks' of it
    condition     of the picture, all of it: as its file says and, for a model that asks, its pixels
    release       is called when the bytes are needed no more
    """

    content: bytes
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    model: str
    repair: float | None
    condition: Condition
    seconds: float
    release: Callable[[], None]


class Work:
    """A picture on its way. What threads see of one another in it are single values.

    dropped  is called when the content, the picture's file, is held no more; any number of times
    """

    def __init__(
        self, request_id: str, order: Order, content: bytes, seconds: float, dropped: Callable[[], None]
    ) -> None:
        self.id, self.order = request_id, order
        self.content, self._dropped = content, dropped
        self._used = False  # by the thread that decodes
        self.start = time.monotonic()
        self.deadline = self.start + seconds
        self.ended = False
        self.state: State = "waiting"
        self.detail = ""  # of what failed
        self.picture: Picture | None = None
        self.fingerprint = ""
        self.keeps_gray = True  # but for a part of a picture in colours, which is as in the result of the whole
        self.size_in = self.size_out = (0, 0)
        self.choice = Choice(order.model)  # what makes it, once it is decoded
        self.condition = Condition()
        self.needs = 0  # bytes of room
        self.cost = 0  # pixels that go through a network
        self.turn: Callable[[], None] | None = None  # what the network does for it, until it has begun
        self._step: Future[Any] | None = None  # that it is at, or waits for, in a thread
        self.network_start, self.expected, self.fraction = 0.0, 0.0, 0.0
        self.lent = 0.0  # seconds since then in which the network was another's

    def end(self) -> None:
        """Let it go no further than to the end of the tile that it is at, of an ensemble once of the eight times."""
        self.ended = True
        if self._step is not None:
            self._step.cancel()
        if not self._used:
            self._drop()

    async def after(self, step: Future[_T]) -> _T:
        """Return what a step gives in a thread. Raises EndedError where it is ended before that has begun."""
        self._step = step
        if self.ended:
            step.cancel()
        try:
            return await asyncio.wrap_future(step)
        except asyncio.CancelledError:
            if step.cancelled() and self.ended:
                raise EndedError from None
            raise
        finally:
            self._step = None

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Keep the content to the end of the block, whatever happens, and no longer."""
        self._used = True
        try:
            yield
        finally:
            self._used = False
            self._drop()

    def _drop(self) -> None:
        self.content = b""
        self._dropped()

    def check(self) -> None:
        """Raise EndedError where it is to go no further."""
        if self.ended or time.monotonic() > self.deadline:
            raise EndedError

    def progress(self, fraction: float) -> None:
        """Be told what fraction the network has done."""
        self.check()
        self.fraction = fraction


class _Room:
    """Bytes that pictures and results hold. One that is alone gets as many as it wants; one at a time takes."""

    def __init__(self, size: int, on_change: Callable[[int], None]) -> None:
        self._size, self._on_change = size, on_change
        self._held = 0
        self._changed = asyncio.Event()

    async def take(self, size: int, check: Callable[[], None]) -> None:
        """Wait for room, for as long as `check` does not raise."""
        while self._held and self._held + size > self._size:
            check()
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.5)
        self.change(size)

    def change(self, by: int) -> None:
        """Hold more or fewer bytes, whatever is free."""
        self._held += by
        self._on_change(self._held)
        self._changed.set()


class Workshop:
    """Makes results, of several pictures at a time."""

    def __init__(self, networks: Networks, limits: Limits, metrics: Metrics) -> None:
        self._networks, self._limits, self._metrics = networks, limits, metrics
        self._decoder = ThreadPoolExecutor(1, "srgan-decode")
        self._network = ThreadPoolExecutor(1, "srgan-network")
        self._encoders = ThreadPoolExecutor(_ENCODERS, "srgan-encode")
        self._room = _Room(BYTES_IN_FLIGHT, metrics.room.set)
        self._next = asyncio.Lock()  # decoding and finding room, one picture after another
        self._at_work: dict[Work, None] = {}  # in the order that they came
        self._passing = False  # a small picture passes a large one
        self._pace = 1.0  # seconds that the network takes for a picture, of late
        self._rate = 0.0  # pixels that go through networks in a second, of late; 0: not known yet

    async def warm_up(self) -> None:
        """Load the network that most will ask for."""
        choice = choose(self._networks.default)
        await asyncio.get_running_loop().run_in_executor(self._network, self._networks.get, choice)

    def close(self) -> None:
        """Take no more work; what is under way in threads ends by itself."""
        for pool in (self._decoder, self._network, self._encoders):
            pool.shutdown(wait=False, cancel_futures=True)

    def count(self, state: State) -> int:
        """Return how many pictures are waiting, or working, or writing."""
        return sum(work.state == state and not work.ended for work in self._at_work)

    async def _in_turn(self, work: Work) -> None:
        """Have a picture enlarged by a network: when it is first in the queue, or before, see `_step`."""
        done: Future[None] = Future()

        def turn() -> None:
            begun, work.turn = work.turn is None, None
            if begun or not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(self._timed("network", self._enlarge, work))
            except BaseException as error:
                done.set_exception(error)

        work.turn = turn
        self._network.submit(turn)
        await work.after(done)

    def _step(self, work: Work, fraction: float) -> None:
        """Be told what fraction the network has done of a picture: between two tells a much smaller one may pass."""
        work.progress(fraction)
        if self._passing or fraction == 1:
            return
        small = (other for other in tuple(self._at_work) if other.cost * _MUCH_SMALLER <= work.cost)
        turn = next((other.turn for other in small if other.turn is not None), None)
        if turn is not None:
            start, self._passing = time.monotonic(), True
            turn()
            work.lent, self._passing = work.lent + time.monotonic() - start, False

    @property
    def patience(self) -> int:
        """Seconds after which half of those that wait will have gone."""
        return max(1, math.ceil(self._pace * (self.count("waiting") + 1) / 2))

    def told(self, work: Work) -> dict[str, Any]:
        """Return what is told of the progress of some work."""
        if work.state == "failed" or (work.ended and work.state != "done"):  # a thread may not have seen it yet
            return {"state": "failed", "detail": work.detail}
        if work.state == "waiting":
            return {"state": "waiting", "before": self._before(work)}
        if work.state != "working":
            return {"state": work.state}
        seconds = time.monotonic() - work.network_start - work.lent
        fraction, left = work.fraction, None
        if work.expected:  # within a tile, by how long the last pictures took
            fraction = max(fraction, min(seconds / work.expected, 0.95))
            left = max(work.expected - seconds, 0.0)
        if work.fraction:
            left = seconds * (1 / work.fraction - 1)
        return {
            "state": "working",
            "fraction": round(fraction, 3),
            "seconds": round(seconds, 1),
            "seconds_left": None if left is None else round(left, 1),
        }

    def _before(self, work: Work) -> int:
        """Return how many pictures the network comes to before one that waits."""
        earlier = takewhile(lambda other: other is not work, self._at_work)
        return sum(other.state in ("waiting", "working") and not other.ended for other in earlier)

    async def make(self, work: Work) -> Made:
        """Return the result that was ordered. Raises Problem, and EndedError for work that was ended or too long."""
        self._at_work[work] = None
        held = 0
        try:
            async with self._next:
                with work.decoding():
                    await self._in(self._decoder, "decode", self._decode, work)
                await self._room.take(work.needs, work.check)
                held = work.needs
            if work.order.model == BICUBIC:
                await self._in(self._encoders, "bicubic", self._enlarge, work)
            else:
                await self._in_turn(work)
            work.state = "writing"
            content = await self._in(self._encoders, "encode", self._encode, work)
        except SrganError as error:
            raise problem_of(error) from error
        except MemoryError as error:
            raise Problem("failed", "not enough memory for this picture and its result") from error
        else:
            size = len(content)
            self._room.change(size)
            seconds = time.monotonic() - work.start
            return Made(
                content,
                work.size_in,
                work.size_out,
                str(work.choice.model),
                work.choice.repair,
                work.condition,
                seconds,
                lambda: self._room.change(-size),
            )
        finally:
            del self._at_work[work]
            work.picture = None
            self._room.change(-held)

    async def _in(self, pool: ThreadPoolExecutor, stage: str, step: Callable[[Work], _T], work: Work) -> _T:
        """Return what a step gives in a pool's thread."""
        return await work.after(pool.submit(self._timed, stage, step, work))

    def _timed(self, stage: str, step: Callable[[Work], _T], work: Work) -> _T:
        work.check()
        start = time.perf_counter()
        try:
            return step(work)
        except Exception as error:
            _forget(error)
            raise
        finally:
            self._metrics.stages.labels(stage).observe(time.perf_counter() - start)

    def _decode(self, work: Work) -> None:
        order = work.order
        if work.content[:2] == b"\xff\xd8" and count_scans(work.content) > _MOST_SCANS:
            raise Problem("not-a-picture", f"{order.name}: a JPEG of more than {_MOST_SCANS} scans")
        picture = read_picture(BytesIO(work.content), self._limits, name=order.name)
        if order.first or order.doubt:
            picture = replace(picture, more=(), timing=None)
        asked = order.model, order.detail, order.repair
        work.condition = condition_for(*asked, picture, consistent=order.consistent)
        if order.crop is not None:
            work.keeps_gray = picture.alpha is not None or is_gray_in_rgb(picture.pixels)
            picture = _cropped(picture, order.crop)
        check_sides(picture, order)
        check = check_map if order.doubt else check_result
        check(None, picture, order.size, _options(order), self._limits)
        work.choice = choose(*asked, *work.condition, consistent=order.consistent)
        if order.model == BICUBIC:
            work.needs = bytes_of_bicubic(picture, order.size)
        else:
            card, times = self._networks.cards[str(work.choice.model)], 2 if order.doubt else 1
            scale = card["scale"]
            around = margin_of(card["halo"], scale, consistent=order.consistent, seamless=order.seamless)
            work.needs = held_bytes(picture, order.size, scale, self._limits, "result", around) * times
            work.needs += bytes_of_weights(picture, order.size, scale, around)
            work.cost = network_pixels(picture, order.size, scale, around) * times
            work.cost *= ORIENTATIONS if order.ensemble else 1
            work.fingerprint = self._fingerprint(work)
        height, width = picture.pixels.shape[:2]
        work.size_in, work.picture = (width, height), picture
        self._metrics.pixels.labels("in").inc(picture.pixel_count)

    def _fingerprint(self, work: Work) -> str:
        """Return what a result of the command line with the same options carries as well."""
        order = work.order
        settings = network_settings(
            self._networks.places[order.model],
            precision=self._networks.precision,
            size=order.size,
            detail=order.detail,
            repair=order.repair,
            consistent=order.consistent,
            ensemble=order.ensemble,
            seamless=order.seamless,
        )
        if order.crop is not None:
            settings += f" {order.crop}"
        if order.first:
            settings += " first"
        if order.doubt:
            settings = map_settings(settings)
        options = _options(order)
        result = result_format(None, options)
        return fingerprint(hashlib.sha256(work.content).hexdigest(), all_settings(settings, result, options))

    def _enlarge(self, work: Work) -> None:
        assert work.picture is not None
        work.network_start = time.monotonic()
        work.expected = work.cost / self._rate if self._rate else 0.0
        work.state = "working"
        self._metrics.stages.labels("wait").observe(work.network_start - work.start)
        order, picture = work.order, work.picture
        if order.model == BICUBIC:
            work.picture = _bicubic(picture, order.size, work.check, work.progress)
            return
        if order.doubt:
            other = Choice(counterpart(str(work.choice.model)))
            one = self._through(work.choice, work, picture, lambda part: self._step(work, part / 2))
            two = self._through(other, work, picture, lambda part: self._step(work, (1 + part) / 2))
            result = Picture(heat(one.pixels, two.pixels), maker=one.maker)
        else:
            result = self._through(work.choice, work, picture, partial(self._step, work))
        work.picture = signed(result, work.fingerprint)
        seconds = time.monotonic() - work.network_start - work.lent
        self._pace += (seconds - self._pace) / 8
        self._rate += (work.cost / seconds - self._rate) / (8 if self._rate else 1)

    def _through(self, choice: Choice, work: Work, picture: Picture, progress: Progress) -> Picture:
        """Return a picture that went through a network, which keeps no memory of it: that costs no time measurable."""
        order = work.order
        how = {"consistent": order.consistent, "seamless": order.seamless}
        upscaler = self._networks.get(choice, ensemble=order.ensemble).making(order.size, **how)
        upscaler.keeps_gray = work.keeps_gray
        try:
            return upscaler.upscale_picture(picture, progress)
        finally:
            upscaler.network.rest()

    def _encode(self, work: Work) -> bytes:
        assert work.picture is not None
        content = BytesIO()
        write_picture(work.picture, content, _options(work.order))
        height, width = work.picture.pixels.shape[:2]
        work.size_out = width, height
        self._metrics.pixels.labels("out").inc(work.picture.pixel_count)
        return content.getvalue()


def _forget(error: BaseException) -> None:
    """Let go of the pictures that are held by the functions which an error came through."""
    held: BaseException | None = error
    while held is not None:
        traceback.clear_frames(held.__traceback__)
        held = held.__context__


def _options(order: Order) -> WriteOptions:
    """Return how a result is written: a map is a picture of its own, and keeps the format alone."""
    return WriteOptions(order.options.format) if order.doubt else order.options


def _cropped(picture: Picture, crop: Crop) -> Picture:
    """Return a part of a picture and of all its frames. Raises Problem for one that is not inside each of them."""
    for number, frame in enumerate(picture.frames, 1):
        height, width = frame.pixels.shape[:2]
        if crop.left + crop.width > width or crop.top + crop.height > height:
            what = "the picture" if number == 1 else f"page {number} of the picture"
            raise Problem("bad-parameter", f"the crop is not inside {what}, which has {width}x{height} pixels")
    rows, columns = slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)

    def part(frame: Picture) -> Picture:  # a copy, which does not hold the whole
        alpha = None if frame.alpha is None else frame.alpha[rows, columns].copy()
        return replace(frame, pixels=frame.pixels[rows, columns].copy(), alpha=alpha, more=())

    first, *more = (part(frame) for frame in picture.frames)
    return replace(first, more=tuple(more))


def _bicubic(picture: Picture, size: Size, check: Callable[[], None], progress: Progress) -> Picture:
    """Return a picture enlarged by MATLAB's bicubic, frame by frame."""

    def resize(pixels: Pixels, height: int, width: int) -> Pixels:
        if pixels.dtype == np.uint8:
            return imresize(cast(NDArray[np.uint8], pixels), size=(height, width), check=check)
        return from_floats(imresize(to_floats(pixels), size=(height, width), check=check), pixels.dtype)

    frames = []
    for number, frame in enumerate(picture.frames, 1):
        height, width = size.of(*frame.pixels.shape[:2])
        pixels = frame.pixels if frame.alpha is None else bleed(frame.pixels, frame.alpha)
        alpha = None if frame.alpha is None else resize(frame.alpha, height, width)
        frames.append(replace(frame, pixels=resize(pixels, height, width), alpha=alpha, more=()))
        progress(number / len(picture.frames))
    return replace(frames[0], more=tuple(frames[1:]))
