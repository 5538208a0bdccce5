"""Pictures through a network, tile by tile: the Python interface."""

import math
import os
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from numbers import Integral
from os import PathLike, fsdecode
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan import __version__
from srgan.errors import ArgumentError, TooLargeError
from srgan.image.alpha import bleed, hold
from srgan.image.colour import Pixels, gray_in_rgb, is_gray_in_rgb
from srgan.image.consistent import consistent
from srgan.image.heat import heat
from srgan.image.picture import (
    Condition,
    Limits,
    Maker,
    Picture,
    array_from_picture,
    image_from_picture,
    picture_from_array,
)
from srgan.image.reading import picture_from_image, read_picture
from srgan.image.resample import resample
from srgan.image.seamless import Margin, inside, margin_of, widened, wrapped
from srgan.image.size import Size, passes
from srgan.image.tiles import Plan, plan_tiles
from srgan.inference.network import Network
from srgan.inference.pipeline import held_bytes
from srgan.inference.runtime import load_network
from srgan.inference.windows import steps, upscale_pixels
from srgan.weights import AUTO, NAMES, Choice, choose, counterpart, is_left_to_pixels

Progress: TypeAlias = Callable[[float], None]
"""Is told, after every tile, of an ensemble after each of the eight times, what fraction of the picture is done."""

_Array = TypeVar("_Array", NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32])


