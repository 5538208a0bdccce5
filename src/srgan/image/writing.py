"""Pictures to files, whole or not at all."""

import errno
import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.atomic import written_whole
from srgan.errors import ArgumentError, OutputError, TooLargeError
from srgan.image.colour import largest, to_levels, to_uint16
from srgan.image.exif import ORIENTATION, Exif
from srgan.image.large import release
from srgan.image.picture import Limits, Maker, Metadata, Picture, in_words
from srgan.image.png import PngWriter
from srgan.image.profiles import gray_to_srgb, srgb
from srgan.image.reading import READ_FORMATS
from srgan.image.size import Size
from srgan.image.tiff import TiffWriter
from srgan.image.xmp import true_xmp

PNG_COMPRESSION = 1
"""The level where none is asked for: five times as fast as 6 for a few percent."""

_BAND_ROWS = 256
_IN_USE = 10 * _BAND_ROWS  # rows before a band that a thread may still be at
_LONGEST_WEBP, _MOST_WEBP_LOOPS = (1 << 24) - 1, (1 << 16) - 1  # milliseconds of a frame, repetitions
_WEBP_FLAGS, _WEBP_ALPHA = 20, 0x10  # where an animation's are, and which says that there is transparency
_MOST_JPEG_EXIF, _MOST_JPEG_XMP = 65_527, 65_504
_MOST_JPEG_IPTC = 32_768  # so that XMP behind it begins where it is looked for
_MOST_JPEG_DPI = 65_535  # in a field of 16 bits; EXIF data hold more


@dataclass(frozen=True)
class ResultFormat:
    """A format that results are written in.

    name          Pillow's
    suffixes      the first is the one that results get
    longest_side  in pixels
    most_pixels   of all
    quality       what is taken where none is asked for, None where the format loses nothing
    """

    name: str
    suffixes: tuple[str, ...]
    longest_side: int
    most_pixels: int = 2**62
    alpha: bool = True
    animation: bool = True
    pages: bool = False
    quality: int | None = None


FORMATS = {
    "png": ResultFormat("PNG", (".png", ".apng"), 2**31 - 1),
    "jpeg": ResultFormat("JPEG", (".jpg", ".jpeg"), 65500, alpha=False, animation=False, quality=95),
    "webp": ResultFormat("WEBP", (".webp",), 16383, quality=95),
    "avif": ResultFormat("AVIF", (".avif",), 32768, 2**28, quality=90),
    "tiff": ResultFormat("TIFF", (".tif", ".tiff"), 2**31 - 1, animation=False, pages=True),
}
"""What results are written as, by the names that `WriteOptions.format` takes."""

RESULT_FORMATS = {suffix: result for result in FORMATS.values() for suffix in result.suffixes}
"""The same, by the suffixes of files."""

_OWN = {suffix: key for key, result in FORMATS.items() for suffix in READ_FORMATS[result.name]}

SAME = "same"
"""In place of a name in FORMATS: each result is of its picture's own format, see `options_for`."""


@dataclass(frozen=True)
class WriteOptions:
    """How a result is written.

    format       a name in FORMATS; by default what the target's suffix says; SAME where `options_for` reads it
    quality      1 to 100, for jpeg, webp and avif
    compression  0 to 9, for png
    strip        leave out what the picture carries, but for its ICC profile
    provenance   say in the file that a network made the picture, and which
    """

    format: str | None = None
    quality: int | None = None
    compression: int | None = None
    strip: bool = False
    provenance: bool = True


def own_format(name: str) -> str:
    """Return the name in FORMATS of a picture's own format, as its file's name says; png where that is not written."""
    return _OWN.get(os.path.splitext(name)[1].lower(), "png")  # noqa: PTH122 - of a million


def options_for(name: str, options: WriteOptions) -> WriteOptions:
    """Return how the result of a picture called `name` is written, where the options may ask for the SAME format.

    Of these, a quality and a compression are for the formats that have one.
    """
    if options.format != SAME:
        return options
    own = own_format(name)
    return replace(
        options,
        format=own,
        quality=options.quality if FORMATS[own].quality is not None else None,
        compression=options.compression if own == "png" else None,
    )


