"""Resampling of results to the size that was asked for: Pillow's Lanczos, stretched against aliasing.

Of values as files hold them, not of linear light. On Set14 made 2 and 3 times as small, srgan's x4 resampled to
the original's size has by PSNR-Y and LPIPS-Alex: Lanczos 31.23 / .0783 and 28.34 / .1581, in linear light 30.95 /
.0806 and 28.22 / .1602; bicubic 31.42 / .0834 and 28.50 / .1615, in linear light 31.32 / .0842 and 28.44 / .1623.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.image.colour import Pixels, from_floats, to_floats
from srgan.image.large import allocate, release

REACH = 3
"""Of Lanczos, in pixels of the smaller of the two sizes; other kernels reach no farther."""

_BAND_PIXELS = 4_000_000
"""How many pixels are resampled at once: the library takes 4 bytes for each of them and as many for what it makes."""

Box = tuple[float, float, float, float]
"""A part of a picture: left, top, right and bottom, in pixels."""

Part = tuple[int, int, int, int]
"""The same, of whole pixels."""


def resample(
    pixels: Pixels,
    height: int,
    width: int,
    kernel: Image.Resampling = Image.Resampling.LANCZOS,
    *,
    box: Part | None = None,
) -> Pixels:
    """Return pixels (H, W, 3) or (H, W), or the part of them in a box, at another size, of the same type.

    What lies around the box is seen at its borders. It goes from the top down, a band at a time, so that memory holds
    neither all of a large result nor all of what it is made of: see `srgan.image.large`.
    """
    if box is None and pixels.shape[:2] == (height, width):
        return pixels
    left, upper, right, lower = box or (0, 0, pixels.shape[1], len(pixels))
    if (lower - upper, right - left) == (height, width):
        return pixels[upper:lower, left:right]
    result: Pixels = allocate((height, width, *pixels.shape[2:]), pixels.dtype)
    step = (lower - upper) / height
    margin = math.ceil(REACH * max(step, 1)) + 1
    rows = max(1, int(_BAND_PIXELS / pixels.shape[1] / step))
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        first, last = upper + start * step, min(upper + stop * step, lower)
        top, bottom = max(0, int(first) - margin), min(len(pixels), math.ceil(last) + margin)
        part = (float(left), first - top, float(right), last - top)
        result[start:stop] = _resampled(pixels[top:bottom], stop - start, width, part, kernel)
        release(pixels, 0, top)
        release(result, 0, start)
    return result


def _resampled(pixels: Pixels, height: int, width: int, box: Box, kernel: Image.Resampling) -> Pixels:
    if pixels.dtype == np.uint8:
        # widths first: the library takes what is less work, which may be another way for a band than for the whole
        wide = Image.fromarray(pixels).resize((width, len(pixels)), kernel, (box[0], 0.0, box[2], float(len(pixels))))
        return np.asarray(wide.resize((width, height), kernel, (0.0, box[1], float(width), box[3])))
    return from_floats(resample_values(to_floats(pixels), height, width, kernel, box), pixels.dtype)


def resample_values(
    values: NDArray[np.float32], height: int, width: int, kernel: Image.Resampling, box: Box | None = None
) -> NDArray[np.float32]:
    """Return values (H, W, C) or (H, W), or a part of them, at another size, neither clipped nor rounded."""
    planes = values[..., np.newaxis] if values.ndim == 2 else values
    images = [Image.fromarray(np.ascontiguousarray(planes[..., i])) for i in range(planes.shape[2])]
    resized = [np.asarray(image.resize((width, height), kernel, box)) for image in images]
    return resized[0] if values.ndim == 2 else np.dstack(resized)
