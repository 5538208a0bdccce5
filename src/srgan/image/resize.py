"""MATLAB's imresize with its bicubic kernel, the resampling that this field's published pictures come from.

The 4x downsampled test pictures that the community shares are met bit for bit: cubic with a = -0.5, stretched
against aliasing where the picture shrinks, rows before columns, uint8 pictures rounded to uint8 between the
two passes, and places outside the picture taken from its border.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from srgan.image.colour import largest

T = TypeVar("T", np.uint8, np.uint16, np.float32, np.float64)

_SUMS = 500_000  # of float64 at a time, and weights, so that a large picture needs no eight times its memory


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' cubic kernel with a = -0.5 at the distances x, in pixels."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def bicubic_taps(outputs: int, scale: float, first: int = 0) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return where each output of one axis, from the first on, reads and with which weights, both (outputs, taps).

    `scale` is outputs over inputs as the caller means it; weights of a row sum to 1; a row's places are neighbours, and
    not clamped.
    """
    stretch = max(1.0, 1 / scale)
    centre = (np.arange(first, first + outputs) + 0.5) / scale - 0.5
    count = math.ceil(4 * stretch) + 2
    places = np.floor(centre - 2 * stretch).astype(np.intp)[:, None] + np.arange(count)
    weights = cubic((centre[:, None] - places) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.flatnonzero(np.any(weights != 0, axis=0))
    taps = slice(used[0], used[-1] + 1)  # of neighbouring places, those of weight 0 between them too
    return places[:, taps], weights[:, taps]


def imresize(
    picture: NDArray[T],
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    check: Callable[[], None] = lambda: None,
) -> NDArray[T]:
    """Resample a picture (H, W) or (H, W, C) by `scale`, or to `size` = (height, width), as MATLAB's imresize.

    A scale gives ceil(scale * H) rows and ceil(scale * W) columns. uint8 in gives uint8 out, rounded half up
    after each pass, as uint16 is; floats are neither rounded nor clamped. `check` is called before every part of the
    sums, and ends them by raising. Raises ValueError unless just one of scale and size is given, above 0, and for an
    empty picture or one of another type.
    """
    if (scale is None) == (size is None):
        raise ValueError("give scale or size")
    if picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(f"a picture has shape (H, W) or (H, W, C), none of them 0; got {picture.shape}")
    if picture.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ValueError(f"a picture is an array of uint8, uint16, float32 or float64, not {picture.dtype}")
    if (scale is not None and scale <= 0) or (size is not None and min(size) <= 0):
        raise ValueError(f"a picture cannot be made {scale or size}")
    height, width = picture.shape[:2]
    if size is None:
        assert scale is not None
        size = (math.ceil(scale * height), math.ceil(scale * width))
        scales = (scale, scale)
    else:
        scales = (size[0] / height, size[1] / width)
    axes = (0, 1) if scales[0] <= scales[1] else (1, 0)
    for axis in axes:
        picture = _resize_axis(picture, axis, size[axis], scales[axis], check)
    return picture


def _resize_axis(picture: NDArray[T], axis: int, outputs: int, scale: float, check: Callable[[], None]) -> NDArray[T]:
    shape = list(picture.shape)
    shape[axis] = outputs
    result = np.empty(shape, picture.dtype)
    lines: NDArray[T] = np.moveaxis(picture, axis, 0)
    resized: NDArray[T] = np.moveaxis(result, axis, 0)
    along = max(1, int(_SUMS * min(1.0, scale)) // 6)  # outputs whose weights are _SUMS together
    across = max(1, _SUMS // (min(along, outputs) * max(1, lines[0, :1].size)))
    for first in range(0, outputs, along):
        places, weights = bicubic_taps(min(along, outputs - first), scale, first)
        places = places.clip(0, len(lines) - 1)
        weights = weights.reshape(*weights.shape, *(1,) * (picture.ndim - 1))
        for start in range(0, lines.shape[1], across):
            check()
            part: NDArray[T] = lines[:, start : start + across]
            total = np.zeros((len(places), *part.shape[1:]))
            for tap in range(places.shape[1]):
                total += weights[:, tap] * part[places[:, tap]]
            if picture.dtype in (np.uint8, np.uint16):
                total = np.floor(total.clip(0, largest(picture.dtype)) + 0.5)
            resized[first : first + len(places), start : start + across] = total
    return result
