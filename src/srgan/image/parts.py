"""Parts from all over a picture, by which the whole of it is judged, and the transform of their blocks."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
"""Pixels a side of JPEG's blocks."""

DCT = np.cos(np.pi * (2 * np.arange(BLOCK) + 1) * np.arange(BLOCK)[:, None] / (2 * BLOCK)) / 2
"""The orthonormal discrete cosine transform of so many values, (frequencies, values)."""
DCT[0] /= np.sqrt(2)

SIDE = 64
"""Of so many pixels a side of a part all blocks are looked at, wherever they begin: on each of 64 grids."""

PARTS = 3
"""As many in each direction do for what is everywhere in a picture."""


def parts_of(pixels: NDArray[Any], most: int) -> NDArray[Any]:
    """Return parts of a picture from all over it, no block in two of them, (N, H, W) or (N, H, W, 3).

    There are at most so many in each direction.
    """
    along = [_along(length, most) for length in pixels.shape[:2]]
    return np.stack([pixels[rows, columns] for rows, columns in itertools.product(*along)])


def _along(length: int, most: int) -> list[slice]:
    """Return the rows or columns of parts, which begin on the grid of an uncut picture: all of a small one's."""
    side = SIDE + BLOCK - 1
    if length < side + SIDE:
        return [slice(0, length)]
    last = (length - side) // BLOCK
    starts = np.linspace(0, last, min(most, BLOCK * last // SIDE + 1)).astype(int) * BLOCK
    return [slice(start, start + side) for start in starts.tolist()]
