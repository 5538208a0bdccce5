"""Pictures from files, Pillow images and arrays, and back.

Reading takes the first frame, turns it as its EXIF orientation says and keeps its ICC profile. Gray stays
gray, transparency becomes a plane of its own, palettes, CMYK and other colour spaces become RGB, and 16-bit
gray is brought to 8 bits.
"""

import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from srgan.atomic import written_whole
from srgan.errors import ArgumentError, OutputError, PictureError
from srgan.image.colour import Pixels

READ_FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "QOI": (".qoi",),
    "TGA": (".tga",),
}
"""What is read, by Pillow's names, and the suffixes that a folder is searched for. EPS and WMF, which run
other programs, are not among them."""

PICTURE_SUFFIXES = frozenset(suffix for suffixes in READ_FORMATS.values() for suffix in suffixes)

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_OTHER_COLOURS = ("CMYK", "LAB", "HSV")  # an ICC profile of such a picture says nothing of its RGB


@dataclass(frozen=True)
class _ResultFormat:
    name: str
    longest_side: int
    alpha: bool
    options: dict[str, Any]


_PNG = _ResultFormat("PNG", 2**31 - 1, True, {"compress_level": 1})
_JPEG = _ResultFormat("JPEG", 65500, False, {"quality": 95, "subsampling": 0})
_WEBP = _ResultFormat("WEBP", 16383, True, {"quality": 95})
RESULT_FORMATS = {".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG, ".webp": _WEBP}
"""How results are written, by suffix. PNG is compressed lightly: the default level takes five times as long."""

_quiet = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A decoded picture: uint8, or float32 in [0, 1].

    pixels  (H, W, 3) RGB or (H, W) gray
    alpha   (H, W) of the same type, or None where the picture has no transparency
    icc     the ICC profile that says what the colours mean
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None


def read_picture(path: Path) -> Picture:
    """Return the picture in a file. Raises PictureError where it is missing, damaged, too large or none."""
    try:
        with path.open("rb") as file:
            return _quietly(lambda: _decode(Image.open(file, formats=tuple(READ_FORMATS))))
    except MemoryError:
        raise
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise PictureError(f"{path}: too large: more than {limit} megapixels") from error
    except UnidentifiedImageError as error:
        empty = path.stat().st_size == 0
        reason = "the file is empty" if empty else "not a picture, or not of a kind that can be read"
        raise PictureError(f"{path}: {reason}") from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror}" if error.strerror else f"damaged: {error}"
        raise PictureError(f"{path}: {reason}") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes happen
        raise PictureError(f"{path}: damaged: {error}") from error


def picture_from_image(image: Image.Image) -> Picture:
    """Return a Pillow image of any mode as a picture of uint8. Raises PictureError for a mode without a range."""
    return _quietly(lambda: _decode(image))


def picture_from_array(array: NDArray[Any]) -> Picture:
    """Return an array (H, W), (H, W, 3) or (H, W, 4), uint8 or float32 in [0, 1], as a picture.

    Raises ArgumentError for any other shape, type or range.
    """
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not shape_fits or 0 in array.shape:
        raise ArgumentError(f"an array of shape {array.shape} is no picture: (H, W), (H, W, 3) or (H, W, 4)")
    if array.dtype not in (np.uint8, np.float32):
        raise ArgumentError(f"a picture is an array of uint8 or float32, not {array.dtype}")
    if array.dtype == np.float32 and not (array.min() >= 0 and array.max() <= 1):
        raise ArgumentError("a picture of float32 has values in [0, 1]; this one has others")
    if array.ndim == 3 and array.shape[2] == 4:
        return Picture(array[..., :3], array[..., 3])
    return Picture(array)


def image_from_picture(picture: Picture) -> Image.Image:
    """Return a picture of uint8 as a Pillow image: L, LA, RGB or RGBA, its ICC profile in `info`."""
    image = Image.fromarray(array_from_picture(picture))
    if picture.icc is not None:
        image.info["icc_profile"] = picture.icc
    return image


def array_from_picture(picture: Picture) -> NDArray[Any]:
    """Return a picture as an array (H, W), (H, W, 3) or (H, W, 4); gray with alpha as (H, W, 2)."""
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


def check_result(path: Path, picture: Picture, scale: int) -> None:
    """Raise OutputError where `path` cannot be written, or its format cannot hold the picture at that scale."""
    result = RESULT_FORMATS[path.suffix.lower()]
    height, width = (side * scale for side in picture.pixels.shape[:2])
    if max(height, width) > result.longest_side:
        raise OutputError(
            f"{path}: {width}x{height} pixels are more than {result.name} can hold"
            f" ({result.longest_side} a side); choose .png"
        )
    if not result.alpha and picture.alpha is not None and picture.alpha.min() < 255:
        raise OutputError(f"{path}: {result.name} has no transparency and the picture has; choose .png or .webp")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    effective = os.access in os.supports_effective_ids
    if not folder.is_dir() or not os.access(folder, os.W_OK, effective_ids=effective):
        raise OutputError(f"{path}: cannot be written: no permission in {folder}, or it is no folder")


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture of uint8 in the format of the suffix, whole or not at all. Raises OutputError."""
    result = RESULT_FORMATS[path.suffix.lower()]
    if not result.alpha:
        picture = Picture(picture.pixels, None, picture.icc)
    image = image_from_picture(picture)
    icc = None if result is _WEBP and picture.pixels.ndim == 2 else picture.icc  # WebP makes RGB of gray
    with written_whole(path) as file:
        image.save(file, format=result.name, icc_profile=icc, **result.options)


def _quietly(decode: Callable[[], Picture]) -> Picture:
    """Decode without the warnings of Pillow: what matters is an error, or is said by a result."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decode()


def _decode(image: Image.Image) -> Picture:
    if 0 in image.size:
        raise PictureError("a picture without pixels")
    image.load()
    image = _upright(image)
    icc = None if image.mode in _OTHER_COLOURS else image.info.get("icc_profile")
    if image.mode in _SIXTEEN_BIT:
        return Picture(_eight_bits(np.asarray(image)), icc=icc)
    if image.mode == "F":
        raise PictureError("a picture of floating-point numbers has no fixed range")
    gray = image.mode in ("1", "L", "LA", "La")
    alpha = image.has_transparency_data
    array = np.asarray(image.convert(("LA" if gray else "RGBA") if alpha else ("L" if gray else "RGB")))
    if not alpha:
        return Picture(array, icc=icc)
    return Picture(array[..., 0] if gray else array[..., :3], array[..., -1], icc)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data: the picture as it is stored
        return image


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 16-bit gray as 8-bit gray: 65535 is 255, rounded to nearest."""
    if values.min() < 0 or values.max() > 65535:
        raise PictureError("a gray picture with values outside of 16 bits has no fixed range")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
