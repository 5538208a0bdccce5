"""Where a result shows detail that its picture does not hold: the difference of two results, as a map of heat."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.image.colour import BT601, Pixels, to_floats
from srgan.image.picture import Limits, Picture
from srgan.image.resample import resample_values
from srgan.image.size import Size
from srgan.image.writing import WriteOptions, check_result

FULL_HEAT = 0.125
"""The difference of luma, of a range of 1, that is shown hottest: 32 levels of 256."""

_GRAIN = 4  # pixels a side of which the mean is taken
# cold to hot, even in lightness: black, violet, red, orange, pale yellow
_STOPS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float32)


def heat(one: Pixels, other: Pixels) -> NDArray[np.uint8]:
    """Return the difference of two pictures of a size, (H, W, 3) or (H, W), as colours (H, W, 3).

    Black is none; pale yellow, at FULL_HEAT, much. Differences of luma are averaged over places of 4x4 pixels, one
    of the picture before it was enlarged, so that a line that lies elsewhere by a pixel is no blaze.
    """
    difference = np.abs(_luma(one) - _luma(other))
    height, width = difference.shape
    coarse = (max(1, height // _GRAIN), max(1, width // _GRAIN))
    smooth = resample_values(difference, *coarse, Image.Resampling.BOX)
    smooth = resample_values(smooth, height, width, Image.Resampling.BILINEAR)
    place = np.clip(smooth / FULL_HEAT, 0, 1) * (len(_STOPS) - 1)
    below = np.minimum(place.astype(np.intp), len(_STOPS) - 2)
    part = (place - below)[..., np.newaxis]
    colours = _STOPS[below] * (1 - part) + _STOPS[below + 1] * part
    levels: NDArray[np.uint8] = (colours + 0.5).astype(np.uint8)
    return levels


def check_map(target: Path | None, picture: Picture, size: Size, options: WriteOptions, limits: Limits) -> None:
    """Look, before the work, whether the map of a picture's result can be written. Raises as `check_result` does.

    It has colours of 8 bits and no transparency, whatever the picture has.
    """
    colours = np.broadcast_to(np.uint8(0), (*picture.pixels.shape[:2], 3))
    check_result(target, Picture(colours), size, options, limits)


def _luma(pixels: Pixels) -> NDArray[np.float32]:
    values = to_floats(pixels)
    return values if values.ndim == 2 else (values @ BT601).astype(np.float32)
