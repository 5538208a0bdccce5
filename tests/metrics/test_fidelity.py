import math

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from runs import scene
from srgan.errors import DataError
from srgan.image.resize import imresize
from srgan.metrics import cropped, grid, lr_psnr, luma, psnr, ssim


@pytest.fixture
def pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    hr = scene(40, 53, seed=0)
    noise = np.random.default_rng(1).normal(0, 12, hr.shape)
    return np.clip(hr + noise, 0, 255).astype(np.uint8), hr


def test_psnr_is_exactly_20_db_for_a_tenth_of_the_peak() -> None:
    hr = np.random.default_rng(0).integers(0, 200, (9, 11)).astype(np.float64)
    assert psnr(hr + 25.5, hr) == 20.0
    assert psnr(hr + 0.125, hr, peak=1.25) == 20.0


def test_psnr_is_scikit_images(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    sr, hr = map(luma, pair)
    assert psnr(sr, hr) == pytest.approx(peak_signal_noise_ratio(hr, sr, data_range=255), rel=1e-12)  # type: ignore[no-untyped-call]


def test_equal_pictures_are_perfect() -> None:
    y = luma(scene(16, 16, seed=0))
    assert psnr(y, y) == math.inf
    assert ssim(y, y) == pytest.approx(1, abs=1e-12)


def test_the_grid_is_what_repeats_where_the_original_is_flat() -> None:
    """Every fourth column 8 levels brighter is 6 over the mean there, 2 under it else: sqrt(12). A drift is no grid."""
    hr = np.full((64, 64, 3), 100, np.uint8)
    hr[:, 32:] += np.random.default_rng(0).integers(0, 100, (64, 32, 3), dtype=np.uint8)
    assert grid(hr + np.uint8(5), hr) == 0
    sr = hr.copy()
    sr[:, 32:] += np.tile(np.array([40, 0], np.uint8), 16)[:, None]
    assert grid(sr, hr) == 0  # in texture
    sr[:, :32:4] += 8
    assert grid(sr, hr) == pytest.approx(12**0.5)
    assert grid(sr[:, :, 0], hr[:, :, 0]) == pytest.approx(12**0.5)
    red = hr.copy()
    red[..., 0] = sr[..., 0]
    assert grid(red, hr) == pytest.approx(2), "the mean over the channels of 12, 0 and 0 is 4"
    with pytest.raises(DataError, match="needs 32 pixels a side, not 64x31"):
        grid(sr[:31], hr[:31])


def test_luma_by_hand() -> None:
    """BT.601 as MATLAB has it: black is 16, white 235, the primaries as in its conversion matrix."""
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(colours)[0].tolist() == pytest.approx([16, 235, 16 + 65.481, 16 + 128.553, 16 + 24.966], abs=1e-9)


def test_luma_is_scikit_images(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    np.testing.assert_allclose(luma(pair[0]), rgb2ycbcr(pair[0])[..., 0], rtol=0, atol=1e-9)


def test_gray_is_its_own_luma() -> None:
    gray = scene(12, 12, seed=0)[..., 0]
    assert np.array_equal(luma(gray), gray)
    assert luma(gray).dtype == np.float64


def test_ssim_is_scikit_images(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    """With the settings of Wang et al. 2004, whose mean leaves out the 5 pixels that the window cannot reach."""
    sr, hr = map(luma, pair)
    expected = structural_similarity(  # type: ignore[no-untyped-call]
        hr, sr, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(sr, hr) == pytest.approx(expected, rel=1e-9)


def test_ssim_of_two_flat_pictures_by_hand() -> None:
    """Without variance only the luminance is left: (2 a b + c1) / (a^2 + b^2 + c1)."""
    a, b, c1 = 100.0, 120.0, (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert ssim(np.full((12, 12), a), np.full((12, 12), b)) == pytest.approx(expected, rel=1e-9)


def test_ssim_needs_its_window() -> None:
    with pytest.raises(DataError, match="SSIM needs 11 pixels a side, not 30x10"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))


def test_a_border_is_cut_from_each_side() -> None:
    picture = np.arange(5 * 7).reshape(5, 7).astype(np.float64)
    assert cropped(picture, 2).tolist() == [[16, 17, 18]]
    assert cropped(picture, 0).shape == (5, 7)
    assert cropped(np.zeros((9, 10, 3), np.uint8), 4).shape == (1, 2, 3)
    for border in (3, 4):
        with pytest.raises(DataError, match=f"a border of {border} pixels leaves nothing of a picture of 7x5"):
            cropped(picture, border)


def test_lr_psnr_is_of_the_downsampled_picture() -> None:
    hr = scene(40, 56, seed=0)
    lr = imresize(hr, scale=0.25)
    assert lr_psnr(hr, lr) == math.inf
    tinted = hr.copy()
    tinted[..., 2] = np.minimum(tinted[..., 2], 245) + 10
    small = imresize(tinted, scale=0.25).astype(np.float64)
    assert lr_psnr(tinted, lr) == psnr(small, lr.astype(np.float64))
    assert lr_psnr(tinted, lr) == pytest.approx(10 * math.log10(255**2 / (100 / 3)), abs=0.2)


def test_levels_of_8_bits_do_not_wrap_around() -> None:
    sr, hr = np.random.default_rng(0).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    for score in (psnr, ssim):
        assert score(sr, hr) == score(sr.astype(np.float64), hr.astype(np.float64))
    assert psnr(sr, hr) == pytest.approx(peak_signal_noise_ratio(hr, sr))  # type: ignore[no-untyped-call]


def test_what_cannot_be_compared_is_refused() -> None:
    square = np.zeros((16, 16, 3))
    for score in (psnr, ssim):
        with pytest.raises(DataError, match=r"an array \(16, 16, 3\) cannot be compared with one \(1, 16, 3\)"):
            score(square, square[:1])
    with pytest.raises(DataError, match=r"SSIM is of planes \(H, W\), not of an array \(16, 16, 3\)"):
        ssim(square, square)
    with pytest.raises(DataError, match=r"luma is of pictures \(H, W, 3\) or \(H, W\), not of an array \(16, 16, 4\)"):
        luma(np.zeros((16, 16, 4), np.uint8))
    with pytest.raises(DataError, match="luma is of levels of 8 bits, uint8, not of float64"):
        luma(square)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"an array \(64, 64, 3\) cannot be compared with one \(64, 64\)"):
        grid(np.zeros((64, 64, 3)), np.zeros((64, 64)))
    with pytest.raises(DataError, match="a window of 32 pixels does not hold whole periods of 5"):
        grid(np.zeros((64, 64)), np.zeros((64, 64)), period=5)
    with pytest.raises(DataError, match="a border of -1 pixels"):
        cropped(square, -1)


def test_ssim_has_no_unit() -> None:
    sr, hr = np.random.default_rng(0).integers(0, 256, (2, 32, 32)).astype(np.float64)
    assert ssim(sr / 255, hr / 255, peak=1.0) == pytest.approx(ssim(sr, hr), rel=1e-9)


def test_the_grid_of_one_window_and_of_three_of_which_two_are_flattest() -> None:
    hr = np.random.default_rng(0).integers(0, 100, (32, 96)) * np.repeat([0.1, 0.2, 1.0], 32)
    sr = hr + np.repeat([0, 8, 40], 32) * np.tile([1, 0, 0, 0], 24)  # sqrt(12) in the second
    assert grid(sr[:, 32:64], hr[:, 32:64]) == pytest.approx(12**0.5)
    assert grid(sr, hr) == pytest.approx(6**0.5)


def test_a_border_of_half_a_side_leaves_nothing() -> None:
    with pytest.raises(DataError, match="a border of 3 pixels leaves nothing of a picture of 7x6"):
        cropped(np.zeros((6, 7)), 3)
