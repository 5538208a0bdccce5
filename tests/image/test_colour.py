import numpy as np
import pytest

from srgan.image.colour import from_network, to_network, to_uint8


def test_levels_are_rounded_with_halves_going_up_and_clipped() -> None:
    values = np.array([0, 0.49 / 255, 0.5 / 255, 1.49 / 255, 1.5 / 255, 2.5 / 255, 1, 1.1, -0.1], dtype=np.float32)
    assert to_uint8(values).tolist() == [0, 0, 1, 1, 2, 3, 255, 255, 0]


def test_every_level_comes_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_uint8(levels.astype(np.float32) / np.float32(255)), levels)


def test_a_picture_becomes_nchw_in_zero_to_one() -> None:
    pixels = np.array([[[255, 0, 51], [0, 102, 255]]], dtype=np.uint8)
    lr = to_network(pixels)
    assert lr.dtype == np.float32
    assert lr.flags.c_contiguous
    np.testing.assert_allclose(lr, np.array([[[[1, 0]], [[0, 0.4]], [[0.2, 1]]]]), rtol=1e-6)


def test_a_plane_becomes_three_equal_channels() -> None:
    lr = to_network(np.array([[0.25, 0.5]], dtype=np.float32))
    assert lr.tolist() == [[[[0.25, 0.5]], [[0.25, 0.5]], [[0.25, 0.5]]]]


def test_gray_is_the_luma_of_bt601() -> None:
    sr = np.zeros((3, 1, 4), dtype=np.float32)
    sr[0, 0, 0] = sr[1, 0, 1] = sr[2, 0, 2] = 1
    sr[:, 0, 3] = 1
    gray = from_network(sr, gray=True, dtype=np.dtype(np.uint8))
    # 0.299, 0.587 and 0.114 of 255 are 76.2, 149.7 and 29.1
    assert gray.tolist() == [[76, 150, 29, 255]]


@pytest.mark.parametrize("level", range(0, 256, 5))
def test_gray_of_equal_channels_is_the_same_level(level: int) -> None:
    lr = to_network(np.full((1, 1), level, dtype=np.uint8))
    assert from_network(lr[0], gray=True, dtype=np.dtype(np.uint8)).tolist() == [[level]]


def test_float_results_are_clipped_but_not_rounded() -> None:
    sr = np.array([-0.5, 0.123456, 1.5], dtype=np.float32).reshape(3, 1, 1)
    result = from_network(sr, gray=False, dtype=np.dtype(np.float32))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.array([[[0, 0.123456, 1]]], dtype=np.float32))
