"""Pictures through a network, tile by tile: the Python interface."""

import math
from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan import __version__
from srgan.errors import ArgumentError, InferenceError, SrganError
from srgan.image.alpha import bleed, hold
from srgan.image.colour import Pixels, from_network, to_network
from srgan.image.picture import Maker, Picture, array_from_picture, image_from_picture, picture_from_array
from srgan.image.reading import picture_from_image, read_picture
from srgan.image.tiles import Plan, Tile, plan_tiles
from srgan.inference.runtime import Network, NotFiniteError, load_network, require_finite

Progress: TypeAlias = Callable[[float], None]
"""Is told, after every tile, what fraction of the picture is done."""

_Array = TypeVar("_Array", NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32])


class Upscaler:
    """A loaded network that upscales pictures one after another. Not for several threads at once."""

    def __init__(
        self,
        model: str | Path = "srgan",
        *,
        runtime: str = "auto",
        precision: str = "auto",
        tile: int | None = None,
        threads: int | None = None,
        memory: int | None = None,
    ) -> None:
        """Load a network.

        model      "srgan" (sharp, invents plausible detail), "srresnet" (closest pixel by pixel), or the path
                   of an .onnx or .safetensors file
        runtime    openvino, onnxruntime or torch; auto takes torch where there is CUDA, else openvino
        precision  bf16 or fp32; auto is bf16 where the device has it in hardware; pictures of more than 8 bits
                   are computed in fp32 in any case
        tile       the side in pixels of the square windows that a large picture is cut into, 0 for none; by
                   default the shapes with the least work that `memory` has room for
        threads    how many processors to use; by default all that the process is allowed
        memory     how many bytes to take beside pictures and results: of the process, or of the GPU that
                   computes; by default 1.2 GB of a process, three quarters of what is free of a GPU

        Raises ArgumentError (a ValueError), WeightsError, or RuntimeMissingError.
        """
        self.network: Network = load_network(model, runtime=runtime, precision=precision, threads=threads)
        self.tile = tile
        self.window_pixels = self._window_pixels(memory)
        self._plan(1, 1, self.network)  # complains of an impossible tile now

    @property
    def scale(self) -> int:
        """How many times the size the result has."""
        return self.network.scale

    @overload
    def upscale(self, picture: str | PathLike[str] | Image.Image) -> Image.Image: ...
    @overload
    def upscale(self, picture: _Array) -> _Array: ...
    def upscale(self, picture: Any) -> Any:
        """Return a picture at `scale` times the size, as what it came: see `srgan.upscale`."""
        if isinstance(picture, (str, PathLike)):
            return image_from_picture(self.upscale_picture(read_picture(Path(picture))))
        if isinstance(picture, Image.Image):
            return image_from_picture(self.upscale_picture(picture_from_image(picture)))
        if isinstance(picture, np.ndarray):
            return array_from_picture(self.upscale_picture(picture_from_array(picture)))
        raise ArgumentError(f"a picture is a path, a Pillow image or an array, not {type(picture).__name__}")

    def upscale_picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Return a decoded picture at `scale` times the size; transparency goes through the network as gray.

        Raises InferenceError where the network fails on a tile or gives values that are not finite.
        """
        plans = [self._plan_for(frame) for frame in picture.frames]
        planes = [1 if frame.alpha is None or _is_flat(frame.alpha) else 2 for frame in picture.frames]
        total, done = sum(len(plan) * count for plan, count in zip(plans, planes, strict=True)), 0

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done / total)

        first, *more = (
            self._upscale_frame(frame, plan, step) for frame, plan in zip(picture.frames, plans, strict=True)
        )
        maker = Maker(f"srgan {__version__}", self.network.card["name"], self.network.checksum)
        return replace(first, more=tuple(more), maker=maker)

    def _upscale_frame(self, frame: Picture, plan: Plan, step: Callable[[], None]) -> Picture:
        network = self._network_for(frame)
        if frame.alpha is None:
            return replace(frame, pixels=upscale_pixels(network, frame.pixels, plan, step))
        pixels = upscale_pixels(network, bleed(frame.pixels, frame.alpha), plan, step)
        if _is_flat(frame.alpha):
            return replace(frame, pixels=pixels, alpha=np.full(pixels.shape[:2], frame.alpha[0, 0]))
        alpha = upscale_pixels(network, frame.alpha, plan, step)
        hold(alpha, frame.alpha, self.scale)
        return replace(frame, pixels=pixels, alpha=alpha)

    def _network_for(self, frame: Picture) -> Network:
        """Return the network in fp32 for more than 8 bits: the values of bf16 have no more themselves."""
        return self.network if frame.pixels.dtype == np.uint8 else self.network.in_fp32()

    def _plan_for(self, frame: Picture) -> Plan:
        height, width = frame.pixels.shape[:2]
        return self._plan(height, width, self._network_for(frame))

    def _plan(self, height: int, width: int, network: Network) -> Plan:
        least = (4 * network.halo + 1) ** 2
        pixels = max(self.window_pixels * self.network.pixel_bytes // network.pixel_bytes, least)
        return plan_tiles(height, width, halo=network.halo, tile=self.tile, pixels=pixels)

    def _window_pixels(self, memory: int | None) -> int:
        """Return how many pixels a window may have. Raises ArgumentError where the memory is too little."""
        network = self.network
        least = (4 * network.halo + 1) ** 2  # with less, most of a window were halo
        if memory is None:
            return max((network.memory - network.own_bytes) // network.pixel_bytes, least)
        pixels = (memory - network.own_bytes) // network.pixel_bytes
        if pixels < least:
            needed = network.own_bytes + least * network.pixel_bytes
            raise ArgumentError(
                f"{memory / 1e6:.0f} MB of memory are too little: this network needs {math.ceil(needed / 1e6)} MB"
            )
        return pixels


@overload
def upscale(picture: str | PathLike[str] | Image.Image, model: str | Path = "srgan") -> Image.Image: ...
@overload
def upscale(picture: _Array, model: str | Path = "srgan") -> _Array: ...
def upscale(picture: Any, model: str | Path = "srgan") -> Any:
    """Return a picture at four times the size.

    picture  a path, a Pillow image, or an array (H, W, 3), (H, W, 4) or (H, W) of uint8, uint16, or float32 in [0, 1]
    model    "srgan", "srresnet", or the path of an .onnx or .safetensors file

    For a path or an image the result is a Pillow image (L, LA, RGB, RGBA, or I;16 for 16 bits of gray, the only
    ones that Pillow has), of an animation its first frame, turned as its EXIF orientation says and with its ICC
    profile; for an array it is an array of the same type, (4H, 4W, ...). Gray stays gray,
    and transparency is kept. This loads the network anew; for several pictures keep an `Upscaler`.

    Raises PictureError where a file cannot be read, ArgumentError (a ValueError) for what is no picture,
    WeightsError for an unknown model, InferenceError where the network fails.
    """
    return Upscaler(model).upscale(picture)


def upscale_pixels(network: Network, lr: Pixels, plan: Plan, step: Callable[[], None]) -> Pixels:
    """Return pixels (H, W, 3) or (H, W) upscaled tile by tile, of the same type; calls `step` after each tile.

    Raises InferenceError that names the tile.
    """
    scale = network.scale
    height, width = lr.shape[:2]
    sr = cast(Pixels, np.empty((height * scale, width * scale, *lr.shape[2:]), dtype=lr.dtype))
    for number, tile in enumerate(plan, 1):
        window = lr[tile.rows.window, tile.columns.window]
        try:
            result = _finite(network, window)
        except SrganError as error:
            raise InferenceError(f"{_name(number, tile, plan)}: {error}") from error
        core = result[tile.rows.core_in_window(scale), tile.columns.core_in_window(scale)]
        sr[tile.rows.core(scale), tile.columns.core(scale)] = core
        step()
    return sr


def _is_flat(plane: Pixels) -> bool:
    return bool(plane.min() == plane.max())


def _finite(network: Network, lr: Pixels) -> Pixels:
    """Return a window upscaled, computed again in fp32 where that is not finite."""
    try:
        return _upscale_window(network, lr)
    except NotFiniteError:
        return _upscale_window(network.in_fp32(), lr)


def _upscale_window(network: Network, lr: Pixels) -> Pixels:
    """Return a window (H, W, 3) or (H, W) upscaled, of the same type.

    Raises InferenceError where the network fails or breaks its promises, as NotFiniteError where it gives values
    that are not finite.
    """
    try:
        if lr.dtype == np.uint8 and lr.ndim == 3:
            sr: Pixels = network.levels(cast(NDArray[np.uint8], lr))
        else:
            values = require_finite(network(to_network(lr)))
            sr = from_network(values[0], gray=lr.ndim == 2, dtype=lr.dtype)
    except (MemoryError, SrganError):
        raise
    except Exception as error:  # each runtime has its own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        raise InferenceError(f"{network.runtime} failed: {reason}") from error
    expected = (lr.shape[0] * network.scale, lr.shape[1] * network.scale, *lr.shape[2:])
    if sr.shape != expected:
        raise InferenceError(f"the network gives an array {sr.shape} where its card promises {expected}")
    return sr


def _name(number: int, tile: Tile, plan: Plan) -> str:
    rows, columns = tile.rows, tile.columns
    place = f"rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"
    return f"tile {number} of {len(plan)} ({place})"