def result_format(target: Path | None, options: WriteOptions) -> ResultFormat:
    """Return the format of a result in a file, or, where that is None, in a stream.

    Raises ArgumentError where there is none, or the options do not fit it.
    """
    if options.format is not None:
        if options.format == SAME:
            raise ArgumentError(f"format {SAME} goes by a picture's name: options_for has what it comes to")
        if options.format not in FORMATS:
            raise ArgumentError(f"no format {options.format!r}: {', '.join(FORMATS)}")
        result = FORMATS[options.format]
    elif target is not None:
        suffix = target.suffix.lower()
        if suffix not in RESULT_FORMATS:
            raise ArgumentError(f"{target}: results are written as {', '.join(RESULT_FORMATS)}")
        result = RESULT_FORMATS[suffix]
    else:
        result = FORMATS["png"]
    if options.quality is not None and result.quality is None:
        raise ArgumentError(f"{result.name} has no quality: it loses nothing")
    if options.quality is not None and options.quality not in range(1, 101):
        raise ArgumentError(f"a quality of {options.quality} is not one of 1 to 100")
    if options.compression is not None and result.name != "PNG":
        raise ArgumentError(f"{result.name} has no compression level: it is for PNG")
    if options.compression is not None and options.compression not in range(10):
        raise ArgumentError(f"a compression of {options.compression} is not one of 0 to 9")
    return result


def check_result(
    target: Path | None,
    picture: Picture,
    size: Size,
    options: WriteOptions | None = None,
    limits: Limits | None = None,
) -> None:
    """Look, before the work, whether a picture's result of that size can be written to a file, or a stream (None).

    Raises OutputError where the format cannot hold it, it has more pixels than the limit (TooLargeError), or the folder
    cannot be written to, and ArgumentError as `result_format` does.
    """
    result = result_format(target, options or WriteOptions())
    limits = limits or Limits()
    where = "" if target is None else f"{target}: "
    sizes = [size.of(*frame.pixels.shape[:2]) for frame in picture.frames]
    pixels = sum(height * width for height, width in sizes)
    if pixels > limits.output_pixels:
        raise TooLargeError(
            f"{where}a result of {in_words(pixels)} is more than the limit of {in_words(limits.output_pixels)};"
            " --max-output-pixels raises it"
        )
    height, width = max(sizes, key=max)
    if max(height, width) > result.longest_side or width * height > result.most_pixels:
        most = "" if max(height, width) <= result.longest_side else f" ({result.longest_side} a side)"
        raise OutputError(f"{where}{width}x{height} pixels are more than {result.name} can hold{most}; choose .png")
    samples = sum(
        rows * columns * _channels(frame) * _bits(frame) // 8
        for (rows, columns), frame in zip(sizes, picture.frames, strict=True)
    )
    if result.name == "TIFF" and samples > TiffWriter.most_bytes:
        raise OutputError(f"{where}{width}x{height} pixels are more than TIFF can hold (4 GB); choose .png")
    if picture.more and not (result.pages if picture.timing is None else result.animation):
        what, other = (
            ("pages", ".tif") if picture.timing is None else ("frames of an animation", ".png, .webp or .avif")
        )
        raise OutputError(
            f"{where}the picture has {len(picture.frames)} {what} and {result.name} holds one; choose {other}"
        )
    if not result.alpha and any(_shows_through(frame) for frame in picture.frames):
        raise OutputError(f"{where}{result.name} has no transparency and the picture has; choose .png or .webp")
    if target is not None:
        _check_folder(target)


def _shows_through(frame: Picture) -> bool:
    return frame.alpha is not None and bool(frame.alpha.min() < largest(frame.alpha.dtype))


def _check_folder(target: Path) -> None:
    """Raise OutputError where permissions forbid a file. Makes nothing, unlike `check_place`: the work may yet fail."""
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    effective = os.access in os.supports_effective_ids
    if not folder.is_dir() or not os.access(folder, os.W_OK, effective_ids=effective):
        raise OutputError(f"{target}: cannot be written: no permission in {folder}, or it is no folder")


def write_picture(picture: Picture, target: str | Path | BinaryIO, options: WriteOptions | None = None) -> None:
    """Write a picture to a file, which appears whole or not at all, or to a stream.

    The format is that of the suffix, of a stream PNG, unless the options name another. The result of a network
    says so itself: `Picture.maker`. Raises OutputError, and ArgumentError as `result_format` does.
    """
    options = options or WriteOptions()
    target = Path(target) if isinstance(target, str) else target
    result = result_format(target if isinstance(target, Path) else None, options)
    if isinstance(target, Path):
        with written_whole(target) as file:
            _encode(picture, file, result, options)
    else:
        whole = io.BytesIO()
        _encode(picture, whole, result, options)
        _write_all(whole.getbuffer(), target)


