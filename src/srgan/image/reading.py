"""Pictures from files and Pillow images.

The EXIF orientation is applied and the ICC profile kept. Gray stays gray, transparency becomes a plane of its
own, palettes, CMYK and other colour spaces become RGB.
"""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from srgan.errors import PictureError
from srgan.image.picture import Limits, Picture, in_words

READ_FORMATS = {
    "PNG": (".png", ".apng"),
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


def read_picture(source: Path | BinaryIO, limits: Limits | None = None, *, name: str = "standard input") -> Picture:
    """Return the picture in a file, all its frames or pages included.

    source  a path, or a stream that is read to its end
    limits  how many pixels it may have, by default those of `Limits`
    name    what a stream is called in errors

    Raises PictureError where it is missing, damaged, too large or none.
    """
    where = str(source) if isinstance(source, Path) else name
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return _read(file, limits or Limits())
        return _read(io.BytesIO(source.read()), limits or Limits())
    except MemoryError:
        raise
    except PictureError as error:
        raise PictureError(f"{where}: {error}") from error
    except FileNotFoundError as error:
        raise PictureError(f"{where}: no such file") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{where}: not a picture, or not of a kind that can be read") from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror}" if error.strerror else f"damaged: {error}"
        raise PictureError(f"{where}: {reason}") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes happen
        raise PictureError(f"{where}: damaged: {error}") from error


def picture_from_image(image: Image.Image) -> Picture:
    """Return a Pillow image of any mode as a picture. Raises PictureError for a mode without a range."""
    with _ours():
        return _decode(image)


def _read(file: BinaryIO, limits: Limits) -> Picture:
    if not file.read(1):
        raise PictureError("the file is empty")
    file.seek(0)
    with _ours():
        image = Image.open(file, formats=tuple(READ_FORMATS))
        width, height = image.size
        if width * height > limits.input_pixels:
            raise PictureError(
                f"too large: {width}x{height} are {in_words(width * height)}, more than the limit of"
                f" {in_words(limits.input_pixels)}; --max-input-pixels raises it"
            )
        return _decode(image)


_lock = threading.Lock()
_reading = 0
_outside: tuple[warnings.catch_warnings, int | None]


@contextmanager
def _ours() -> Iterator[None]:
    """Keep Pillow from warning, as what matters is an error here, and from limits of its own.

    Both are settings of the whole process: the first thread to come changes them, the last to go restores them.
    """
    global _reading, _outside
    with _lock:
        _reading += 1
        if _reading == 1:
            _outside = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS
            _outside[0].__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
            Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lock:
            _reading -= 1
            if _reading == 0:
                _outside[0].__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = _outside[1]


def _decode(image: Image.Image) -> Picture:
    if 0 in image.size:
        raise PictureError("a picture without pixels")
    image.load()
    image = _upright(image)
    icc = None if image.mode in _OTHER_COLOURS else image.info.get("icc_profile")
    if image.mode in _SIXTEEN_BIT:
        return Picture(_sixteen_bits(np.asarray(image)), icc=icc)
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


def _sixteen_bits(values: NDArray[Any]) -> NDArray[np.uint16]:
    if values.min() < 0 or values.max() > 65535:
        raise PictureError("a gray picture with values outside of 16 bits has no fixed range")
    return values.astype(np.uint16)
