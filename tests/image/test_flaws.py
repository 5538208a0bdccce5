"""How much noise and blur a picture has, on a photograph that has none."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import references
from made import as_jpeg
from srgan.data.degradation import with_blur, with_noise
from srgan.image.colour import BT601, Pixels
from srgan.image.flaws import WEIGHTS, are_even, blocks_of, flaws_in
from srgan.image.picture import Picture
from srgan.image.resize import imresize
from srgan.weights import BLURRED

SEEN = min(least for least, _ in BLURRED)
"""Pixels of blur from which on `auto` does something about it."""


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    """A photograph made smaller, (150, 224, 3): its own noise is half a level."""
    return imresize(references.chelsea()[1], scale=0.5)


def noisy(pixels: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    return with_noise(pixels, deviation, np.random.default_rng(0))


def level(pixels: Pixels) -> float:
    noise = flaws_in(pixels).noise
    assert noise is not None
    return noise


def blur(pixels: Pixels) -> float:
    blur = flaws_in(pixels).blur
    assert blur is not None
    return blur


def test_the_level_of_noise_is_in_the_pixels(photograph: NDArray[np.uint8]) -> None:
    assert level(photograph) < 0.5
    for deviation in (2, 3, 4, 6, 10):
        assert level(noisy(photograph, deviation)) == pytest.approx(deviation, rel=0.2)
        assert level(noisy(photograph[40:90, 60:120], deviation)) == pytest.approx(deviation, rel=0.35)


def test_it_is_the_same_in_all_types(photograph: NDArray[np.uint8]) -> None:
    pixels = noisy(photograph, 4)
    deep = pixels.astype(np.uint16) * 257
    assert level(deep) == level((pixels / np.float32(255)).astype(np.float32)) == level(pixels)
    assert Picture(pixels).condition == (None, level(pixels), blur(pixels))


def test_noise_is_seen_in_gray_pictures_and_in_jpegs(photograph: NDArray[np.uint8]) -> None:
    gray = photograph[..., 1]
    assert level(gray) < 0.5
    assert level(noisy(gray, 6)) == level(np.stack([noisy(gray, 6)] * 3, axis=-1))
    assert level(noisy(gray, 6)) == pytest.approx(6 / np.linalg.norm(BT601), rel=0.25)
    assert level(as_jpeg(photograph, 97)) < 0.5
    assert level(as_jpeg(noisy(photograph, 6), 97)) == pytest.approx(6, rel=0.3)


def test_drawings_have_none() -> None:
    image = Image.new("RGB", (200, 160), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 20, 120, 120), fill="navy", outline="red")
    pen.text((30, 130), "What nobody has drawn by hand", fill="black")
    for pixels in (np.asarray(image), np.zeros((64, 64), np.uint8), np.full((40, 50, 3), 255, np.uint8)):
        assert level(pixels) < 0.5
        assert blur(pixels) < 0.3


def framed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(pixels, ((16, 16), (16, 16), (0, 0)))


def stamped(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    image.paste("red", (60, 50, 110, 80))
    return np.asarray(image)


def letterboxed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([np.full((20, pixels.shape[1], 3), 255, np.uint8), pixels])


@pytest.mark.parametrize("covered", [framed, stamped, letterboxed])
def test_what_has_one_colour_does_not_count(
    photograph: NDArray[np.uint8], covered: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    assert level(covered(photograph)) < 0.8
    assert level(covered(noisy(photograph, 6))) == pytest.approx(6, rel=0.25)


def test_lights_that_are_clipped_do_not_count(photograph: NDArray[np.uint8]) -> None:
    light = (photograph * 1.6).clip(0, 255).astype(np.uint8)
    assert 0.05 < (light == 255).mean() < 0.5
    assert level(light) < 0.8
    assert level(noisy(light, 6)) == pytest.approx(6, rel=0.3)


@pytest.mark.parametrize("shape", [(1, 1), (31, 400), (400, 31, 3)])
def test_of_too_few_pixels_nothing_is_said(shape: tuple[int, ...], noise: NDArray[np.uint8]) -> None:
    assert flaws_in(np.resize(noise, shape)) == (None, None)


def test_blur_is_in_the_pixels(photograph: NDArray[np.uint8]) -> None:
    for pixels in (photograph, photograph[40:104, 60:144], photograph[..., 1], as_jpeg(photograph, 95)):
        assert blur(pixels) < 0.3
    for deviation in (0.7, 1, 1.5, 2):
        soft = with_blur(photograph, deviation)
        assert blur(soft) == pytest.approx(deviation, rel=0.2)
        assert blur(soft[..., 1]) == pytest.approx(deviation, rel=0.3)
        assert blur(soft[40:104, 60:144]) == pytest.approx(deviation, rel=0.35)
        assert blur(noisy(soft, 3)) == pytest.approx(deviation, rel=0.35)
        assert blur(as_jpeg(soft, 85)) == pytest.approx(deviation, rel=0.35)


@pytest.mark.parametrize(("times", "top", "left"), [(1, 40, 60), (5, 200, 290), (5, 500, 200)])
def test_blur_is_of_what_is_sharpest(photograph: NDArray[np.uint8], times: int, top: int, left: int) -> None:
    """Wherever that is; no larger than a third of a side, it lies between the parts that are looked at first."""
    sharp = np.tile(photograph, (times, times, 1))
    portrait = with_blur(sharp, 2)
    within = slice(top, top + 50 * times), slice(left, left + 75 * times)
    portrait[within] = sharp[within]
    assert blur(portrait) < SEEN


def test_a_border_says_nothing_of_blur(photograph: NDArray[np.uint8]) -> None:
    for covered in (framed, stamped, letterboxed):
        assert blur(covered(photograph)) < SEEN
        assert blur(covered(with_blur(photograph, 1.5))) > 0.6


@pytest.mark.parametrize(("quality", "most"), [(20, 0.4), (30, SEEN), (40, SEEN), (75, SEEN)])
def test_jpegs_are_not_taken_for_blur(photograph: NDArray[np.uint8], quality: int, most: float) -> None:
    assert blur(as_jpeg(photograph, quality)) < most


def test_what_was_enlarged_before_is_blurred(photograph: NDArray[np.uint8]) -> None:
    assert blur(imresize(imresize(photograph, scale=0.5), scale=2)) > 0.8


def test_a_large_picture_is_judged_by_parts_of_it(photograph: NDArray[np.uint8]) -> None:
    large = np.tile(photograph, (6, 6, 1))
    assert level(large) < 1
    assert level(noisy(large, 5)) == pytest.approx(5, rel=0.2)


def test_a_block_is_seen_as_its_coefficients(photograph: NDArray[np.uint8]) -> None:
    """By the definitions of the discrete cosine transform and of BT.601's Y, Cb and Cr."""
    block = photograph[8:16, 12:20].astype(np.float64)
    luma = block @ (0.299, 0.587, 0.114)
    expected = []
    for part in (luma - 128, (block[..., 2] - luma) / 1.772, (block[..., 0] - luma) / 1.402):
        for u, v in np.ndindex(8, 8):
            terms = (
                part[y, x] * math.cos((2 * y + 1) * u * math.pi / 16) * math.cos((2 * x + 1) * v * math.pi / 16)
                for y, x in np.ndindex(8, 8)
            )
            coefficient = sum(terms) / 4 * (0.5**0.5 if u == 0 else 1) * (0.5**0.5 if v == 0 else 1)
            expected.append(math.log2(abs(coefficient) + 0.5) / 3)
    np.testing.assert_allclose(blocks_of(photograph[np.newaxis, 8:16, 12:20]), [expected], atol=1e-3)
    assert blocks_of(photograph[np.newaxis]).shape == (((150 - 8) // 4 + 1) * ((224 - 8) // 4 + 1), 192)


@pytest.mark.parametrize("flaw", [0, 1])
def test_it_says_what_the_network_that_is_trained_says(
    photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, flaw: int
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    from flaws import Level

    network = Level()
    with np.load(WEIGHTS[flaw]) as file:
        network.load_state_dict({name: torch.from_numpy(values.astype(np.float32)) for name, values in file.items()})
    for deviation in (0, 4):
        small = noisy(photograph[:100, :120], deviation)  # so that all of it is one part
        pixels = with_blur(small, deviation / 4)
        pixels[:20, :30] = 7
        blocks = blocks_of(pixels[np.newaxis])
        told = network(torch.from_numpy(blocks[~are_even(blocks)])[None])
        assert flaws_in(pixels)[flaw] == pytest.approx(max(2 ** told.item() - 1, 0), abs=1e-4)
