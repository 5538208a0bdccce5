"""Pictures that continue where they wrap around, as the tiles of a texture do."""

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias, cast

import numpy as np

from srgan.image.colour import Pixels
from srgan.image.consistent import MARGIN
from srgan.image.resample import REACH, Part
from srgan.image.size import passes

Margin: TypeAlias = Callable[[tuple[int, int], tuple[int, int]], int]
"""`margin` of a network, by the sizes of a picture and its result."""


def margin(lr: tuple[int, int], sr: tuple[int, int], *, halo: int, scale: int, consistent: bool) -> int:
    """Return how many pixels of a picture of size lr its result of size sr can see past a border.

    halo        how far an output pixel of the network, which makes `scale` times the size, can see
    consistent  whether results are corrected by what they lack of their picture
    """
    times = passes(lr, sr, scale)
    reach = sum((halo + consistent * MARGIN) / float(scale) ** i for i in range(times))
    step = max(lr[0] / sr[0], lr[1] / sr[1], float(scale) ** -times)
    return math.ceil(reach + min(REACH * step, *lr) + 1)  # of a result of a pixel or two more would be seen


def margin_of(halo: int, scale: int, *, consistent: bool, seamless: bool) -> Margin | None:
    """Return `margin` for a network, None where pictures do not wrap around."""
    return partial(margin, halo=halo, scale=scale, consistent=consistent) if seamless else None


def widened(lr: tuple[int, int], sr: tuple[int, int], around: Margin | None) -> tuple[int, int]:
    """Return what of a picture of size lr a network sees for a result of size sr, with `around` on each side."""
    more = 0 if around is None else 2 * around(lr, sr)
    return lr[0] + more, lr[1] + more


def wrapped(pixels: Pixels, margin: int) -> Pixels:
    """Return pixels (H, W, ...) with so many more on each side, of the other side's."""
    return cast(Pixels, np.pad(pixels, [(margin, margin)] * 2 + [(0, 0)] * (pixels.ndim - 2), mode="wrap"))


def inside(pixels: Pixels, margin: int) -> Part:
    """Return what of pixels (H, W, ...) is so far from each side."""
    return margin, margin, pixels.shape[1] - margin, pixels.shape[0] - margin
