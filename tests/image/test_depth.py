"""Pictures of 16 bits a channel: every value that is written here byte by byte is read, and written, as it is."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from made import chunk, png, since_pillow_13
from srgan.errors import PictureError, UnknownKindError
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


def tiff(content: bytes, width: int, bits: int, *, photometric: int = 1, samples: int = 1) -> bytes:
    """Return one row of gray as a TIFF, its numbers as `content` has them, of the given SampleFormat."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 1)]
    tags += [(279, len(content)), (339, samples)]
    content += bytes(len(content) % 2)
    directory = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(content)) + content + struct.pack("<H", 10) + directory + bytes(4)


def test_what_a_tiff_calls_white_is_white() -> None:
    values = np.array([0, 1, 65534, 65535], "<u2").tobytes()
    assert read(tiff(values, 4, 16)).pixels.tolist() == [[0, 1, 65534, 65535]]
    assert read(tiff(values, 4, 16, photometric=0)).pixels.tolist() == [[65535, 65534, 1, 0]]


def test_gray_of_twelve_bits_is_as_bright_as_of_sixteen() -> None:
    """Two numbers are three bytes: 0 and 4095, 2048 and 1; 2048 is 65535 * 2048 / 4095 = 32775.5006"""
    content = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x01])
    assert read(tiff(content, 4, 12)).pixels.tolist() == [[0, 65535, 32776, 16]]


@pytest.mark.parametrize(("kind", "samples"), [("<u4", 1), ("<i4", 2), ("<i2", 2)])
def test_gray_without_a_fixed_range_is_refused(kind: str, samples: int) -> None:
    content = tiff(np.array([0, 1, 200], kind).tobytes(), 3, 8 * np.dtype(kind).itemsize, samples=samples)
    with pytest.raises(PictureError, match=r"standard input: a gray picture of signed numbers, or of 32 bits, has no"):
        read(content)


@pytest.mark.parametrize(("bits", "key"), [(1, 1), (2, 3), (2, 1), (4, 9), (8, 200)])
def test_the_one_transparent_gray_of_a_png_of_few_bits(bits: int, key: int) -> None:
    """A row of key, 0 and key."""
    packed = sum(value << (16 - bits * (place + 1)) for place, value in enumerate([key, 0, key])) if bits < 8 else 0
    row = bytes([key, 0, key]) if bits == 8 else packed.to_bytes(2, "big")[: (3 * bits + 7) // 8]
    header = struct.pack(">IIBBBBB", 3, 1, bits, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"tRNS", struct.pack(">H", key)), chunk(b"IDAT", zlib.compress(b"\0" + row))]
    picture = read(b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")]))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255, 0]]


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


CLEAR_PLANES = [(2, "unassalpha"), pytest.param(2, "assocalpha", marks=since_pillow_13), (4, "assocalpha")]


@pytest.mark.parametrize(("channels", "kind"), CLEAR_PLANES)
def test_planes_with_transparency_that_pillow_does_not_know_are_not_called_damaged(channels: int, kind: str) -> None:
    file = io.BytesIO()
    planes = np.zeros((channels, 5, 7), np.uint8)
    colours = "rgb" if channels == 4 else "minisblack"
    tifffile.imwrite(file, planes, photometric=colours, planarconfig="separate", extrasamples=[kind])
    with pytest.raises(UnknownKindError, match="transparency in separate planes cannot be read"):
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


def test_a_sample_above_the_maximum_of_a_pixmap_is_full_intensity() -> None:
    content = b"P6 2 1 1000\n" + struct.pack(">6H", 2000, 1000, 999, 0, 500, 65535)
    assert read_picture(io.BytesIO(content)).pixels.tolist() == [[[65535, 65535, 65469], [0, 32768, 65535]]]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize(
    "name",
    [
        "bbox",
        "blend",
        "default_image",
        "disposal",
        "dpi",
        "duration",
        "exif",
        "icc_profile",
        "interlace",
        "loop",
        "transparency",
        "xmp",
    ],
)
def test_a_text_of_a_png_may_have_any_name(name: str, kind: bytes, dtype: Any, interlaced: bool, behind: bool) -> None:
    """Pillow puts texts where it has what other chunks say."""
    rest, text = {b"tEXt": (b"", b"150"), b"zTXt": (b"\0", zlib.compress(b"150")), b"iTXt": (b"\0\0\0\0", b"150")}[kind]
    texts = chunk(kind, name.encode() + b"\0" + rest + text)
    values = np.random.default_rng(7).integers(1, 256, (9, 11, 3), dtype=dtype)
    values[2, 3] = 0
    told = chunk(b"tRNS", bytes(6)), chunk(b"pHYs", struct.pack(">IIB", 1000, 1000, 1))
    content = png(values, *told, *([] if behind else [texts]), interlaced=interlaced)
    picture = read(content[:-12] + texts + content[-12:] if behind else content)
    assert np.array_equal(picture.pixels, values)
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[2, 3]]
    assert picture.metadata.dpi == pytest.approx((25.4, 25.4))
    assert (picture.icc, picture.metadata.exif, picture.metadata.xmp) == (None, None, None)
    assert not picture.more
    assert picture.metadata.text == ((kind, name.encode() + b"\0" + rest + text),)
