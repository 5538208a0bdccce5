"""Between pixels as files hold them and pictures as networks take them: float32 NCHW RGB in [0, 1]."""

from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from srgan.image.large import allocate, release

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""A picture (H, W, 3), or one plane of it (H, W): uint8, uint16, or float32 in [0, 1]."""

BT601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""How much red, green and blue weigh in the luma of ITU-R BT.601."""

_BAND_ROWS = 256


def to_uint8(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return values in [0, 1], of any shape, as levels 0 to 255: clipped, then rounded with halves going up."""
    levels = np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)
    return levels.astype(np.uint8)


def to_uint16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return values in [0, 1], of any shape, as levels 0 to 65535: clipped, then rounded with halves going up."""
    levels = np.clip(values, 0, 1) * np.float32(65535) + np.float32(0.5)
    return levels.astype(np.uint16)


def to_levels(pixels: Pixels) -> NDArray[np.uint8]:
    """Return pixels, of any shape, as levels 0 to 255, rounded to nearest: 65535 is 255."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return to_uint8(pixels.astype(np.float32, copy=False))


def largest(dtype: np.dtype[Any]) -> float:
    """Return the value of full intensity: 255, 65535, or 1 for floats."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def to_network(pixels: Pixels) -> NDArray[np.float32]:
    """Return pixels (H, W, 3), or a plane (H, W) as three equal channels, as (1, 3, H, W) float32 in [0, 1]."""
    values = to_floats(pixels)
    channels = np.stack([values] * 3) if values.ndim == 2 else values.transpose(2, 0, 1)
    return np.ascontiguousarray(channels[np.newaxis])


def from_network(sr: NDArray[np.float32], *, gray: bool, dtype: np.dtype[Any]) -> Pixels:
    """Return sr (3, H, W) as pixels (H, W, 3), or as its BT.601 luma (H, W) where `gray` is set.

    The values are clipped to [0, 1], and for uint8 and uint16 rounded to levels.
    """
    return from_floats(np.tensordot(BT601, sr, 1) if gray else sr.transpose(1, 2, 0), dtype)


def is_gray_in_rgb(pixels: Pixels) -> bool:
    """Tell whether pixels are (H, W, 3) with three equal channels, as most programs save what is gray."""
    bands = (pixels[start : start + _BAND_ROWS] for start in range(0, len(pixels), _BAND_ROWS))
    return pixels.ndim == 3 and all(bool((band[..., :1] == band[..., 1:]).all()) for band in bands)


def gray_in_rgb(gray: Pixels) -> Pixels:
    """Return a plane (H, W) as three equal channels (H, W, 3), in a file where that is large (`srgan.image.large`)."""
    rgb = cast(Pixels, allocate((*gray.shape, 3), gray.dtype))
    for start in range(0, len(gray), _BAND_ROWS):
        rgb[start : start + _BAND_ROWS] = gray[start : start + _BAND_ROWS, :, np.newaxis]
        release(rgb, start, min(start + _BAND_ROWS, len(gray)))
    return rgb


def to_floats(pixels: Pixels) -> NDArray[np.float32]:
    """Return pixels, of any shape, as values in [0, 1], a copy; `from_floats` is the way back."""
    values = pixels.astype(np.float32)
    if pixels.dtype != np.float32:
        values /= np.float32(largest(pixels.dtype))
    return values


def from_floats(values: NDArray[np.float32], dtype: np.dtype[Any]) -> Pixels:
    """Return values in [0, 1], of any shape, clipped, and for uint8 and uint16 rounded to levels."""
    if dtype == np.uint8:
        return to_uint8(values)
    return to_uint16(values) if dtype == np.uint16 else np.clip(values, 0, 1).astype(np.float32)
