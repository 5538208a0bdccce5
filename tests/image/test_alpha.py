import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from srgan.image.alpha import bleed, hold


def test_clear_places_take_the_colours_around_them() -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    alpha = np.zeros((8, 8), dtype=np.uint8)
    pixels[:, :3], alpha[:, :3] = (200, 100, 50), 255
    pixels[:, 7], alpha[:, 7] = (0, 0, 255), 128
    pixels[:, 3:7] = (1, 2, 3)
    result = bleed(pixels, alpha)
    assert np.array_equal(result[:, :3], pixels[:, :3])
    assert np.array_equal(result[:, 7], pixels[:, 7])
    assert (result[:, 3] == (200, 100, 50)).all(), "from the left"
    assert (result[:, 6] == (0, 0, 255)).all(), "from the right"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (13, 17), (40, 3)])
def test_one_colour_goes_everywhere_and_what_is_seen_stays(shape: tuple[int, int], kind: type) -> None:
    random = np.random.default_rng(1)
    alpha: NDArray[Any] = (random.random(shape) < 0.1).astype(kind)
    alpha[-1, -1] = 1
    colour = np.array([0.25, 0.5, 1], dtype=np.float32) if kind is np.float32 else np.array([9, 99, 255], dtype=kind)
    pixels: NDArray[Any] = np.where(alpha[..., np.newaxis] > 0, colour, np.zeros(3, dtype=kind)).astype(kind)
    result = bleed(pixels, alpha)
    assert result.dtype == kind
    assert np.allclose(result, colour, atol=1e-6)
    gray: NDArray[np.uint8] = pixels[..., 1]
    assert np.allclose(bleed(gray, alpha), colour[1], atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_what_is_seen_stays_and_the_picture_that_was_given_too(kind: type) -> None:
    random = np.random.default_rng(6)
    pixels: NDArray[Any] = (random.random((9, 14, 3)) * (1 if kind is np.float32 else 255)).astype(kind)
    alpha: NDArray[Any] = (random.random((9, 14)) < 0.5).astype(kind)
    before = pixels.copy()
    result = bleed(pixels, alpha)
    assert np.array_equal(pixels, before)
    assert np.array_equal(result[alpha > 0], pixels[alpha > 0])
    assert not np.array_equal(result, pixels)


def test_clear_places_take_the_mean_of_the_nearest_squares() -> None:
    """Of 2x2 pixels, then 4x4, then 8x8: of each the four quarters count alike where anything is seen in them."""
    pixels = np.full((8, 8), 7, dtype=np.uint8)
    alpha = np.zeros((8, 8), dtype=np.uint8)
    pixels[:2, :2], alpha[:2, :2] = 200, 255
    for place, level in (((0, 2), 100), ((0, 4), 50)):
        pixels[place], alpha[place] = level, 255
    expected = np.full((8, 8), 100)  # of 150 and 50
    expected[:4, :4] = 150  # of 200 and 100
    expected[:4, 4:] = 50
    expected[:2, :2], expected[:2, 2:4] = 200, 100
    assert bleed(pixels, alpha).tolist() == expected.tolist()


def test_what_is_half_seen_counts_less() -> None:
    """Of 200, opaque, and 100, of which a fifth is seen, the mean is 220 / 1.2."""
    pixels, alpha = np.zeros((4, 4), dtype=np.uint8), np.zeros((4, 4), dtype=np.uint8)
    pixels[0], alpha[0] = (200, 200, 100, 100), (255, 0, 51, 0)
    assert bleed(pixels, alpha)[3].tolist() == [183] * 4
    pixels[0], alpha[0] = (200, 100, 0, 0), (255, 51, 0, 0)
    assert bleed(pixels, alpha)[1:].tolist() == [[183] * 4] * 3


def test_all_clear_and_all_opaque_are_left_as_they_are(noise: NDArray[np.uint8]) -> None:
    for level in (0, 255):
        assert bleed(noise, np.full(noise.shape[:2], level, dtype=np.uint8)) is noise


def test_an_alpha_is_held_between_the_four_pixels_around() -> None:
    lr = np.zeros((200, 8), dtype=np.uint8)
    lr[:, 4:] = 255
    lr[199, 7] = 254
    sr = np.random.default_rng(2).integers(0, 256, (800, 32), dtype=np.uint8)
    before = sr.copy()
    hold(sr, lr, 4)
    assert (sr[:, :14] == 0).all(), "clear, up to the middle of the last clear pixel"
    assert (sr[: 4 * 198, 18:] == 255).all(), "opaque, from the middle of the first opaque pixel"
    assert np.array_equal(sr[:, 14:18], before[:, 14:18]), "anything between"
    assert set(sr[4 * 198 + 2 :, 26:].ravel().tolist()) == {254, 255}


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_what_lies_between_its_neighbours_is_left_as_it_is(scale: int) -> None:
    """Bilinear interpolation never leaves the range of the four pixels around."""
    lr = np.random.default_rng(3).integers(0, 256, (9, 7), dtype=np.uint8)
    size = (7 * scale, 9 * scale)
    sr = np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.BILINEAR)).copy()
    before = sr.copy()
    hold(sr, lr, scale)
    assert np.array_equal(sr, before)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(13, 17, 3), (40, 7)])
def test_bands_do_not_show_in_what_is_filled(
    shape: tuple[int, ...], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(4)
    most = 1 if kind is np.float32 else np.iinfo(kind).max
    pixels: NDArray[Any] = (random.random(shape) * most).astype(kind)
    alpha: NDArray[Any] = (random.random(shape[:2]) * most).astype(kind)
    alpha[random.random(shape[:2]) < 0.8] = 0
    whole = bleed(pixels, alpha)
    monkeypatch.setattr("srgan.image.alpha._BAND_ROWS", 4)
    assert np.array_equal(bleed(pixels, alpha), whole)


def test_what_is_filled_takes_little_memory() -> None:
    pixels, alpha = np.zeros((1500, 1000, 3), np.uint8), np.zeros((1500, 1000), np.uint8)
    alpha[700, 500] = 255
    tracemalloc.start()
    bleed(pixels, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * pixels.nbytes