class Upscaler:
    """A loaded network that upscales pictures one after another.

    Threads may share one, and wait for each other: a network takes all processors. So may a process and those forked
    from it at any moment, where the first to run a network there loads it anew; it cannot be pickled.
    """

    keeps_gray = True
    """Whether three equal channels come back as such; else as the network makes them, with a tint here and there."""

    def __init__(
        self,
        model: str | Path = AUTO,
        *,
        size: Size | float | None = None,
        detail: float | None = None,
        repair: float | None = None,
        consistent: bool = False,
        ensemble: bool = False,
        seamless: bool = False,
        runtime: str = "auto",
        precision: str = "auto",
        tile: int | None = None,
        threads: int | None = None,
        memory: int | None = None,
    ) -> None:
        """Load a network.

        model       "srgan-plus" (sharp, invents plausible detail), "srgan-photo" (the same for pictures with noise and
                    JPEG's blocks), "srgan-deblur" (and with blur), "srgan-fast", "srgan-fast-photo" and "srgan-fast-
                    deblur" (the same three in a seventh of the time), "srgan" (by the paper's losses), "srresnet"
                    (closest pixel by pixel), or the path of an .onnx or .safetensors file; "auto" is srgan-photo for
                    JPEGs of quality 90 or less, WebPs of 65 and AVIFs of 60, the network halfway to it (repair=0.5) for
                    those up to 97, 90 and 80, each loaded when the first such picture comes, and srgan-plus for all
                    else; what was such a JPEG once and is a PNG, a finer JPEG or an array now counts as one, where its
                    pixels show it, and noise of 3.5 levels of 255 or more asks for srgan-photo, of 1.5 for half; blur
                    of 0.6 pixels or more asks for srgan-deblur, of 0.25 for the network halfway to that; "auto-fast" is
                    the same of the fast ones
        size        what size results have, or how many times the size; by default what the network makes, 4 times.
                    Other sizes are resampled from what it makes of the picture, or of its own result
        detail      from 0, srresnet, to 1, srgan-plus, at the cost of one: between their weights. Default: 1
        repair      from 0, srgan-plus, over 1, srgan-photo, to 2, srgan-deblur, likewise, or from 0, srgan-fast, over
                    1, srgan-fast-photo, to 2, srgan-fast-deblur; by default what the model auto takes
        consistent  correct results until they come back to their picture when they are made small again
        ensemble    the mean of what the network makes of the picture in its eight orientations: closer to the original,
                    at eight times the work
        seamless    pictures continue where they wrap around, as a texture's tiles do: so do their results
        runtime     openvino, onnxruntime or torch; auto is torch where there is CUDA, else openvino, else onnxruntime
        precision   bf16 or fp32; auto is bf16 where the device has it in hardware; pictures of more than 8 bits
                    are computed in fp32 in any case
        tile        the side in pixels of the square windows that a large picture is cut into, 0 for none; by
                    default the shapes with the least work that `memory` has room for
        threads     how many processors to use; by default all that the process is allowed
        memory      how many bytes to take beside pictures and results: of the process, or of the GPU that
                    computes; by default 1.2 GB of a process, three quarters of what is free of a GPU

        Raises ArgumentError (a ValueError), WeightsError, or RuntimeMissingError.
        """
        for name, value in (("tile", tile), ("threads", threads), ("memory", memory)):
            if value is not None and not isinstance(value, Integral):
                raise ArgumentError(f"{name} is a whole number, not {value!r}")
        how: dict[str, Any] = {"ensemble": ensemble, "runtime": runtime, "precision": precision, "threads": threads}
        self._asked = model, detail, repair
        self._locks: dict[int, RLock] = {}  # by processes, of all that share the networks
        choice = choose(*self._asked)
        self.network: Network = _load(choice, how)
        self._loaded = {choice: self.network}
        self.size = _size(self.network.scale if size is None else size)
        self._consistent, self._seamless, self._how, self._memory = consistent, seamless, how, memory
        self.tile = tile
        self.window_pixels = self._window_pixels(memory)
        self._plan(1, 1, self.network)  # complains of an impossible tile now

    @property
    def _alone(self) -> RLock:
        """What a thread holds while it runs the networks; a picture may be begun within another's progress.

        Of each process another: a fork may find it held, by a thread that it does not have.
        """
        return self._locks.setdefault(os.getpid(), RLock())

    def making(self, size: Size | float, *, consistent: bool | None = None, seamless: bool | None = None) -> "Upscaler":
        """Return an upscaler for results of another size with the same network, loaded once; all else as here."""
        other = copy(self)
        other.size = _size(size)
        other._consistent = self._consistent if consistent is None else consistent
        other._seamless = self._seamless if seamless is None else seamless
        other.__dict__.pop("_other", None)
        return other

    @overload
    def upscale(self, picture: str | PathLike[str] | BinaryIO | Image.Image) -> Image.Image: ...
    @overload
    def upscale(self, picture: _Array) -> _Array: ...
    def upscale(self, picture: Any) -> Any:
        """Return a picture enlarged, as what it came: see `srgan.upscale`."""
        if isinstance(picture, (str, PathLike)):
            return image_from_picture(self._first_of(_read(Path(fsdecode(picture)))))
        if isinstance(picture, Image.Image):
            return image_from_picture(self._first_of(picture_from_image(picture)))
        if isinstance(picture, np.ndarray):
            result = array_from_picture(self._first_of(picture_from_array(picture)))
            result = result.view(np.ndarray)  # one that lies in a file as well
            return result.copy() if np.may_share_memory(result, picture) else result
        if hasattr(picture, "read"):
            return image_from_picture(self._first_of(_read(picture)))
        raise ArgumentError(f"a picture is a path, a file, a Pillow image or an array, not {type(picture).__name__}")

    def _first_of(self, picture: Picture) -> Picture:
        """Return the first frame of a picture enlarged. Raises TooLargeError for a result over the usual limit."""
        first = replace(picture, more=(), timing=None)
        try:
            held_bytes(first, self.size, self.network.scale, Limits(), "the result", self._margin(self.network))
        except TooLargeError as error:
            raise TooLargeError(f"{error.told}; upscale_picture has none") from error
        return self.upscale_picture(first)

    def upscale_picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Return a decoded picture enlarged; transparency goes through the network as gray.

        Raises InferenceError where the network fails on a tile or gives values that are not finite.
        """
        with self._alone:
            return self._upscale(picture, progress)

    def _upscale(self, picture: Picture, progress: Progress | None) -> Picture:
        chosen = self._network_for(picture)
        networks = [_for_depth(chosen, frame) for frame in picture.frames]
        plans = [self._plans_for(frame, network) for frame, network in zip(picture.frames, networks, strict=True)]
        planes = [1 if frame.alpha is None or _is_flat(frame.alpha) else 2 for frame in picture.frames]
        total = sum(len(plan) * count for several, count in zip(plans, planes, strict=True) for plan in several)
        total *= steps(chosen)
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done / total)

        first, *more = (
            self._upscale_frame(*of_frame, step) for of_frame in zip(picture.frames, networks, plans, strict=True)
        )
        network = (chosen.card["name"], chosen.checksum) if total else (None, None)
        maker = Maker(f"srgan {__version__}", *network)
        return replace(first, more=tuple(more), maker=maker)

    def doubt(self, picture: Picture, result: Picture) -> Picture:
        """Return where the result of a picture shows detail that another network does not see: a map of its size.

        The other one is srresnet, which invents least; for a result of srresnet it is srgan-plus. See
        `srgan.image.heat`. Of several frames the first one's. Raises ArgumentError for another model.
        """
        with self._alone:
            other = self._other.upscale_picture(replace(picture, more=(), timing=None))
        return Picture(heat(result.pixels, other.pixels), maker=result.maker)

    @cached_property
    def _other(self) -> "Upscaler":
        model = choose(*self._asked).model
        if model not in NAMES:
            raise ArgumentError(f"doubt compares {', '.join(NAMES)}; {model} is none of them")
        how: dict[str, Any] = {"tile": self.tile, "memory": self._memory, **self._how}
        how |= {"consistent": self._consistent, "seamless": self._seamless}
        return Upscaler(counterpart(str(model)), size=self.size, **how)

    def _upscale_frame(
        self, frame: Picture, network: Network, plans: Sequence[Plan], step: Callable[[], None]
    ) -> Picture:
        size, margin = self.size.of(*frame.pixels.shape[:2]), self._margin(network)
        around = 0 if margin is None else margin(frame.pixels.shape[:2], size)
        pixels, alpha = frame.pixels, frame.alpha
        if around:
            pixels, alpha = wrapped(pixels, around), None if alpha is None else wrapped(alpha, around)
        if alpha is not None:
            pixels = bleed(pixels, alpha)
        if alpha is not None and around:  # what filled the clear parts is to wrap around as well
            pixels = wrapped(pixels[around:-around, around:-around], around)
        colourless = self.keeps_gray and is_gray_in_rgb(pixels)
        if colourless:
            pixels = pixels[..., 0]
        for plan in plans:
            lr, pixels = pixels, upscale_pixels(network, pixels, plan, step)
            if self._consistent:
                pixels = consistent(pixels, lr)
        part = inside(pixels, around * network.scale ** len(plans)) if around else None
        pixels = resample(pixels, *size, box=part)
        if colourless:
            pixels = gray_in_rgb(pixels)
        if alpha is not None and _is_flat(alpha):
            alpha = np.full(size, alpha[0, 0])
        elif alpha is not None:
            for plan in plans:
                lr, alpha = alpha, upscale_pixels(network, alpha, plan, step)
                hold(alpha, lr, network.scale)
            alpha = resample(alpha, *size, Image.Resampling.HAMMING, box=part)  # as sharp, and an edge gets no ghosts
        return replace(frame, pixels=pixels, alpha=alpha)

    def _network_for(self, picture: Picture) -> Network:
        """Return the network that a picture asks for; others keep no memory meanwhile."""
        condition = condition_for(*self._asked, picture, consistent=self._consistent)
        choice = choose(*self._asked, *condition, consistent=self._consistent)
        if choice not in self._loaded:
            self._loaded[choice] = _load(choice, self._how)
        for other, network in self._loaded.items():
            if other != choice:
                network.rest()
        return self._loaded[choice]

    def _plans_for(self, frame: Picture, network: Network) -> list[Plan]:
        """Return the windows of each time that a frame goes through a network."""
        lr = frame.pixels.shape[:2]
        sr, scale = self.size.of(*lr), network.scale
        height, width = widened(lr, sr, self._margin(network))
        return [self._plan(height * scale**i, width * scale**i, network) for i in range(passes(lr, sr, scale))]

    def _margin(self, network: Network) -> Margin | None:
        """Return how much of a frame that continues where it wraps around goes through a network on each side."""
        return margin_of(network.halo, network.scale, consistent=self._consistent, seamless=self._seamless)

    def _plan(self, height: int, width: int, network: Network) -> Plan:
        pixels = max(self.window_pixels * self.network.pixel_bytes // network.pixel_bytes, _least_pixels(network))
        return plan_tiles(height, width, halo=network.halo, tile=self.tile, pixels=pixels)

    def _window_pixels(self, memory: int | None) -> int:
        """Return how many pixels a window may have. Raises ArgumentError where the memory is too little."""
        network = self.network
        least = _least_pixels(network)
        if memory is None:
            return max((network.memory - network.own_bytes) // network.pixel_bytes, least)
        pixels = (memory - network.own_bytes) // network.pixel_bytes
        if pixels < least:
            needed = network.own_bytes + least * network.pixel_bytes
            raise ArgumentError(
                f"{memory / 1e6:.0f} MB of memory are too little: this network needs {math.ceil(needed / 1e6)} MB"
            )
        return pixels


def condition_for(
    model: str | Path, detail: float | None, repair: float | None, picture: Picture, *, consistent: bool = False
) -> Condition:
    """Return a picture's condition: as its file says, and its pixels where what is asked for depends on them.

    That takes some 60 ms of a processor, once for a picture.
    """
    said = picture.metadata.coding
    looked = is_left_to_pixels(model, detail, repair, said, consistent=consistent)
    return picture.condition if looked else Condition(said)


def _size(size: Size | float) -> Size:
    return size if isinstance(size, Size) else Size(scale=size)


@overload
def upscale(
    picture: str | PathLike[str] | BinaryIO | Image.Image, model: str | Path = AUTO, *, size: Size | float | None = None
) -> Image.Image: ...
@overload
def upscale(picture: _Array, model: str | Path = AUTO, *, size: Size | float | None = None) -> _Array: ...
def upscale(picture: Any, model: str | Path = AUTO, *, size: Size | float | None = None) -> Any:
    """Return a picture enlarged, four times as wide and high.

    picture  a path, a binary file, a Pillow image, or an array (H, W, 3), (H, W, 4) or (H, W) of uint8, uint16, or
             float32 in [0, 1]
    model    "auto" (by the picture's noise and blur and what JPEG, WebP or AVIF has done to it: srgan-plus,
             srgan-photo, srgan-deblur, or halfway between two), "auto-fast" (the same of the fast ones), "srgan-plus",
             "srgan-photo", "srgan-deblur", "srgan-fast", "srgan-fast-photo", "srgan-fast-deblur", "srgan", "srresnet",
             or the path of an .onnx or .safetensors file
    size     another number of times, or a `srgan.Size`: of a width, srgan.Size(width=1920), say

    For a path, a file or an image the result is a Pillow image (L, LA, RGB, RGBA, or I;16 for 16 bits of gray, the only
    ones that Pillow has), of an animation its first frame, turned as its EXIF orientation says and with its ICC
    profile; for an array it is an array of the same type, (4H, 4W, ...). Gray stays gray, in three equal channels too,
    and transparency is kept. This loads the network anew; for several pictures keep an `Upscaler`.

    Raises PictureError where a file cannot be read, TooLargeError for a file of over 200 million pixels or a result of
    over 3000 million, ArgumentError (a ValueError) for what is no picture, WeightsError for an unknown model,
    InferenceError where the network fails.
    """
    return Upscaler(model, size=size).upscale(picture)


def _read(source: Path | BinaryIO) -> Picture:
    """Return the picture in a file. Raises PictureError."""
    try:
        return read_picture(source, name="the file")
    except TooLargeError as error:
        raise TooLargeError(f"{error.told}; a Pillow image may have more") from error


def _load(choice: Choice, how: dict[str, Any]) -> Network:
    return load_network(choice.model, detail=choice.detail, repair=choice.repair, **how)


def _for_depth(network: Network, frame: Picture) -> Network:
    """Return the network in fp32 for more than 8 bits: the values of bf16 have no more themselves."""
    return network if frame.pixels.dtype == np.uint8 else network.in_fp32()


def _least_pixels(network: Network) -> int:
    """Return how many pixels a window has at least: with fewer, most of it were halo."""
    return (4 * network.halo + 1) ** 2


def _is_flat(plane: Pixels) -> bool:
    return bool(plane.min() == plane.max())
