"""What files say of their pictures beside the pixels, as Pillow reads them."""

import struct
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, ImageFile
from PIL.ExifTags import IFD
from PIL.IptcImagePlugin import getiptcinfo
from PIL.JpegImagePlugin import JpegImageFile

from srgan.image.exif import DESCRIPTIVE, ORIENTATION, X_RESOLUTION
from srgan.image.jpeg import quality_of_tables
from srgan.image.measure import is_tiff_image
from srgan.image.picture import Coding, Metadata

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_IPTC, _MOST_IPTC = 33723, 1 << 20  # a tag of TIFF, bytes
_TRANSPOSED = frozenset({5, 6, 7, 8})  # the orientations of pictures that lie on their side
_IPTC_PREVIEW = ((2, 200), (2, 201), (2, 202))


def is_transposed(image: Image.Image) -> bool:
    """Return whether an image lies on its side, as its EXIF data says; that of a TIFF no more once it is loaded."""
    try:
        return image.getexif().get(ORIENTATION) in _TRANSPOSED
    except Exception:  # damaged EXIF data
        return False


def metadata_of(image: Image.Image, *, turned: bool = False) -> Metadata:
    """Return what the file of a decoded image says of it; `turned` is a TIFF that lay on its side."""
    turned = turned or is_transposed(image)
    in_hex = {kind: _raw_profile(image, kind) for kind in ("exif", "xmp", "APP1")}
    more = in_hex["APP1"] or b""
    exif = _tiff_exif(image) if is_tiff_image(image) else image.info.get("exif")
    exif = exif or in_hex["exif"] or (more if more.startswith(b"Exif\0\0") else None)
    xmp = image.info.get("xmp", image.info.get("XML:com.adobe.xmp"))
    xmp = xmp or in_hex["xmp"] or (more.removeprefix(_XMP_SEGMENT) if more.startswith(_XMP_SEGMENT) else None)
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return Metadata(
        exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else None,
        xmp if isinstance(xmp, bytes) else None,
        _dpi(image.info.get("dpi"), turned=turned) if _tells_dpi(image) else None,
        _iptc(image),
        coding=_coding(image),
        turned=turned,
    )


def _coding(image: Image.Image) -> Coding | None:
    quality = quality_of_tables(image.quantization) if isinstance(image, JpegImageFile) else None
    return None if quality is None else Coding("JPEG", quality)


def _raw_profile(image: Image.Image, kind: str) -> bytes | None:
    """Return what the text of a PNG tells in hex, as ImageMagick writes it: the kind, how long it is, the digits."""
    text = image.info.get(f"Raw profile type {kind}")
    if not isinstance(text, str):
        return None
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:  # damaged
        return None


def _iptc(image: Image.Image) -> bytes | None:
    """Return what a JPEG's or TIFF's IPTC-IIM says of the picture (records 1 and 2), but for its preview.

    Of a TIFF it is that of the first page, and no more than anyone writes: a megabyte takes half a second and 30 MB.
    """
    if is_tiff_image(image) and (image.tell() > 0 or len(image.tag_v2._tagdata.get(_IPTC, b"")) > _MOST_IPTC):
        return None
    try:
        found = getiptcinfo(cast(ImageFile.ImageFile, image)) or {}
    except Exception:  # damaged
        return None
    return (
        b"".join(
            struct.pack(">BBBH", 28, record, number, len(value)) + value
            for (record, number), values in found.items()
            if record in (1, 2) and (record, number) not in _IPTC_PREVIEW
            for value in (values if isinstance(values, list) else [values])
            if value and len(value) < 1 << 15
        )
        or None
    )


def _tiff_exif(image: "TiffImageFile") -> bytes | None:
    """Return what a TIFF's directory says of its picture as EXIF data."""
    try:
        source, found = image.getexif(), Image.Exif()
        for tag in DESCRIPTIVE & set(source):
            if tag not in (IFD.Exif, IFD.GPSInfo):
                found[tag] = _as_stored(source[tag])
            elif inner := source.get_ifd(tag):
                found[tag] = {name: _as_stored(value) for name, value in inner.items()}
                if IFD.Interop in inner:  # where that directory is in this file
                    found[tag][IFD.Interop] = dict(source.get_ifd(IFD.Interop))
        return found.tobytes() if len(found) else None
    except Exception:  # damaged tags: those that matter have been read
        return None


class _Stored(str):
    """A text of a TIFF, of which Pillow would write ASCII alone: its bytes are those that were read."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:  # noqa: ARG002
        return super().encode("latin-1")


def _as_stored(value: Any) -> Any:
    return _Stored(value) if isinstance(value, str) else value


def _tells_dpi(image: Image.Image) -> bool:
    """Tell whether a resolution is in the file: for JPEG and TIFF Pillow has one where there is none."""
    if is_tiff_image(image):
        return X_RESOLUTION in image.tag_v2
    return image.info.get("jfif_unit", 1) != 0 or X_RESOLUTION in image.getexif()


def _dpi(found: Any, *, turned: bool) -> tuple[float, float] | None:
    """Return how many pixels an inch of a picture has across and down, upright."""
    try:
        x, y = float(found[0]), float(found[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    if not (0 < x < 1e6 and 0 < y < 1e6):
        return None
    return (y, x) if turned else (x, y)
