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
    weight: NDArray[np.float32] = alpha.astype(np.float32)
    weight /= weight.max()
    filled = _filled(_planes(pixels).astype(np.float32), weight)
    if pixels.dtype != np.float32:
        filled += np.float32(0.5)
    mask = seen if pixels.ndim == 2 else seen[..., np.newaxis]
    return cast(Pixels, np.where(mask, pixels, filled.reshape(pixels.shape).astype(pixels.dtype)))


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


def _filled(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values (H, W, C) where the weight is not 0, and elsewhere the mean of those nearby, from half the size."""
    known = weight > 0
    if known.all() or weight.size == 1:
        return values
    sums = _halved(weight)
    means = _halved(values * weight[..., np.newaxis])
    means /= np.maximum(sums, np.float32(1e-12))[..., np.newaxis]
    coarse = _filled(means, np.minimum(sums, np.float32(1)))
    height, width = weight.shape
    return np.where(known[..., np.newaxis], values, coarse.repeat(2, 0).repeat(2, 1)[:height, :width])


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sums of blocks of 2x2, those at an odd border of fewer."""
    height, width = values.shape[:2]
    padded = np.pad(values, [(0, height % 2), (0, width % 2)] + [(0, 0)] * (values.ndim - 2))
    rows = padded[::2] + padded[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _planes(pixels: Pixels) -> Pixels:
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _extreme(plane: Pixels, pick: np.ufunc) -> Pixels:
    """Return the least or greatest of the four pixels around each corner of pixels, (H + 1, W + 1)."""
    padded = np.pad(plane, 1, mode="edge")
    rows = pick(padded[:-1], padded[1:])
    return cast(Pixels, pick(rows[:, :-1], rows[:, 1:]))
