"""Pictures to files, whole or not at all."""

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from srgan.atomic import written_whole
from srgan.errors import ArgumentError, OutputError
from srgan.image.colour import to_levels
from srgan.image.picture import Limits, Picture, array_from_picture, in_words


@dataclass(frozen=True)
class ResultFormat:
    """A format that results are written in.

    name          Pillow's
    suffixes      the first is the one that results get
    longest_side  in pixels
    quality       what is taken where none is asked for, None where the format loses nothing
    """

    name: str
    suffixes: tuple[str, ...]
    longest_side: int
    alpha: bool = True
    animation: bool = True
    quality: int | None = None


FORMATS = {
    "png": ResultFormat("PNG", (".png", ".apng"), 2**31 - 1),
    "jpeg": ResultFormat("JPEG", (".jpg", ".jpeg"), 65500, alpha=False, animation=False, quality=95),
    "webp": ResultFormat("WEBP", (".webp",), 16383, quality=95),
    "avif": ResultFormat("AVIF", (".avif",), 65535, quality=90),
    "tiff": ResultFormat("TIFF", (".tif", ".tiff"), 2**31 - 1, animation=False),
}
"""What results are written as, by the names that `WriteOptions.format` takes."""

RESULT_FORMATS = {suffix: result for result in FORMATS.values() for suffix in result.suffixes}
"""The same, by the suffixes of files."""


@dataclass(frozen=True)
class WriteOptions:
    """How a result is written.

    format       a name in FORMATS; by default what the target's suffix says
    quality      1 to 100, for jpeg, webp and avif
    compression  0 to 9, for png: 1 by default, which is five times as fast as 6 for a few percent
    strip        leave out what the picture carries, but for its ICC profile
    provenance   say in the file that a network made the picture, and which
    """

    format: str | None = None
    quality: int | None = None
    compression: int | None = None
    strip: bool = False
    provenance: bool = True


def result_format(target: Path | BinaryIO, options: WriteOptions) -> ResultFormat:
    """Return the format that a result has. Raises ArgumentError where there is none, or the options do not fit it."""
    if options.format is not None:
        if options.format not in FORMATS:
            raise ArgumentError(f"no format {options.format!r}: {', '.join(FORMATS)}")
        result = FORMATS[options.format]
    elif isinstance(target, Path):
        suffix = target.suffix.lower()
        if suffix not in RESULT_FORMATS:
            raise ArgumentError(f"{target}: results are written as {', '.join(RESULT_FORMATS)}")
        result = RESULT_FORMATS[suffix]
    else:
        result = FORMATS["png"]
    if options.quality is not None and result.quality is None:
        raise ArgumentError(f"{result.name} has no quality: it loses nothing")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise ArgumentError(f"a quality of {options.quality} is not one of 1 to 100")
    if options.compression is not None and result.name != "PNG":
        raise ArgumentError(f"{result.name} has no compression level: it is for PNG")
    if options.compression is not None and not 0 <= options.compression <= 9:
        raise ArgumentError(f"a compression of {options.compression} is not one of 0 to 9")
    return result


def check_result(
    target: Path | BinaryIO,
    picture: Picture,
    scale: int,
    options: WriteOptions | None = None,
    limits: Limits | None = None,
) -> None:
    """Look, before the work, whether a picture's result at that scale can be written.

    Raises OutputError where the format cannot hold it, it has more pixels than the limit, or the folder cannot
    be written to, and ArgumentError as `result_format` does.
    """
    result = result_format(target, options or WriteOptions())
    limits = limits or Limits()
    where = f"{target}: " if isinstance(target, Path) else ""
    sizes = [(frame.pixels.shape[1] * scale, frame.pixels.shape[0] * scale) for frame in picture.frames]
    pixels = sum(width * height for width, height in sizes)
    if pixels > limits.output_pixels:
        raise OutputError(
            f"{where}a result of {in_words(pixels)} is more than the limit of {in_words(limits.output_pixels)};"
            " --max-output-pixels raises it"
        )
    width, height = max(sizes, key=max)
    if max(height, width) > result.longest_side:
        raise OutputError(
            f"{where}{width}x{height} pixels are more than {result.name} can hold"
            f" ({result.longest_side} a side); choose .png"
        )
    if not result.alpha and any(frame.alpha is not None and frame.alpha.min() < 255 for frame in picture.frames):
        raise OutputError(f"{where}{result.name} has no transparency and the picture has; choose .png or .webp")
    if isinstance(target, Path):
        _check_folder(target)


def _check_folder(target: Path) -> None:
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    effective = os.access in os.supports_effective_ids
    if not folder.is_dir() or not os.access(folder, os.W_OK, effective_ids=effective):
        raise OutputError(f"{target}: cannot be written: no permission in {folder}, or it is no folder")


def write_picture(picture: Picture, target: Path | BinaryIO, options: WriteOptions | None = None) -> None:
    """Write a picture to a file, which appears whole or not at all, or to a stream.

    The format is that of the suffix, of a stream PNG, unless the options name another. The result of a network
    says so itself: `Picture.maker`. Raises OutputError, and ArgumentError as `result_format` does.
    """
    options = options or WriteOptions()
    result = result_format(target, options)
    with written_whole(target) if isinstance(target, Path) else nullcontext(target) as file:
        _encode(picture, file, result, options)


def _encode(picture: Picture, file: BinaryIO, result: ResultFormat, options: WriteOptions) -> None:
    array = to_levels(array_from_picture(picture) if result.alpha else picture.pixels)
    how: dict[str, Any] = {}
    if result.quality is not None:
        how["quality"] = options.quality or result.quality
    if result.name == "PNG":
        how["compress_level"] = 1 if options.compression is None else options.compression
    if result.name == "JPEG":
        how["subsampling"] = 0
    if result.name == "TIFF":
        how["compression"] = "tiff_adobe_deflate"
    no_gray = result.name in ("WEBP", "AVIF")
    how["icc_profile"] = None if no_gray and picture.pixels.ndim == 2 else picture.icc
    Image.fromarray(array).save(file, format=result.name, **how)
