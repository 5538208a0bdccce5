import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from srgan.image.resize import bicubic_taps, cubic, imresize

TEST_SETS = os.environ.get("SRGAN_TEST_SETS")
"""A folder with the published Set5 and Set14, each with its LRx4 inside."""


def test_the_cubic_kernel_interpolates() -> None:
    """Keys' kernel is 1 at 0, 0 at every other whole number, and 9/16 and -1/16 half way."""
    assert cubic(np.array([-2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2])).tolist() == (
        [0, 0, -1 / 16, 0, 9 / 16, 1, 9 / 16, 0, -1 / 16, 0]
    )


def test_the_taps_of_a_quarter_are_those_of_the_kernel_by_hand() -> None:
    """The centre lies between taps 7 and 8; tap k is cubic((k - 7.5) / 4) / 4, a multiple of 1 / 4096."""
    places, weights = bicubic_taps(3, 1 / 4)
    left = [-7, -45, -75, -49, 93, 399, 745, 987]
    for i, row in enumerate(weights * 4096):
        assert row.tolist() == left + left[::-1]
        assert places[i].tolist() == list(range(4 * i - 6, 4 * i + 10))


def test_the_taps_of_four_times_are_four_phases() -> None:
    """Output i is centred at (i + 1/2) / 4 - 1/2: 2 at 1/8, by cubic(9/8), cubic(1/8), cubic(-7/8), cubic(-15/8)."""
    places, weights = bicubic_taps(8, 4.0)
    eighth = [-49 / 1024, 987 / 1024, 93 / 1024, -7 / 1024]
    assert weights[2].tolist() == weights[6].tolist() == eighth
    assert weights[1].tolist() == weights[5].tolist() == eighth[::-1]
    assert places[2].tolist() == [-1, 0, 1, 2]
    assert places[5].tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize("scale", [0.25, 0.3, 0.5, 1.0, 1.7, 4.0])
def test_a_flat_picture_stays_flat(scale: float) -> None:
    picture = np.full((13, 9, 3), 77, np.uint8)
    assert (imresize(picture, scale=scale) == 77).all()


def test_a_step_by_hand() -> None:
    """Four dark and four bright pixels at a quarter: the bright share of each tap's side, borders repeated."""
    row = np.array([[0, 0, 0, 0, 255, 255, 255, 255]], np.float64)
    left = np.array([-7, -45, -75, -49, 93, 399, 745, 987]) / 4096
    bright = left[:6].sum()  # taps 10 to 15 of the first output lie at places 4 to 9
    expected = [255 * bright, 255 * (1 - bright)]
    assert imresize(row, size=(1, 2)).tolist() == [pytest.approx(expected)]


def test_uint8_is_rounded_half_up_between_the_two_passes() -> None:
    """Rows first: the columns see whole levels. A 2x2 picture at half is one pixel; its kernel reaches no further."""
    picture = np.array([[0, 0], [1, 1]], np.uint8)
    assert imresize(picture.astype(np.float64), scale=0.5).tolist() == [[0.5]]
    assert imresize(picture, scale=0.5).tolist() == [[1]]
    picture = np.array([[0, 1], [0, 0]], np.uint8)  # rows: 0 and 0.5, which is 1; columns: 0.5, which is 1
    assert imresize(picture.astype(np.float64), scale=0.5).tolist() == [[0.25]]
    assert imresize(picture, scale=0.5).tolist() == [[1]]


@pytest.mark.parametrize(("size", "between"), [((20, 10), (40, 10)), ((10, 20), (10, 40)), ((20, 20), (20, 40))])
def test_the_axis_that_shrinks_most_goes_first_and_of_two_alike_the_rows(
    size: tuple[int, int], between: tuple[int, int]
) -> None:
    """Each axis by itself: the other has a scale of 1 then, which changes nothing."""
    picture = np.random.default_rng(5).integers(0, 256, (40, 40), dtype=np.uint8)
    other = (size[0], 40) if between[0] == 40 else (40, size[1])
    result = imresize(picture, size=size)
    assert np.array_equal(result, imresize(imresize(picture, size=between), size=size))
    assert not np.array_equal(result, imresize(imresize(picture, size=other), size=size))


def test_overshoot_is_clipped_in_uint8_and_kept_in_floats() -> None:
    step = np.repeat(np.array([[0, 255]]), 8, axis=1)
    assert imresize(step.astype(np.float32), scale=2.0).max() > 255
    sharp = imresize(step.astype(np.uint8), scale=2.0)
    assert (sharp.min(), sharp.max()) == (0, 255)


