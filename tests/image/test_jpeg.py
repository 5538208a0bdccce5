"""What is left of a JPEG in pixels, on a photograph that never was one."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, JpegPresets

import references
from made import as_jpeg
from srgan.image.jpeg import quality_in, quality_of_tables
from srgan.image.picture import Coding, Metadata, Picture
from srgan.image.reading import read_picture
from srgan.image.resize import imresize


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    return references.chelsea()[1]


@pytest.mark.parametrize("quality", [30, 60, 75, 85, 90, 93])
def test_the_quality_of_a_jpeg_is_in_its_pixels(photograph: NDArray[np.uint8], quality: int) -> None:
    for pixels in (photograph, photograph[..., 1]):
        for how in ({}, {"subsampling": 0}):
            assert quality_in(as_jpeg(pixels, quality, **how)) == quality


def test_steps_that_two_qualities_share_at_low_frequencies_are_those_of_the_higher(
    photograph: NDArray[np.uint8],
) -> None:
    assert [quality_in(as_jpeg(photograph, quality)) for quality in (50, 51)] == [51, 51]


@pytest.mark.parametrize(("top", "left"), [(0, 1), (3, 5), (7, 0)])
def test_it_is_seen_wherever_the_blocks_begin_and_through_a_finer_jpeg(
    photograph: NDArray[np.uint8], top: int, left: int
) -> None:
    cut = np.ascontiguousarray(as_jpeg(photograph, 60)[top:, left:])
    assert quality_in(cut) == 60
    assert quality_in(as_jpeg(cut, 95)) == 60
    assert quality_in(np.rot90(cut)) == 60
    assert quality_in(cut[:80, :80]) is not None


@pytest.mark.parametrize(("preset", "quality"), [("low", 40), ("medium", 64), ("high", 81), ("maximum", 93)])
def test_photoshops_tables_count_by_their_low_frequencies(
    photograph: NDArray[np.uint8], preset: str, quality: int
) -> None:
    # of the 14 steps that count, in libjpeg's 210 at 50, these are 261, 149, 78 and 30
    tables: Any = JpegPresets.presets[preset]["quantization"]
    low = [tables[0][8 * u + v] for u in range(5) for v in range(5) if 0 < u + v < 5]
    assert sum(low) == {40: 261, 64: 149, 81: 78, 93: 30}[quality]
    assert quality_of_tables(dict(enumerate(tables))) == quality
    assert quality_in(as_jpeg(photograph, preset)) == quality


def never(photograph: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "WEBP", quality=40)
    page = Image.new("RGB", (400, 300), "white")
    for row in range(25):
        ImageDraw.Draw(page).text((7, 12 * row), f"{row}: the quick brown fox jumps over the lazy dog", "black")
    random = np.random.default_rng(0)
    return {
        "a photograph": photograph,
        "one made smaller": imresize(as_jpeg(photograph, 60), scale=0.5),
        "a WebP": np.asarray(Image.open(file).convert("RGB")),
        "noise": random.integers(0, 256, (200, 200, 3), dtype=np.uint8),
        "a page of text": np.asarray(page),
        "a gradient": np.tile(np.arange(256, dtype=np.uint8), (256, 1)),
        "an even picture": np.full((100, 100, 3), 77, np.uint8),
        "16 bits": as_jpeg(photograph, 60).astype(np.uint16) * 257,
        "floats": as_jpeg(photograph, 60).astype(np.float32) / 255,
        "tiles of 8": np.tile(random.integers(123, 133, (8, 8), dtype=np.uint8), (32, 32)),
        "tiles of 24": np.tile(random.integers(0, 256, (24, 24), dtype=np.uint8), (12, 12)),
        "a strip": as_jpeg(photograph, 60)[:15],
        "a pixel": photograph[:1, :1],
        "a JPEG as fine as pixels": as_jpeg(photograph, 98),
    }


@pytest.mark.parametrize("what", list(never(np.zeros((16, 16, 3), np.uint8))))
def test_what_never_was_a_jpeg_has_none(photograph: NDArray[np.uint8], what: str) -> None:
    assert quality_in(never(photograph)[what]) is None


def test_it_is_seen_on_a_coloured_ground_most_of_whose_blocks_are_alike(photograph: NDArray[np.uint8]) -> None:
    picture = np.empty((400, 600, 3), np.uint8)
    picture[:] = (200, 30, 40)
    picture[120:280, 200:400] = photograph[60:220, 80:280]
    assert quality_in(as_jpeg(picture, 60)) == 60


def test_a_picture_has_the_quality_of_the_coarsest_jpeg_that_it_was(photograph: NDArray[np.uint8]) -> None:
    def quality_of(pixels: NDArray[np.uint8], **how: Any) -> int | None:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, **how)
        file.seek(0)
        coding = read_picture(file).condition.coding
        return coding and coding.quality

    once = as_jpeg(photograph, 60)
    assert quality_of(once, format="PNG") == 60
    assert quality_of(once, format="JPEG", quality=95) == 60
    assert quality_of(photograph, format="JPEG", quality=95) == 95
    assert quality_of(photograph, format="PNG") is None
    assert quality_of(once, format="JPEG", quality=40) == 40
    for said, found in ((60, 60), (64, 64), (65, 60), (100, 60), (None, 60)):  # what is told beside what is seen
        coding = None if said is None else Coding("JPEG", said)
        assert Picture(once, metadata=Metadata(coding=coding)).condition.coding == ("JPEG", found)
    assert Picture(once, metadata=Metadata(coding=Coding("WebP", 95))).condition.coding == ("JPEG", 60)
    assert Picture(photograph, metadata=Metadata(coding=Coding("WebP", 95))).condition.coding == ("WebP", 95)