def _write_all(content: memoryview, stream: BinaryIO) -> None:
    """Write all of it: a stream without a buffer may take a part at a time."""
    while content:
        taken = stream.write(content)
        if taken is None:  # one that does not wait for its reader
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        content = content[taken:]


@dataclass(frozen=True)
class _Said:
    """What a result's file says of it beside the pixels."""

    exif: Exif | None
    xmp: bytes | None
    dpi: tuple[float, float] | None
    iptc: bytes | None
    text: tuple[tuple[bytes, bytes], ...]

    @property
    def exif_bytes(self) -> bytes:
        return self.exif.tobytes() if self.exif is not None and self.exif.entries() else b""


def _said(picture: Picture, metadata: Metadata, maker: Maker | None) -> _Said:
    height, width = picture.pixels.shape[:2]
    software = None if maker is None else maker.program if maker.model is None else f"{maker.program} {maker.model}"
    try:
        exif = Exif(metadata.exif)
    except ValueError:  # damaged
        exif = Exif()
    exif.describe(width=width, height=height, dpi=metadata.dpi, software=software, turned=metadata.turned)
    xmp = true_xmp(metadata.xmp, width=width, height=height, maker=maker)
    text = tuple(chunk for chunk in metadata.text if software is None or not chunk[1].startswith(b"Software\0"))
    return _Said(exif if exif.entries() else None, xmp, metadata.dpi, metadata.iptc, text)


def _encode(picture: Picture, file: BinaryIO, result: ResultFormat, options: WriteOptions) -> None:
    maker = picture.maker if options.provenance else None
    said = _said(picture, Metadata() if options.strip else picture.metadata, maker)
    quality = options.quality or result.quality
    if result.name == "PNG":
        _encode_png(picture, file, said, PNG_COMPRESSION if options.compression is None else options.compression)
    elif result.name == "TIFF":
        _encode_tiff(picture, file, said, strip=options.strip)
    elif result.name == "JPEG":
        _encode_jpeg(picture, file, said, _said(picture, Metadata(), maker), quality)
    else:
        _encode_modern(picture, file, said, result, quality)


def _encode_png(picture: Picture, file: BinaryIO, said: _Said, compression: int) -> None:
    height, width = picture.pixels.shape[:2]
    chunks = []
    if said.xmp is not None:  # first, where it is looked for
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + said.xmp))
    chunks += picture.colours
    if picture.icc is not None:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc)))
    if said.dpi is not None:
        metre = (round(value / 0.0254) for value in said.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", *metre, 1)))
    if said.exif is not None:
        chunks.append((b"eXIf", said.exif_bytes))
    if said.iptc is not None:
        chunks.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(_in_hex(said.iptc))))
    chunks += said.text
    timing = picture.timing
    with PngWriter(
        file,
        width,
        height,
        channels=_channels(picture),
        bits=_bits(picture),
        compression=compression,
        chunks=chunks,
        frames=None if timing is None else len(picture.frames),
        loops=0 if timing is None else timing.loops,
    ) as png:
        if timing is None:
            for rows in _bands(picture):
                png.write(rows)
        else:
            for frame, milliseconds in zip(picture.frames, timing.milliseconds, strict=True):
                png.begin_frame(milliseconds)
                for rows in _bands(frame):
                    png.write(rows)


def _in_hex(iptc: bytes) -> bytes:
    """Return records of IPTC-IIM as ImageMagick and ExifTool have them in the text of a PNG."""
    return b"\niptc\n%8d\n%b\n" % (len(iptc), iptc.hex("\n", -36).encode())


def _encode_tiff(picture: Picture, file: BinaryIO, said: _Said, *, strip: bool) -> None:
    with TiffWriter(file, exif=said.exif) as tiff:
        for page in picture.frames:
            height, width = page.pixels.shape[:2]
            tiff.begin_page(
                width,
                height,
                channels=_channels(page),
                bits=_bits(page),
                icc=page.icc,
                xmp=said.xmp if page is picture else None,
                iptc=said.iptc if page is picture else None,
                dpi=None if strip else page.metadata.dpi,
            )
            for rows in _bands(page):
                tiff.write(rows)


