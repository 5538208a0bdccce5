"""NIQE, how far a picture's statistics are from those of untouched photographs.

Mittal, Soundararajan & Bovik 2013, 'Making a "completely blind" image quality analyzer'. No original is needed:
lower is better, and photographs are near 3.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from srgan.errors import DataError
from srgan.image.resize import imresize

PRISTINE = Path(__file__).with_name("niqe.safetensors")
"""Mean (36,) and covariance (36, 36) of the authors' model of pristine photographs."""

BLOCK = 96

Array = NDArray[np.float64]


def niqe(plane: NDArray[Any]) -> float:
    """Return NIQE of a plane (H, W) with whole levels in 0..255: Y or gray, its border cut off already.

    Blocks of 96x96 do not overlap; what is left over at the right and the bottom is not looked at. Raises
    DataError for a picture with fewer than two blocks, or one without texture, and for an array that is no plane.
    """
    if plane.ndim != 2:
        raise DataError(f"NIQE is of planes (H, W), not of an array {plane.shape}: of luma, say")
    plane = plane.astype(np.float64, copy=False)
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    if rows * columns < 2:
        raise DataError(f"NIQE needs two blocks of {BLOCK}x{BLOCK}, not {plane.shape[1]}x{plane.shape[0]}")
    plane = plane[: rows * BLOCK, : columns * BLOCK]
    with np.errstate(divide="ignore", invalid="ignore"):  # flat blocks have no shape; they are left out below
        fine = _features(_normalised(plane), rows, columns)
        coarse = _features(_normalised(_half(plane)), rows, columns)
    features = np.concatenate([fine, coarse], axis=1)
    there = np.isfinite(features)
    complete = features[there.all(axis=1)]
    if len(complete) < 2:
        raise DataError("NIQE finds no texture in this picture")
    mean = np.where(there, features, 0).sum(axis=0) / there.sum(axis=0)
    pristine = load_file(PRISTINE)
    inverse = np.linalg.pinv((pristine["covariance"] + np.cov(complete, rowvar=False)) / 2)
    difference = pristine["mean"] - mean
    return float(np.sqrt(difference @ inverse @ difference))


def _half(plane: Array) -> Array:
    """Return the plane at half the size by MATLAB's bicubic, mirrored at its border."""
    return imresize(np.pad(plane, 8, mode="symmetric"), scale=0.5)[4:-4, 4:-4]


def _normalised(plane: Array) -> Array:
    """Return (x - mean) / (deviation + 1), both in a Gaussian window of 7x7, sigma 7/6: equation 1.

    Where the picture is flat this is 0, and not the rounding errors whose signs the authors' program counts.
    """
    window = np.exp(-np.square(np.arange(-3, 4)) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def blur(x: Array) -> Array:
        for axis in (0, 1):
            padded = np.pad(x, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            parts = (weight * padded.take(range(i, i + x.shape[axis]), axis) for i, weight in enumerate(window))
            x = np.sum(list(parts), axis=0)
        return x

    mean = blur(plane)
    result: Array = (plane - mean) / (np.sqrt(np.abs(blur(plane * plane) - mean * mean)) + 1)
    result[np.abs(result) < 1e-9] = 0
    return result


def _features(x: Array, rows: int, columns: int) -> Array:
    """Return 18 features of each block, (rows * columns, 18): shapes and scales of the values and of products."""
    side = x.shape[0] // rows
    blocks = x.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    shape, left, right = _asymmetric_gaussian(blocks)
    features = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _asymmetric_gaussian(blocks * np.roll(blocks, shift, axis=(1, 2)))
        ratio = np.array([math.gamma(2 / a) / math.gamma(1 / a) for a in shape])
        features += [shape, (right - left) * ratio, left, right]
    return np.stack(features, axis=1)


@cache
def _shapes() -> tuple[Array, Array, Array]:
    """Return the shapes that are tried, with gamma(1/a) / gamma(3/a) and what equation 6 compares, rising."""
    shapes = np.arange(0.2, 10.001, 0.001)
    one, two, three = (np.array([math.gamma(k / a) for a in shapes]) for k in (1, 2, 3))
    return shapes, one / three, two * two / (one * three)


def _asymmetric_gaussian(blocks: Array) -> tuple[Array, Array, Array]:
    """Return shape, left and right scale of the distribution of each block's values: equations 4 to 6."""
    shapes, ratios, rising = _shapes()
    x = blocks.reshape(len(blocks), -1)
    square = x * x
    below, above = x < 0, x > 0
    left = np.sqrt((square * below).sum(axis=1) / below.sum(axis=1))
    right = np.sqrt((square * above).sum(axis=1) / above.sum(axis=1))
    balance = left / right
    peaked = np.abs(x).mean(axis=1) ** 2 / square.mean(axis=1)
    wanted = peaked * (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    nearest = np.array([np.argmin((rising - w) ** 2) if np.isfinite(w) else 0 for w in wanted])
    scale = np.sqrt(ratios[nearest])
    return shapes[nearest], left * scale, right * scale
