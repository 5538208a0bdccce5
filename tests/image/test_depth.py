"""Pictures of 16 bits a channel: every value that is written here byte by byte is read, and written, as it is."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from made import chunk, png
from srgan.errors import PictureError
from srgan.image.picture import Picture, array_from_picture
from srgan.image.reading import read_picture
from srgan.image.writing import WriteOptions, write_picture

RANDOM = np.random.default_rng(7)


def samples(channels: int) -> NDArray[np.uint16]:
    return RANDOM.integers(0, 65536, (13, 11, channels), dtype=np.uint16)


def read(content: bytes) -> Picture:
    return read_picture(io.BytesIO(content))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_16_bits_keeps_them_all(channels: int, interlaced: bool) -> None:
    values = samples(channels)
    picture = read(png(values, interlaced=interlaced))
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(array_from_picture(picture).reshape(values.shape), values)
    assert (picture.alpha is None) == (channels in (1, 3))


def test_the_one_transparent_colour_of_a_png_of_16_bits() -> None:
    values = samples(3)
    values[0, 0] = values[5, 6] = 1, 2, 3
    values[1, 1] = 1, 2, 4
    picture = read(png(values, chunk(b"tRNS", b"\0\1\0\2\0\3")))
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[0, 0], [5, 6]]
    assert set(picture.alpha.ravel().tolist()) == {0, 65535}
    gray = samples(1)
    gray[2, 3] = 777
    picture = read(png(gray, chunk(b"tRNS", b"\3\x09")))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, gray[..., 0] == 777)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "how",
    [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": 2}, {"tile": (16, 16)}, {"rowsperstrip": 2}],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_of_16_bits_keeps_them_all(channels: int, order: str, how: dict[str, object]) -> None:
    values = samples(channels)
    file = io.BytesIO()
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    kind = "minisblack" if channels == 1 else "rgb"
    tifffile.imwrite(file, values, photometric=kind, byteorder=order, **how, **extra)  # type: ignore[arg-type]
    assert np.array_equal(array_from_picture(read(file.getvalue())).reshape(values.shape), values)


def test_colours_that_were_multiplied_by_alpha_are_divided() -> None:
    values = np.array([[[1000, 2000, 3000, 65535], [1000, 2000, 3000, 32768], [0, 0, 0, 0]]], dtype=np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", extrasamples=["assocalpha"])
    picture = read(file.getvalue())
    # 65535 / 32768 is 1.99997: 1000 is of 1999.97, and so on
    assert picture.pixels.tolist() == [[[1000, 2000, 3000], [2000, 4000, 6000], [0, 0, 0]]]


def test_separate_planes_of_16_bits_are_refused_and_not_misread() -> None:
    file = io.BytesIO()
    planes = np.ascontiguousarray(samples(3).transpose(2, 0, 1))
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(PictureError, match="16 bits in separate planes cannot be read"):
        read(file.getvalue())


@pytest.mark.parametrize("maximum", [65535, 4095, 1023])
def test_a_portable_pixmap_of_more_than_8_bits(maximum: int) -> None:
    values = RANDOM.integers(0, maximum + 1, (5, 4, 3), dtype=np.uint16)
    content = b"P6 4 5 %d\n" % maximum + values.astype(">u2").tobytes()
    expected = np.floor(values * (65535 / maximum) + 0.5)
    assert np.array_equal(read(content).pixels, expected)


@pytest.mark.parametrize("name", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_is_written_is_what_another_program_reads(
    tmp_path: Path, name: str, channels: int, kind: type[np.uint8] | type[np.uint16]
) -> None:
    values: NDArray[Any] = samples(channels).astype(kind)
    pixels = values[..., 0] if channels < 3 else values[..., :3]
    alpha = values[..., -1] if channels in (2, 4) else None
    write_picture(Picture(pixels, alpha), tmp_path / f"out.{name}")
    if name == "tiff":
        assert np.array_equal(tifffile.imread(tmp_path / "out.tiff").reshape(values.shape), values)
        if channels == 2 and kind is np.uint16:  # Pillow has no such TIFF
            return
    again = read_picture(tmp_path / f"out.{name}")
    assert again.pixels.dtype == kind
    assert np.array_equal(array_from_picture(again).reshape(values.shape), values)


def test_floats_are_written_with_16_bits_and_lossy_formats_with_8() -> None:
    values = np.array([[[0, 0.25, 1], [0.5, 1e-5, 0.75]]], dtype=np.float32)
    file = io.BytesIO()
    write_picture(Picture(values), file)
    assert read(file.getvalue()).pixels.tolist() == [[[0, 16384, 65535], [32768, 1, 49151]]]
    deep = np.full((8, 8, 3), 32896, dtype=np.uint16)
    for name in ("jpeg", "webp", "avif"):
        file = io.BytesIO()
        write_picture(Picture(deep), file, WriteOptions(format=name))
        assert np.abs(read(file.getvalue()).pixels.astype(int) - 128).max() <= 1
