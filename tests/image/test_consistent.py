import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from srgan.image.colour import Pixels
from srgan.image.consistent import consistent
from srgan.image.heat import FULL_HEAT, heat
from srgan.image.resize import imresize


def scene(height: int, width: int) -> NDArray[np.float64]:
    """Return smooth shapes (H, W, 3) in [0.1, 0.9]."""
    coarse = np.random.default_rng(3).random((height // 8 + 2, width // 8 + 2, 3))
    return np.clip(imresize(coarse, size=(height, width)), 0.1, 0.9)


def decibels(difference: NDArray[np.float64]) -> float:
    return float(-10 * np.log10(np.square(difference).mean()))


@pytest.mark.parametrize(
    ("dtype", "most", "reached"), [(np.uint8, 255, 53), (np.uint16, 65535, 55), (np.float32, 1, 55)]
)
def test_a_consistent_result_comes_back_to_its_picture_by_matlabs_bicubic(
    dtype: type, most: int, reached: float
) -> None:
    hr = scene(4 * 40, 4 * 52)
    lr = imresize(hr, scale=0.25)
    wrong = np.clip(hr + 0.1 * np.sin(np.arange(208) / 9)[None, :, None], 0, 1)
    sr: Pixels = (wrong * most + (most > 1) / 2).astype(dtype)
    small: Pixels = (lr * most + (most > 1) / 2).astype(dtype)
    result = consistent(sr, small)
    assert result.dtype == dtype
    before, after = (imresize(picture / most, scale=0.25)[4:-4, 4:-4] - lr[4:-4, 4:-4] for picture in (sr, result))
    assert decibels(before) < 25
    assert decibels(after) > reached


def test_what_is_consistent_already_stays() -> None:
    lr = np.full((10, 12, 3), 90, dtype=np.uint8)
    sr = np.full((40, 48, 3), 90, dtype=np.uint8)
    assert np.array_equal(consistent(sr, lr), sr)


@pytest.mark.parametrize("lr_shape", [(90, 20), (20, 90), (75, 70)])
def test_blocks_do_not_show(lr_shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    hr = (scene(4 * lr_shape[0], 4 * lr_shape[1]) * 255).astype(np.uint8)
    lr = imresize(hr, scale=0.25)
    sr = np.roll(hr, 3, axis=1)
    whole = consistent(sr, lr).astype(int)
    monkeypatch.setattr("srgan.image.consistent._SIDE", 30)
    assert np.abs(consistent(sr, lr) - whole).max() <= 1


def test_a_long_picture_takes_no_memory_of_its_length() -> None:
    lr, sr = np.zeros((1, 40_000), dtype=np.uint8), np.zeros((4, 160_000), dtype=np.uint8)
    tracemalloc.start()
    consistent(sr, lr)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * sr.nbytes


def test_heat_is_black_where_nothing_differs_and_pale_where_much_does() -> None:
    one = np.full((40, 40, 3), 100, dtype=np.uint8)
    other = one.copy()
    other[:, 20:] += 64
    colours = heat(one, other)
    assert colours.shape == (40, 40, 3)
    assert (colours[:, :16] == (0, 0, 4)).all()
    assert (colours[:, 24:] == (252, 255, 164)).all()
    half = heat(np.zeros((8, 8), dtype=np.float32), np.full((8, 8), FULL_HEAT / 2, dtype=np.float32))
    assert (half == (188, 55, 84)).all()
