"""How coarsely JPEG has rounded a picture: by the tables of its file, or by what is left in its pixels.

A JPEG keeps each 8x8 block of brightness as coefficients of a discrete cosine transform, each a multiple of its
frequency's step. Where its pixels were stored again, in a PNG or in a finer JPEG, they still lie near such multiples
(Fan & de Queiroz 2003, "Identification of Bitmap Compression History: JPEG Detection and Quantizer Estimation"), cut or
not: blocks may begin anywhere.
"""

import io
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from srgan.image.colour import BT601
from srgan.image.parts import BLOCK, DCT, PARTS, SIDE, parts_of

_Floats = NDArray[np.float32]
_Ints = NDArray[np.intp]

_DEEPEST = 4  # vertical and horizontal frequency, added up: of those above too little is left in most blocks
_DOWN, _ACROSS = np.array([(u, v) for u in range(5) for v in range(5) if 0 < u + v <= _DEEPEST]).T
_COUNT = len(_DOWN)

_STEPS = np.arange(2, 65)
"""Steps that are looked for: one of 1 leaves nothing that rounding pixels does not hide."""
_BIN, _BINS = 0.25, 384  # of the histograms of coefficients: how wide in levels of 256, and how many
_LEAST = {"to guess": 8, "to keep": 16}  # coefficients of a frequency in so many blocks
_CLOSE = 0.3

_FREQUENCIES, _COEFFICIENTS, _SCORE, _SHARE, _UNEVEN = 8, 150, 0.4, 0.6, 0.28
"""What tells a JPEG: steps of so many frequencies, seen in so many coefficients, a score of so much, and of so large a
share of the score that rounded pixels leave, and steps that grow with frequency about as libjpeg's do."""
_ROUNDED = 0.5
"""By how many levels coefficients are moved, root mean square, where pixels are rounded and colours are clipped."""


def quality_of_tables(tables: Mapping[int, Sequence[int]]) -> int | None:
    """Return the quality, 1 to 100, at which libjpeg rounds brightness about as coarsely as a JPEG with these tables.

    The low frequencies decide, the others where those are the same: Photoshop's tables round the low ones as libjpeg
    does at 40 and the high ones as at 90. None where there is no table.
    """
    if 0 not in tables:
        return None
    steps = np.array(tables[0]).reshape(BLOCK, BLOCK)
    return _quality(_in_all(steps), _in_all)


def quality_in(pixels: NDArray[np.generic]) -> int | None:
    """Return the quality, 1 to 94, of the JPEG that a picture once was, (H, W) or (H, W, 3) of uint8.

    None where nothing of one is seen: in pictures of other types, of few blocks, or a JPEG finer than that.
    """
    if pixels.dtype != np.uint8 or min(pixels.shape[:2]) < 2 * BLOCK:
        return None
    parts = parts_of(pixels, PARTS)
    evidence = _evidence(_histograms(parts))
    for place in np.argsort(-evidence.score * np.sqrt(evidence.number))[:3]:
        steps, score, number = (part[place] for part in evidence)
        known = np.flatnonzero(steps)
        if len(known) < _FREQUENCIES or number < _COEFFICIENTS:
            continue
        left = np.exp(-2 * (np.pi * _ROUNDED / steps[known]) ** 2).mean()
        where = _DOWN[known], _ACROSS[known]
        uneven = np.log(steps[known] / _libjpeg(50)[where]).std()
        if score >= max(_SCORE, _SHARE * left) and uneven <= _UNEVEN and _differ(parts, *divmod(place, BLOCK)):
            return _quality(steps.sum(), partial(_at, where))
    return None


def _in_all(steps: _Ints) -> tuple[int, int]:
    """Return the sum of the steps (8, 8) of low frequencies, and of all."""
    return _at((_DOWN, _ACROSS), steps), int(steps.sum())


def _at(where: tuple[_Ints, _Ints], steps: _Ints) -> int:
    """Return the sum of those at some frequencies."""
    return int(steps[where].sum())


def _quality(coarse: Any, measure: Callable[[_Ints], Any]) -> int:
    """Return the highest quality at which libjpeg's steps (8, 8) are by a measure at least so coarse, else 1."""
    finest_first = range(100, 0, -1)
    place = bisect_left(finest_first, coarse, hi=99, key=lambda quality: measure(_libjpeg(quality)))
    return finest_first[place]