def _encode_jpeg(picture: Picture, file: BinaryIO, said: _Said, brief: _Said, quality: int | None) -> None:
    """Write a JPEG; `brief` is told where more is too long for the segments of the format.

    Raises OutputError where the picture has transparency, which would be lost.
    """
    if _shows_through(picture):
        raise OutputError("JPEG has no transparency and the picture has")
    exif = said.exif_bytes if len(said.exif_bytes) <= _MOST_JPEG_EXIF else brief.exif_bytes
    xmp = said.xmp if len(said.xmp or b"") <= _MOST_JPEG_XMP else brief.xmp
    how: dict[str, Any] = {"quality": quality, "subsampling": 0, "icc_profile": picture.icc, "xmp": xmp or b""}
    if exif:
        how["exif"] = b"Exif\0\0" + exif
    if said.dpi is not None and max(said.dpi) <= _MOST_JPEG_DPI:
        how["dpi"] = said.dpi
    if said.iptc is not None and len(said.iptc) <= _MOST_JPEG_IPTC:
        resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(said.iptc)) + said.iptc + bytes(len(said.iptc) % 2)
        segment = b"Photoshop 3.0\0" + resource
        how["extra"] = b"\xff\xed" + struct.pack(">H", 2 + len(segment)) + segment
    Image.fromarray(to_levels(picture.pixels)).save(file, "JPEG", **how)


def _encode_modern(picture: Picture, file: BinaryIO, said: _Said, result: ResultFormat, quality: int | None) -> None:
    """Write a WebP or AVIF."""
    how: dict[str, Any] = {"quality": quality, "icc_profile": picture.icc}
    if result.name == "AVIF" and said.exif is not None:  # which tells it outside; Pillow would move the makers' notes
        said.exif.leave_out(ORIENTATION)
    how |= {"exif": said.exif_bytes, "xmp": said.xmp or b""}
    if picture.pixels.ndim == 2:  # these formats know RGB alone
        how["icc_profile"] = srgb() if picture.icc is not None else None
    if result.name == "AVIF":
        how["subsampling"] = "4:4:4"
    else:
        how["use_sharp_yuv"] = True
    if picture.timing is not None:
        # none is shown for no time at all, nor longer than there are bits for; more often than WebP can say is for ever
        duration = [min(max(1, round(value)), _LONGEST_WEBP) for value in picture.timing.milliseconds]
        loops = picture.timing.loops if picture.timing.loops <= _MOST_WEBP_LOOPS else 0
        how |= {"save_all": True, "duration": duration, "loop": loops}
        if result.name == "AVIF":
            how["range"] = "limited"  # Chromium takes full-range animations for such
        how["append_images"] = (_rgb(frame) for frame in picture.more)
    whole = io.BytesIO()
    _rgb(picture).save(whole, result.name, **how)
    if result.name == "WEBP" and picture.timing is not None and picture.alpha is not None:
        # the encoder stores what is opaque of a frame and then believes that nothing is transparent
        whole.getbuffer()[_WEBP_FLAGS] |= _WEBP_ALPHA
    file.write(whole.getbuffer())


def _rgb(picture: Picture) -> Image.Image:
    """Return a picture as an image of mode RGB or RGBA, gray brought to sRGB."""
    pixels = to_levels(picture.pixels)
    if pixels.ndim == 2:
        pixels = gray_to_srgb(pixels, picture.icc)
    return Image.fromarray(pixels if picture.alpha is None else np.dstack([pixels, to_levels(picture.alpha)]))


def _channels(picture: Picture) -> int:
    return (1 if picture.pixels.ndim == 2 else 3) + (picture.alpha is not None)


def _bits(picture: Picture) -> int:
    return 8 if picture.pixels.dtype == np.uint8 else 16


def _bands(picture: Picture) -> Iterator[NDArray[Any]]:
    """Yield the rows of a picture, floats as 16 bits, so that no second one of its size is needed."""
    for start in range(0, len(picture.pixels), _BAND_ROWS):
        stop = start + _BAND_ROWS
        planes = [picture.pixels[start:stop]]
        if picture.alpha is not None:
            planes.append(picture.alpha[start:stop])
        rows = planes[0] if len(planes) == 1 else np.dstack(planes)
        release(picture.pixels, start - 2 * _IN_USE, start - _IN_USE)
        yield rows if rows.dtype != np.float32 else to_uint16(rows.astype(np.float32, copy=False))