def test_sizes_and_channels() -> None:
    picture = np.zeros((7, 10, 3), np.float32)
    assert imresize(picture, scale=0.25).shape == (2, 3, 3)
    assert imresize(picture, size=(5, 31)).shape == (5, 31, 3)
    assert imresize(picture[..., 0], scale=4.0).shape == (28, 40)
    assert imresize(picture, scale=4.0).dtype == np.float32
    assert imresize(np.zeros((1, 1), np.uint8), scale=0.25).shape == (1, 1)


def test_a_scale_is_that_which_was_asked_for_whatever_the_rounded_size_makes_of_it() -> None:
    """A quarter of 7 is 2, whose centres lie where those of a quarter of 8 do: the last row counts twice."""
    picture = np.random.default_rng(5).random((7, 5))
    longer = np.pad(picture, ((0, 1), (0, 3)), mode="edge")
    assert imresize(picture, scale=0.25).tolist() == imresize(longer, scale=0.25).tolist()
    assert not np.allclose(imresize(picture, size=(2, 2)), imresize(longer, scale=0.25))


def test_each_channel_is_resampled_alone(noise: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> None:
    whole = imresize(noise, scale=0.5)
    for channel in range(3):
        assert np.array_equal(whole[..., channel], imresize(noise[..., channel], scale=0.5))


@pytest.mark.parametrize("arguments", [{}, {"scale": 2.0, "size": (4, 4)}])
def test_scale_or_size_but_not_both(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give scale or size"):
        imresize(np.zeros((2, 2), np.uint8), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 0, 3), (1, 2, 3, 4)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a picture has shape"):
        imresize(np.zeros(shape, np.uint8), scale=2.0)


@pytest.mark.skipif(TEST_SETS is None, reason="SRGAN_TEST_SETS names no folder with Set5 and Set14")
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_the_published_pictures_are_met_bit_for_bit(name: str) -> None:
    """The LR pictures that the community shares come from MATLAB's imresize."""
    folder = Path(str(TEST_SETS)) / name
    pairs = [(path, folder / "LRx4" / path.name) for path in sorted(folder.glob("*.png"))]
    assert len(pairs) == {"Set5": 5, "Set14": 14}[name]
    for path, low in pairs:
        hr = np.asarray(Image.open(path))
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        assert np.array_equal(imresize(hr, scale=0.25), np.asarray(Image.open(low))), path.name


@pytest.mark.parametrize("scale", [2.5, 0.3])
@pytest.mark.parametrize("shape", [(40, 30, 3), (31, 47), (1, 700)])
def test_a_picture_resized_in_parts_is_the_same(
    shape: tuple[int, ...], scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(6).integers(0, 256, shape, dtype=np.uint8)
    whole = imresize(picture, scale=scale)
    monkeypatch.setattr("srgan.image.resize._SUMS", 100)
    np.testing.assert_array_equal(imresize(picture, scale=scale), whole)


@pytest.mark.parametrize("scale", [4.0, 0.5, 1 / 64])
def test_the_weights_of_a_long_side_take_no_memory_of_its_length(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.image.resize._SUMS", 10_000)
    picture = np.zeros((1, 100_000), np.uint8)
    tracemalloc.start()
    imresize(picture, size=(1, int(100_000 * scale)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3_000_000, "their weights and places are at least six million bytes"


def test_16_bits_do_not_wrap_around() -> None:
    edge = np.array([[0, 0, 0, 65535, 65535, 65535]], np.uint16)
    ours, floats = imresize(edge, scale=2.0), imresize(edge.astype(np.float64), scale=2.0)
    assert floats.min() < 0
    assert floats.max() > 65535
    assert ours.tolist() == np.floor(np.clip(floats, 0, 65535) + 0.5).tolist()


@pytest.mark.parametrize("how", [{"scale": 0.0}, {"size": (0, 4)}, {"scale": -1.0}])
def test_no_picture_is_made_of_no_size_or_no_picture(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a picture cannot be made"):
        imresize(np.zeros((4, 4), np.uint8), **how)
    with pytest.raises(ValueError, match="an array of uint8, uint16, float32 or float64, not bool"):
        imresize(np.zeros((4, 4), np.bool_), scale=2.0)  # type: ignore[type-var]


def test_resizing_is_ended_between_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.image.resize._SUMS", 1000)
    calls: list[int] = []

    def check() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        imresize(np.zeros((100, 100), np.uint8), scale=2.0, check=check)
    assert len(calls) == 3
