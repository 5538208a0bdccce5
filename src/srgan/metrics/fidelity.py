"""How near a result is to the original, pixel by pixel: PSNR, SSIM, and the regular pattern that is its own."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from srgan.errors import DataError
from srgan.image.resize import imresize

A = TypeVar("A", NDArray[np.uint8], NDArray[np.float64])


def luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return BT.601 Y in 16..235 as MATLAB's rgb2ycbcr, (H, W), not rounded; a gray picture is its own Y.

    The published figures of Set14 take its one gray picture so, in 0..255. Raises DataError for another shape or type.
    """
    if picture.dtype != np.uint8:
        raise DataError(f"luma is of levels of 8 bits, uint8, not of {picture.dtype}")
    if picture.ndim == 2:
        return picture.astype(np.float64)
    if picture.shape[2:] != (3,):
        raise DataError(f"luma is of pictures (H, W, 3) or (H, W), not of an array {picture.shape}")
    y: NDArray[np.float64] = 16 + picture.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    return y


def cropped(picture: A, border: int) -> A:
    """Return the picture without `border` pixels on each side. Raises DataError where nothing would be left."""
    if border < 0 or 2 * border >= min(picture.shape[:2]):
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        raise DataError(f"a border of {border} pixels leaves nothing of a picture of {size}")
    return picture[border : picture.shape[0] - border, border : picture.shape[1] - border]


def psnr(sr: NDArray[Any], hr: NDArray[Any], *, peak: float = 255.0) -> float:
    """Return 10 log10(peak^2 / MSE) in dB over all values, infinity for equal pictures.

    Raises DataError for pictures of two shapes.
    """
    sr, hr = _alike(sr, hr)
    error = float(np.mean(np.square(sr - hr)))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def _alike(sr: NDArray[Any], hr: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as floats, so that levels of 8 bits do not wrap around. Raises DataError for two shapes."""
    if sr.shape != hr.shape:
        raise DataError(f"an array {sr.shape} cannot be compared with one {hr.shape}")
    return sr.astype(np.float64, copy=False), hr.astype(np.float64, copy=False)


def lr_psnr(sr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> float:
    """Return the PSNR in dB between sr, downsampled by MATLAB's bicubic to lr's size on uint8, and lr.

    All channels, whole pictures: what a result changed of the picture that it was made from, its colours above
    all, shows here (Lugmayr et al. 2021, "NTIRE 2021 learning the super-resolution space challenge").
    """
    small = imresize(sr, size=(lr.shape[0], lr.shape[1]))
    return psnr(small, lr)


def grid(sr: NDArray[Any], hr: NDArray[Any], *, period: int = 4, window: int = 32) -> float:
    """Return the strength of what repeats every `period` pixels in sr and not in hr, in levels of 256.

    The error of each window is averaged for each place in the period, less the mean of the window: the root mean
    square of that, over the half of all windows in which hr is flattest, where a regular pattern is seen. hr's own
    noise leaves a little, so bicubic's value is not 0. What `srgan.losses.grid_loss` is in training, over all
    windows and without the square. Raises DataError for a picture smaller than a window, two shapes, or a window that
    does not hold whole periods.
    """
    sr, hr = _alike(sr, hr)
    rows, columns = (side // window for side in sr.shape[:2])
    if window % period:
        raise DataError(f"a window of {window} pixels does not hold whole periods of {period}")
    if not rows or not columns:
        raise DataError(f"the grid's strength needs {window} pixels a side, not {sr.shape[1]}x{sr.shape[0]}")
    shape = (rows, window // period, period, columns, window // period, period, -1)
    theirs, ours = (x[: rows * window, : columns * window].reshape(shape) for x in (hr, sr))
    places = (ours - theirs).mean((1, 4))
    places -= places.mean((1, 3), keepdims=True)
    strength = np.square(places).mean((1, 3, 4)).ravel()
    texture = theirs.std((1, 2, 4, 5)).mean(-1).ravel()
    flattest = np.argsort(texture, kind="stable")[: (len(texture) + 1) // 2]
    return float(np.sqrt(strength[flattest].mean()))


def ssim(sr: NDArray[Any], hr: NDArray[Any], *, peak: float = 255.0) -> float:
    """Return the mean SSIM of two planes (H, W): Gaussian window 11x11, sigma 1.5, 'valid' (Wang et al. 2004).

    Raises DataError where a side is shorter than the window, or for other than two planes of one shape.
    """
    sr, hr = _alike(sr, hr)
    if sr.ndim != 2:
        raise DataError(f"SSIM is of planes (H, W), not of an array {sr.shape}: of luma, say")
    if min(sr.shape) < 11:
        raise DataError(f"SSIM needs 11 pixels a side, not {sr.shape[1]}x{sr.shape[0]}")
    window = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    window /= window.sum()

    def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        height, width = plane.shape[0] - 10, plane.shape[1] - 10
        rows = np.zeros((height, plane.shape[1]))
        for i, weight in enumerate(window):
            rows += weight * plane[i : i + height]
        result = np.zeros((height, width))
        for i, weight in enumerate(window):
            result += weight * rows[:, i : i + width]
        return result

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    a, b = blur(sr), blur(hr)
    aa, bb, ab = blur(sr * sr) - a * a, blur(hr * hr) - b * b, blur(sr * hr) - a * b
    value = (2 * a * b + c1) * (2 * ab + c2) / ((a * a + b * b + c1) * (aa + bb + c2))
    return float(value.mean())
