import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from srgan.image.png import PngWriter, _least

RANDOM = np.random.default_rng(8)


def written(pixels: NDArray[np.uint8], compression: int = 1, step: int = 10_000) -> bytes:
    file = io.BytesIO()
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    with PngWriter(file, pixels.shape[1], pixels.shape[0], channels=channels, bits=8, compression=compression) as png:
        for start in range(0, len(pixels), step):
            png.write(pixels[start : start + step])
    return file.getvalue()


def photograph() -> NDArray[np.uint8]:
    """Return something smooth with noise on it, of more than a megabyte."""
    y, x = np.mgrid[0:700, 0:900]
    waves = np.dstack([np.sin(x / 50) + np.cos(y / 30), np.sin((x + y) / 40), np.cos(x * y / 20_000)])
    noisy = 128 + 50 * waves + RANDOM.normal(0, 2, waves.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def drawing() -> NDArray[np.uint8]:
    image = Image.new("RGB", (900, 700), "white")
    draw = ImageDraw.Draw(image)
    for row in range(0, 700, 14):
        draw.text((row % 40, row), "the quick brown fox " * 8, fill=(0, 0, row % 255))
    return np.asarray(image)


def saved_by_pillow(pixels: NDArray[np.uint8], level: int) -> int:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=level)
    return len(file.getvalue())


@pytest.mark.parametrize("compression", [0, 1, 2, 6, 9])
@pytest.mark.parametrize("pixels", [photograph(), drawing(), photograph()[..., 0]], ids=["photo", "drawing", "gray"])
def test_every_level_gives_what_was_written_and_no_more_bytes_than_pillow(
    pixels: NDArray[np.uint8], compression: int
) -> None:
    content = written(pixels, compression)
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert len(content) <= saved_by_pillow(pixels, compression) * 1.01


def test_rows_may_come_in_any_pieces() -> None:
    pixels = photograph()
    for step in (1, 13, 699, 700):
        with Image.open(io.BytesIO(written(pixels, step=step))) as image:
            assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2)])
def test_the_smallest_pictures(size: tuple[int, int]) -> None:
    for compression in (0, 1, 6):
        for shape in (size, (*size, 3)):
            pixels = RANDOM.integers(0, 256, shape, dtype=np.uint8)
            with Image.open(io.BytesIO(written(pixels, compression))) as image:
                assert np.array_equal(np.asarray(image), pixels)


def test_the_bands_are_one_zlib_stream_with_the_right_checksum() -> None:
    pixels = photograph()
    content, stream, place = written(pixels), b"", 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        crc = int.from_bytes(content[place + 8 + length : place + 12 + length], "big")
        assert crc == zlib.crc32(kind + data)
        stream += data if kind == b"IDAT" else b""
        place += 12 + length
    assert len(zlib.decompress(stream)) == 700 * (1 + 900 * 3)


def test_rows_that_are_missing_are_an_error() -> None:
    with (
        pytest.raises(ValueError, match="3 rows were written of 5"),
        PngWriter(io.BytesIO(), 4, 5, channels=3, bits=8) as png,
    ):
        png.write(np.zeros((3, 4, 3), dtype=np.uint8))


def test_an_error_of_the_file_comes_out() -> None:
    class Full(io.BytesIO):
        def write(self, content: object) -> int:
            if self.tell() > 100_000:
                raise OSError(28, "No space left on device")
            return super().write(content)  # type: ignore[arg-type]

    noise = RANDOM.integers(0, 256, (2000, 1000, 3), dtype=np.uint8)
    with pytest.raises(OSError, match="No space left"), PngWriter(Full(), 1000, 2000, channels=3, bits=8) as png:
        png.write(noise)


@pytest.mark.parametrize(
    ("milliseconds", "fraction"),
    [
        (0.4, (0, 1000)),
        (65_535.4, (65_535, 1000)),
        (65_535.6, (66, 1)),
        (65_536, (66, 1)),
        (65_534_600, (65_535, 1)),
        (65_536_000, (65_535, 1)),
        (10**9, (65_535, 1)),
    ],
)
def test_a_frames_time_is_a_fraction_of_two_numbers_of_16_bits(milliseconds: float, fraction: tuple[int, int]) -> None:
    file = io.BytesIO()
    with PngWriter(file, 1, 1, channels=1, bits=8, frames=1) as png:
        png.begin_frame(milliseconds)
        png.write(np.zeros((1, 1), dtype=np.uint8))
    content = file.getvalue()
    place = content.index(b"fcTL") + 4 + 20  # behind its number, size and place
    assert struct.unpack_from(">HH", content, place) == fraction


def test_each_row_has_the_filter_that_leaves_the_least() -> None:
    above = RANDOM.integers(0, 256, 16, dtype=np.uint8)
    first, second = RANDOM.integers(0, 256, (2, 16), dtype=np.uint8)
    average: list[int] = []
    for upper in first.tolist():
        average.append(((average[-1] if average else 0) + upper) // 2)
    step, edge = [10] * 8 + [200] * 8, [10] * 4 + [100] * 4 + [200] * 8  # its left or its upper neighbour by turns
    falling = list(range(200, 184, -1))  # a difference of 255 is one of -1
    rows = np.array([above, [0] * 16, [77] * 16, first, average, second, step, edge, [0] * 16, falling], dtype=np.uint8)
    numbers = _least(rows, above, 1)[:, 0].tolist()
    assert [numbers[row] for row in (0, 1, 2, 4, 7, 8, 9)] == [2, 0, 1, 3, 4, 0, 1]
