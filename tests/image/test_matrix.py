"""Every format in every mode and at awkward sizes through a network into every format, all made here."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from fakes import Nearest
from made import since_pillow_13
from srgan.errors import OutputError, PictureError
from srgan.image.picture import array_from_picture
from srgan.image.reading import PICTURE_SUFFIXES, read_picture
from srgan.image.size import Size
from srgan.image.writing import FORMATS, WriteOptions, check_result, write_picture
from srgan.inference.upscaler import Upscaler

X4 = Size(scale=4)

SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (16, 16), (33, 17)]

# the modes that Pillow writes each format in, and what is read of them: L, LA, RGB, RGBA or I;16
SOURCES = {
    "PNG": {"1": "L", "L": "L", "LA": "LA", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA", "I;16": "I;16"},
    "JPEG": {"L": "L", "RGB": "RGB", "CMYK": "RGB"},
    "WEBP": {"RGB": "RGB", "RGBA": "RGBA"},
    "AVIF": {"RGB": "RGB", "RGBA": "RGBA"},
    "GIF": {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"},
    "BMP": {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"},  # Pillow writes no alpha
    "TIFF": {
        "1": "L",
        "L": "L",
        "LA": "LA",
        "P": "RGB",
        "RGB": "RGB",
        "RGBA": "RGBA",
        "I;16": "I;16",
        "CMYK": "RGB",
        "LAB": "RGB",
        "YCbCr": "RGB",
    },
    "PPM": {"1": "L", "L": "L", "RGB": "RGB", "I;16": "I;16"},
    "JPEG2000": {"L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "I;16": "I;16"},
    "QOI": {"RGB": "RGB", "RGBA": "RGBA"},
    "TGA": {"L": "L", "LA": "LA", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"},
}


def image_of(mode: str, size: tuple[int, int]) -> Image.Image:
    """Return a smooth picture in any of Pillow's modes, half of it clear where it can be."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    alpha = np.where(np.arange(width) < width // 2, 0, 255) * np.ones((height, 1))
    rgba = np.dstack([x, y, 255 - x, alpha]).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(np.round(x * 257).astype(np.uint16))
    image = Image.fromarray(rgba if mode in ("RGBA", "LA") else rgba[..., :3])
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image.convert(mode)


@pytest.fixture
def upscaler(monkeypatch: pytest.MonkeyPatch) -> Upscaler:
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Nearest())
    return Upscaler()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        pytest.param(kind, mode, marks=since_pillow_13 if mode == "YCbCr" else ())
        for kind, modes in SOURCES.items()
        for mode in modes
    ],
)
def test_every_format_and_mode_at_every_size_goes_into_every_format(
    upscaler: Upscaler, tmp_path: Path, kind: str, mode: str
) -> None:
    expected = SOURCES[kind][mode]
    for size in SIZES:
        file = io.BytesIO()
        image_of(mode, size).save(file, kind)
        picture = read_picture(io.BytesIO(file.getvalue()))
        seen = (1 if picture.pixels.ndim == 2 else 3) + (picture.alpha is not None)
        clear = size[0] > 1 or kind not in ("GIF", "WEBP", "AVIF")  # which are opaque where no pixel is clear
        assert seen == {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1}[expected] or not clear
        assert picture.pixels.dtype == (np.uint16 if expected == "I;16" else np.uint8)
        result = upscaler.upscale_picture(picture)
        for name, options in ((name, WriteOptions(format=name)) for name in FORMATS):
            target = tmp_path / f"{kind}-{size[0]}x{size[1]}.{name}"
            if name == "jpeg" and picture.alpha is not None and picture.alpha.min() < 255:
                with pytest.raises(OutputError, match="JPEG has no transparency"):
                    check_result(target, picture, X4, options)
                continue
            check_result(target, picture, X4, options)
            write_picture(result, target, options)
            again = read_picture(target)
            assert again.pixels.shape[:2] == (size[1] * 4, size[0] * 4)
            if name in ("png", "tiff") and not (name == "tiff" and again.pixels.dtype == np.uint16):
                assert np.array_equal(array_from_picture(again), array_from_picture(result))
            elif name in ("jpeg", "webp", "avif"):
                assert_close(again.pixels, result.pixels, result.alpha)


def assert_close(again: NDArray[Any], result: NDArray[Any], alpha: NDArray[Any] | None) -> None:
    """Look whether colours are near those that were written, where they are seen."""
    levels = (result.astype(int) + 128) // 257 if result.dtype == np.uint16 else result.astype(int)
    if levels.ndim == 2 and again.ndim == 3:
        levels = np.dstack([levels] * 3)
    off = np.abs(again.astype(int) - levels)
    allowed = 8 if min(again.shape[:2]) >= 64 else 40  # WebP halves the resolution of colours
    assert (off if alpha is None else off[alpha > 0.9 * alpha.max()]).mean() < allowed


def test_every_suffix_of_a_folder_is_of_a_format_that_is_read() -> None:
    registered = Image.registered_extensions()
    for suffix in PICTURE_SUFFIXES - {".heic", ".heif", ".hif", ".dib"}:  # which is a BMP by another name
        assert registered[suffix] in (*SOURCES, "MPO")


def test_a_jpeg_of_two_pictures_is_its_first(tmp_path: Path) -> None:
    first, second = image_of("RGB", (20, 10)), image_of("RGB", (10, 5))
    first.save(tmp_path / "stereo.mpo", save_all=True, append_images=[second])
    picture = read_picture(tmp_path / "stereo.mpo")
    assert picture.pixels.shape == (10, 20, 3)
    assert picture.more == ()


@pytest.mark.parametrize(
    "how", [{"compression": name} for name in ("tiff_lzw", "packbits", "tiff_deflate", "jpeg", "raw", "zstd", "lzma")]
)
def test_every_compression_of_a_tiff(how: dict[str, str]) -> None:
    image = image_of("RGB", (50, 40))
    file = io.BytesIO()
    image.save(file, "TIFF", **how)
    off = np.abs(read_picture(io.BytesIO(file.getvalue())).pixels.astype(int) - np.asarray(image))
    assert off.max() <= (20 if how["compression"] == "jpeg" else 0)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_without_its_plugin_says_what_to_install(brand: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.image.reading._formats", lambda: ("PNG", "JPEG"))
    content = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(40)
    with pytest.raises(PictureError, match=r"need one more package: pip install 'srgan\[heif\]'"):
        read_picture(io.BytesIO(content))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_where_its_plugin_is(mode: str, orientation: int) -> None:
    pillow_heif.register_heif_opener()
    image = image_of(mode, (32, 16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    file = io.BytesIO()
    image.save(file, "HEIF", quality=-1, chroma=444, exif=exif.tobytes())
    picture = read_picture(io.BytesIO(file.getvalue()))
    upright = image if orientation == 1 else image.transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(upright.convert("RGB")).astype(int)
    pixels = picture.pixels if picture.pixels.ndim == 3 else np.dstack([picture.pixels] * 3)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 3
    assert (picture.alpha is not None) == (mode == "RGBA")
    assert picture.metadata.exif is not None
