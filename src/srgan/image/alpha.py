"""Transparency through a network: what nobody saw must not be seen afterwards, and what is clear stays clear."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from srgan.image.colour import Pixels

_BAND_ROWS = 256


def bleed(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Return pixels (H, W, 3) or (H, W) with the colours around where alpha (H, W) is 0 in the place of those there.

    Files hold any colour under what is clear, often black, which would make a dark fringe of it.
    """
    seen = alpha > 0
    if seen.all() or not seen.any():
        return pixels
    result = pixels.copy()
    half = np.float32(0 if pixels.dtype == np.float32 else 0.5)
    for plane in np.moveaxis(np.atleast_3d(result), 2, 0):
        coarse = _coarse(plane, alpha)
        for start in range(0, len(plane), _BAND_ROWS):
            band = slice(start, start + _BAND_ROWS)
            rows = coarse[start // 2 : (start + _BAND_ROWS) // 2] + half
            filled = _doubled(rows, *plane[band].shape).astype(plane.dtype)
            np.copyto(plane[band], filled, where=~seen[band])
    return result


def hold(sr: Pixels, lr: Pixels, scale: int) -> None:
    """Clip an upscaled alpha (sH, sW) to what the four pixels around each place have in the alpha (H, W) it is of.

    So what is opaque stays so, and what is clear, and an edge has no ghost beside it.
    """
    low, high = _extreme(lr, np.minimum), _extreme(lr, np.maximum)
    rows, columns = ((np.arange(side) + scale // 2) // scale for side in sr.shape)
    for start in range(0, len(sr), _BAND_ROWS):
        band = slice(start, start + _BAND_ROWS)
        place = np.ix_(rows[band], columns)
        np.clip(sr[band], low[place], high[place], out=sr[band])


def _coarse(plane: Pixels, alpha: Pixels) -> NDArray[np.float32]:
    """Return the means of a plane's blocks of 2x2, weighed by alpha, filled where all of a block is clear.

    It goes band by band: at this size, the only one that is large, nothing of the plane's size is made.
    """
    bands = range(0, len(plane), _BAND_ROWS)
    most = np.float32(alpha.max())
    shape = tuple(-(-side // 2) for side in plane.shape)
    sums, means = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for start in bands:
        band, place = slice(start, start + _BAND_ROWS), slice(start // 2, (start + _BAND_ROWS) // 2)
        weight = alpha[band].astype(np.float32) / most
        sums[place] = _halved(weight)
        means[place] = _halved(plane[band] * weight)
    means /= np.maximum(sums, np.float32(1e-12))
    return _filled(means, np.minimum(sums, np.float32(1)))


def _filled(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values (H, W) where the weight is not 0, and elsewhere the mean of those nearby, from half the size."""
    known = weight > 0
    if known.all() or weight.size == 1:
        return values
    sums = _halved(weight)
    means = _halved(values * weight)
    means /= np.maximum(sums, np.float32(1e-12))
    coarse = _filled(means, np.minimum(sums, np.float32(1)))
    return np.where(known, values, _doubled(coarse, *weight.shape))


def _doubled(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return values twice as wide and high, cut to a size."""
    return values.repeat(2, 0).repeat(2, 1)[:height, :width]


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sums of blocks of 2x2, those at an odd border of fewer."""
    height, width = values.shape
    padded = np.pad(values, [(0, height % 2), (0, width % 2)])
    rows = padded[::2] + padded[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _extreme(plane: Pixels, pick: np.ufunc) -> Pixels:
    """Return the least or greatest of the four pixels around each corner of pixels, (H + 1, W + 1)."""
    padded = np.pad(plane, 1, mode="edge")
    rows = pick(padded[:-1], padded[1:])
    return cast(Pixels, pick(rows[:, :-1], rows[:, 1:]))
