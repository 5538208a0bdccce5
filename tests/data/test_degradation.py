from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from srgan.data.degradation import CLEAN, Degradation, with_blur


def drawn(degradation: Degradation, picture: NDArray[np.uint8], times: int = 400) -> list[NDArray[np.uint8]]:
    """Return what becomes of the picture each time, but where it stays clean."""
    results = [degradation(picture, np.random.default_rng(seed)) for seed in range(times)]
    degraded = [result for result in results if not np.array_equal(result, picture)]
    assert len(degraded) == pytest.approx((1 - CLEAN) * times, rel=0.1)
    return degraded


def test_a_blurred_point_is_a_gaussian_mirrored_at_the_sides() -> None:
    """Weights exp(-2 k^2) up to k = 2, of the sum 1.27134: .78657, .10645, .00026; two of them meet in a corner."""
    picture = np.zeros((7, 7), np.uint8)
    picture[3, 3] = 255
    blurred = with_blur(np.stack([picture] * 3, -1), 0.5)
    assert blurred[1:6, 1:6, 1].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 3, 21, 3, 0],
        [0, 21, 158, 21, 0],
        [0, 3, 21, 3, 0],
        [0, 0, 0, 0, 0],
    ]
    assert np.array_equal(with_blur(picture, 0.5), blurred[..., 0])
    corner = np.zeros((4, 4), np.uint8)
    corner[0, 0] = 255
    assert with_blur(corner, 0.5)[0, :2].tolist() == [203, 24]  # 255 (w0 + w1)^2, 255 (w0 + w1) (w1 + w2)
    assert np.array_equal(with_blur(picture, 0.0), picture)


def test_blur_has_all_deviations_up_to_the_largest() -> None:
    """An edge's steps have the variance of the Gaussian: of a fifth none, else 4 / 3 for deviations from 0 to 2."""
    edge = np.zeros((4, 30, 3), np.uint8)
    edge[:, 15:] = 255
    degraded = [Degradation(blur=2.0)(edge, np.random.default_rng(seed)) for seed in range(400)]
    steps = np.diff(np.array(degraded, float)[:, 0, :, 0]) / 255
    variances = (steps * np.square(np.arange(29) - 14)).sum(1)
    assert variances.max() < 4.1
    assert variances.mean() == pytest.approx((1 - CLEAN) * 4 / 3, rel=0.15)
    soft = [Degradation(blur=2.0, least_blur=1.5)(edge, np.random.default_rng(seed)) for seed in range(100)]
    variances = (np.diff(np.array(soft, float)[:, 0, :, 0]) / 255 * np.square(np.arange(29) - 14)).sum(1)
    assert {variance > 2.1 for variance in variances if variance} == {True}


def test_noise_has_no_mean_and_all_deviations_up_to_the_largest() -> None:
    """Uniform from 0 to 12 levels: 6 on average, and 12 / sqrt(12) around that."""
    gray = np.full((40, 40, 3), 128, np.uint8)
    errors = np.array([result - 128.0 for result in drawn(Degradation(noise=12.0), gray)])
    deviations = errors.std((1, 2, 3))
    assert abs(errors.mean()) < 0.02
    assert deviations.max() < 12.5
    assert deviations.mean() == pytest.approx(6, rel=0.1)
    assert deviations.std() == pytest.approx(12 / np.sqrt(12), rel=0.1)


def test_a_share_of_what_is_degraded_gets_noise_and_as_large_a_share_of_it_jpeg() -> None:
    """Of four fifths half each: a quarter of these get both, a quarter neither."""
    checks = (np.indices((16, 16)).sum(0)[..., None].repeat(3, -1) % 2 * 255).astype(np.uint8)
    both, noisy, coded, blurred = (
        Degradation(jpeg, noise, blur, 0.3 * blur, 0.5)
        for jpeg, noise, blur in (((1, 1), 12.0, 0.0), ((), 12.0, 0.0), ((1, 1), 0.0, 0.0), ((), 0.0, 1.0))
    )
    for degradation, share in ((both, 0.6), (noisy, 0.4), (coded, 0.4), (blurred, 0.8)):
        results = [degradation(checks, np.random.default_rng(seed)) for seed in range(400)]
        changed = [not np.array_equal(result, checks) for result in results]
        assert np.mean(changed) == pytest.approx(share, abs=0.07), degradation


def test_noise_stays_within_white() -> None:
    white = np.full((8, 8, 3), 255, np.uint8)
    assert min(result.min() for result in drawn(Degradation(noise=12.0), white)) > 255 - 6 * 12


def test_jpeg_is_what_pillow_writes_at_one_of_the_qualities_from_one_of_the_places_in_a_block() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (6, 6, 3), np.uint8).repeat(3, 0).repeat(3, 1)
    possible: dict[bytes, tuple[int, ...]] = {}
    for top in range(16):
        for left in range(16):
            larger = np.pad(picture, ((top, 0), (left, 0), (0, 0)), mode="edge")
            for quality in (60, 61):
                for subsampling in (0, 2):
                    file = BytesIO()
                    Image.fromarray(larger).save(file, "JPEG", quality=quality, subsampling=subsampling)
                    image = np.asarray(Image.open(file))[top:, left:]
                    possible[image.tobytes()] = (top, left, quality, subsampling)
    met = {possible[result.tobytes()] for result in drawn(Degradation((60, 61)), picture)}
    for number, values in enumerate((range(16), range(16), (60, 61), (0, 2))):
        assert {place[number] for place in met} == set(values)
