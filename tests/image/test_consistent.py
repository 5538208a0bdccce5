import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

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


def test_ten_corrections_by_pillow_alone() -> None:
    """Of a chequerboard, which bicubic overshoots: what leaves the range is cut off each time."""
    lr = (np.indices((24, 24)).sum(0) // 6 % 2).astype(np.float32)
    sr = np.full((96, 96), 0.5, dtype=np.float32)
    values = sr
    for _ in range(10):
        small = np.asarray(Image.fromarray(values).resize((24, 24), Image.Resampling.BICUBIC))
        missing = np.asarray(Image.fromarray(lr - small).resize((96, 96), Image.Resampling.BICUBIC))
        values = np.clip(values + missing, 0, 1)
    np.testing.assert_allclose(consistent(sr, lr), values, rtol=0, atol=1e-6)


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


def test_heat_by_hand() -> None:
    """An eighth of the range is the last of five colours, and the mean over 4x4 pixels is what counts."""
    nothing = np.zeros((8, 8), dtype=np.float32)
    stops = {0.03125: (87, 16, 110), 0.0625: (188, 55, 84), 0.09375: (249, 142, 9), 0.125: (252, 255, 164)}
    stops[0.109375] = (251, 199, 87)  # half way between the last two, halves going up
    for value, colour in stops.items():
        assert (heat(nothing, np.full((8, 8), value, dtype=np.float32)) == colour).all()
        assert (heat(np.full((8, 8), value, dtype=np.float32), nothing) == colour).all()
        for place in ((0, 0), (1, 3), (3, 2)):
            point = nothing.copy()
            point[place] = 16 * value / 2
            half = heat(nothing, np.full((8, 8), value / 2, dtype=np.float32))
            assert np.array_equal(heat(nothing, point)[0, 0], half[0, 0])
            assert heat(nothing, point)[7, 7].tolist() == [0, 0, 4]


def test_heat_goes_smoothly_from_place_to_place() -> None:
    """Of two places, 1 and 0, the eight pixels across both are 1, 1, 7/8, 5/8, 3/8, 1/8, 0, 0."""
    one = np.zeros((8, 8), dtype=np.float32)
    other = one.copy()
    other[:, :4] = 0.125
    expected = [(252, 255, 164), (252, 255, 164), (250.5, 198.5, 86.5), (218.5, 98.5, 46.5), (137.5, 35.5, 97)]
    expected += [(43.5, 8, 57), (0, 0, 4), (0, 0, 4)]
    for row in heat(one, other):
        np.testing.assert_allclose(row, expected, atol=0.51)


@pytest.mark.parametrize(("channel", "weight"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_heat_is_of_luma(channel: int, weight: float) -> None:
    black = np.zeros((4, 4, 3), dtype=np.uint8)
    tinted = black.copy()
    tinted[..., channel] = 51
    gray = heat(np.zeros((4, 4), np.float32), np.full((4, 4), weight / 5, np.float32))
    np.testing.assert_allclose(heat(black, tinted).astype(int), gray.astype(int), atol=1)


def test_heat_of_a_picture_smaller_than_a_place() -> None:
    assert (heat(np.zeros((3, 2), np.uint8), np.full((3, 2), 255, np.uint8)) == (252, 255, 164)).all()