@cache
def _libjpeg(quality: int) -> _Ints:
    """Return libjpeg's steps of brightness (8, 8) at a quality."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.array(cast(JpegImageFile, image).quantization[0]).reshape(BLOCK, BLOCK)


class _Evidence(NamedTuple):
    """What speaks for a grid that begins at each of the 64 places.

    steps  (64, frequencies) of brightness, 0 where none is seen
    score  (64,) the mean of cos(2 pi coefficient / step): 1 for multiples, about 0 for what never was rounded
    number (64,) of so many coefficients
    """

    steps: NDArray[np.int64]
    score: _Floats
    number: _Floats


def _evidence(histograms: _Floats) -> _Evidence:
    """Judge histograms (frequencies, 64, 2, bins): one half of the blocks guesses the steps, the other scores them."""
    number, close = (np.moveaxis(histograms @ waves, 0, 2) for waves in _waves_of_bins())
    guess, good = _likeliest(number, close, _LEAST["to guess"])
    count, score = (np.take_along_axis(part[:, ::-1], guess, -1)[..., 0] * good for part in (number, close))
    count, score = count.sum((1, 2)), score.sum((1, 2))
    guess, good = _likeliest(number.sum(1), close.sum(1), _LEAST["to keep"])
    return _Evidence(_STEPS[guess[..., 0]] * good, score / np.maximum(count, 1), count)


def _likeliest(number: _Floats, close: _Floats, least: int) -> tuple[_Ints, NDArray[np.bool_]]:
    """Return which step coefficients lie closest to multiples of (..., 1), and whether that is close (...)."""
    mean = np.where(number >= least, close / np.maximum(number, 1), -1)
    guess = mean.argmax(-1)[..., None]
    return guess, np.take_along_axis(mean, guess, -1)[..., 0] > _CLOSE


@cache
def _waves_of_bins() -> tuple[_Floats, _Floats]:
    """Return for each bin and step whether coefficients there count (bins, steps), and their cosine.

    Those near zero do not: whatever was rounded, most lie there. Nor those beyond the last bin, which gathers them.
    """
    centres = np.arange(_BINS)[:, None] * _BIN
    counts = (centres > 0.6 * _STEPS) & (centres < centres[-1])
    return counts.astype(np.float32), (np.cos(2 * np.pi * centres / _STEPS) * counts).astype(np.float32)


def _differ(parts: NDArray[np.uint8], top: int, left: int) -> bool:
    """Return whether most blocks of a grid differ: where they repeat the one half knows what the other one has."""
    height, width = ((side - start) // BLOCK for side, start in zip(parts.shape[1:3], (top, left), strict=True))
    cut = parts[:, top : top + BLOCK * height, left : left + BLOCK * width]
    grid = cut.reshape(len(cut), height, BLOCK, width, BLOCK, -1).swapaxes(2, 3)
    blocks = grid.reshape(len(cut) * height * width, BLOCK**2, -1)
    blocks = blocks[(blocks != blocks[:, :1]).any((1, 2))]  # but those of one colour
    return 2 * len(np.unique(blocks, axis=0)) >= len(blocks)


def _histograms(parts: NDArray[np.uint8]) -> _Floats:
    """Count coefficients of parts (frequencies, 64 places, 2 halves of the blocks, bins)."""
    values = np.abs(_coefficients(parts.astype(np.float32) if parts.ndim == 3 else parts @ BT601))
    bins = np.minimum(np.rint(values * (1 / _BIN)), _BINS - 1).astype(np.int32)
    bins += _histogram_of()[..., : values.shape[2], : values.shape[3]]
    counted = np.bincount(bins.ravel(), minlength=_COUNT * 128 * _BINS)
    return counted.astype(np.float32).reshape(_COUNT, 64, 2, _BINS)


@cache
def _histogram_of() -> NDArray[np.int32]:
    """Return where the histogram of a part's pixel begins (frequencies, 1, H, W), by its grid and half of that."""
    y, x = np.indices((2 * SIDE, 2 * SIDE))
    group = (y % BLOCK * BLOCK + x % BLOCK) * 2 + (y // BLOCK + x // BLOCK) % 2
    return ((np.arange(_COUNT)[:, None, None, None] * 128 + group) * _BINS).astype(np.int32)


def _coefficients(parts: _Floats) -> _Floats:
    """Return the coefficients of the block that begins at each pixel (frequencies, N, H - 7, W - 7) of N parts."""
    height, width = (side - BLOCK + 1 for side in parts.shape[1:])
    taps = DCT[: _DEEPEST + 1].astype(np.float32)
    across = [sum(tap * parts[:, :, k : k + width] for k, tap in enumerate(wave)) for wave in taps]
    both = [
        sum(tap * across[v][:, k : k + height] for k, tap in enumerate(taps[u]))
        for u, v in zip(_DOWN, _ACROSS, strict=True)
    ]
    return np.stack(both)
