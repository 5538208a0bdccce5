"""What becomes of pictures on their way: blur, noise, then JPEG; an lr of training gets its share of each."""

import math
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

CLEAN = 0.2
"""The share of pictures that stay as they are, so that a network leaves alone what needs no repair."""

BLOCK = 16
"""Pixels a side of what JPEG codes as one where colours are halved; a patch of a picture begins anywhere in it."""


class Degradation(NamedTuple):
    """Gaussian blur of a standard deviation from `least_blur` to `blur` pixels, Gaussian noise of one from 0 to `noise`
    levels of 255, then JPEG of a quality in `jpeg`.

    `jpeg` is a pair, the lowest and the highest of 1 to 100, or empty for none. All is drawn uniformly for each
    picture, and whether its colours are halved in width and height (4:2:0) or not (4:4:4). `share` is that of pictures
    which get noise, and of those which get JPEG, of all that are degraded.
    """

    jpeg: tuple[int, ...] = ()
    noise: float = 0.0
    blur: float = 0.0
    least_blur: float = 0.0
    share: float = 1.0

    def __bool__(self) -> bool:
        """Return whether anything becomes of a picture."""
        return bool(self.jpeg or self.noise or self.blur)

    def __call__(self, picture: NDArray[np.uint8], draws: np.random.Generator) -> NDArray[np.uint8]:
        """Return an RGB picture (h, w, 3) degraded as `draws` has it."""
        if draws.random() < CLEAN:
            return picture
        if self.blur:
            picture = with_blur(picture, draws.uniform(self.least_blur, self.blur))
        if self.noise and self._falls_to(draws):
            picture = with_noise(picture, draws.uniform(0, self.noise), draws)
        if self.jpeg and self._falls_to(draws):
            lowest, highest = self.jpeg
            quality = int(draws.integers(lowest, highest, endpoint=True))
            top, left = draws.integers(0, BLOCK, 2)
            picture = as_jpeg(picture, quality, halved=bool(draws.integers(2)), top=int(top), left=int(left))
        return picture

    def _falls_to(self, draws: np.random.Generator) -> bool:
        return self.share == 1 or draws.random() < self.share  # a draw less where all get it


def with_blur(picture: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """Return a picture (h, w) or (h, w, 3) blurred by a Gaussian of a deviation in pixels, mirrored at its sides."""
    reach = math.ceil(3 * deviation)
    weights = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / max(deviation, 1e-6)))  # of 0 there is one, 1
    weights /= weights.sum()
    values = picture.astype(np.float64)
    for axis in (0, 1):
        sides = [(reach, reach) if axis == other else (0, 0) for other in range(picture.ndim)]
        values = sliding_window_view(np.pad(values, sides, mode="symmetric"), len(weights), axis) @ weights
    levels: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    return levels


def with_noise(picture: NDArray[np.uint8], deviation: float, draws: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture, of any shape, with Gaussian noise of a standard deviation in levels of 255."""
    noisy = picture + draws.normal(0.0, deviation, picture.shape)
    levels: NDArray[np.uint8] = np.rint(noisy.clip(0, 255)).astype(np.uint8)
    return levels


def as_jpeg(
    picture: NDArray[np.uint8], quality: int, *, halved: bool = True, top: int = 0, left: int = 0
) -> NDArray[np.uint8]:
    """Return an RGB picture as JPEG keeps it, its first pixel `top` rows and `left` columns into a block."""
    larger = np.pad(picture, ((top, 0), (left, 0), (0, 0)), mode="edge")
    file = BytesIO()
    Image.fromarray(larger).save(file, "JPEG", quality=quality, subsampling=2 if halved else 0)
    with Image.open(file) as image:
        return np.asarray(image)[top:, left:]
