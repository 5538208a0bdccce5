"""How much noise and how much blur a picture has, by small networks that have learned to tell them from detail.

In a picture of a few thousand pixels fine texture has as much energy as noise, in every frequency, and a sky as little
as what is out of focus. What tells them apart, that noise is the same everywhere, differs between colours and has no
direction, that edges are where blur shows, is learned: each block of 8x8 pixels is seen as the logarithms of its
coefficients of a discrete cosine transform, two layers make 48 values of them, four weighted means are taken over all
blocks but those of one colour, borders say, and two layers more say how much it is (`examples/flaws.py`).
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from srgan.image.colour import BT601, Pixels, to_levels
from srgan.image.parts import BLOCK, DCT, PARTS, parts_of

_Floats = NDArray[np.float32]

WEIGHTS = tuple(Path(__file__).with_name(f"{flaw}.npz") for flaw in ("noise", "blur"))
_STEP = 4  # pixels from block to block
_NOTHING = 0.5  # is added to the size of coefficients
_SOFT = 0.3  # pixels of blur, from which on it is looked for in so many parts in each direction:
_MANY_PARTS = 8


class Flaws(NamedTuple):
    """What is wrong with a picture; None where it has too few pixels for anything to be said.

    noise  in levels of 255, the standard deviation in each channel of noise that differs between the channels and
           disturbs brightness as much: noise that is the same in all three, or a gray picture's, counts half more
    blur   the standard deviation, in pixels, of the Gaussian that comes nearest to it, of what is sharpest
    """

    noise: float | None = None
    blur: float | None = None


def flaws_in(pixels: Pixels) -> Flaws:
    """Return the flaws of a picture, (H, W) or (H, W, 3), none of one with a side of fewer than 32 pixels."""
    if min(pixels.shape[:2]) < 4 * BLOCK:
        return Flaws()
    blocks = _blocks(pixels, PARTS)
    noise, blur = (_level(_layers(path), blocks) for path in WEIGHTS)
    if blur > _SOFT:  # what is in focus may lie between
        blur = min(blur, _level(_layers(WEIGHTS[1]), _blocks(pixels, _MANY_PARTS)))
    return Flaws(noise, blur)


def _blocks(pixels: Pixels, most: int) -> _Floats:
    """Return what is seen of the blocks of parts, at most so many in each direction, but those of one colour."""
    parts = to_levels(parts_of(pixels, most))
    blocks = blocks_of(parts if parts.ndim == 4 else np.stack([parts] * 3, axis=-1))
    return blocks[~are_even(blocks)]


def _level(layers: dict[str, _Floats], blocks: _Floats) -> float:
    """Return what a network says of the blocks (N, 192) of a picture."""
    if not len(blocks):
        return 0.0
    values = _dense(layers, "second", _dense(layers, "first", blocks))
    weights = values @ layers["weights.weight"].T + layers["weights.bias"]
    weights = np.exp(weights - weights.max(axis=0))
    means = (weights / weights.sum(axis=0)).T @ values
    (said,) = _dense(layers, "third", means.reshape(-1)) @ layers["last.weight"].T + layers["last.bias"]
    return max(float(2**said - 1), 0.0)


def blocks_of(parts: NDArray[np.uint8]) -> _Floats:
    """Return what is seen of each block of parts of a picture (N, H, W, 3): (blocks, 192)."""
    blocks = np.lib.stride_tricks.sliding_window_view(parts, (BLOCK, BLOCK), axis=(1, 2))[:, ::_STEP, ::_STEP]
    coefficients = (blocks.reshape(-1, 3 * BLOCK * BLOCK).astype(np.float32) - 128) @ _transform().T
    logarithms: _Floats = np.log2(np.abs(coefficients) + np.float32(_NOTHING)) / 3
    return logarithms


def are_even(blocks: _Floats) -> NDArray[np.bool_]:
    """Return which blocks, as they are seen (..., 192), are of one colour."""
    waves = blocks.reshape(*blocks.shape[:-1], 3, BLOCK * BLOCK)[..., 1:]
    even: NDArray[np.bool_] = (waves < np.log2(1.01 * _NOTHING) / 3).all((-2, -1))
    return even


@cache
def _transform() -> _Floats:
    """Return the matrix (192, 192) from a block (3, 8, 8) to the coefficients of Y, Cb and Cr of BT.601."""
    red, _, blue = np.eye(3)
    colours = np.array([BT601, (blue - BT601) / 2 / (1 - BT601[2]), (red - BT601) / 2 / (1 - BT601[0])])
    return np.kron(colours, np.kron(DCT, DCT)).astype(np.float32)


def _dense(layers: dict[str, _Floats], name: str, values: _Floats) -> _Floats:
    """Return a layer's values, (..., outputs) of (..., inputs)."""
    outputs: _Floats = np.maximum(values @ layers[f"{name}.weight"].T + layers[f"{name}.bias"], 0)
    return outputs


@cache
def _layers(path: Path) -> dict[str, _Floats]:
    with np.load(path) as file:
        return {name: values.astype(np.float32) for name, values in file.items()}
