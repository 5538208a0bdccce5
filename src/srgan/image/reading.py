"""Pictures from files and Pillow images.

The EXIF orientation is applied, the ICC profile kept and with it what else the file says. Gray stays gray, 16 bits
stay 16, transparency becomes a plane of its own, palettes, CMYK and other colour spaces become RGB.
"""

import ctypes
import errno
import importlib.util
import io
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, PngImagePlugin, UnidentifiedImageError, _imaging

from srgan.errors import PictureError, TooLargeError, UnknownKindError
from srgan.image import avif, webp
from srgan.image.colour import Pixels, largest
from srgan.image.gif import AS_BEFORE, CLEARED, Part, gif_canvas, gif_parts
from srgan.image.measure import PLANAR, decoded_pixels, is_tiff_image
from srgan.image.metadata import is_transposed, metadata_of
from srgan.image.picture import Coding, Limits, Picture, Timing, in_words
from srgan.image.png import is_png, read_chunks, without_texts
from srgan.image.profiles import cmyk_to_srgb, fitting, srgb

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
    "HEIF": (".heic", ".heif", ".hif"),
}
"""What is read, by Pillow's names, and the suffixes that a folder is searched for. EPS and WMF, which run
other programs, are not among them. HEIF needs the package pillow-heif."""

PICTURE_SUFFIXES = frozenset(suffix for suffixes in READ_FORMATS.values() for suffix in suffixes)


def is_hidden(name: str) -> bool:
    """Tell whether a file is hidden or in a folder that is: by a dot before its name, or by macOS (__MACOSX)."""
    parts = name.replace(os.sep, "/").split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)


def files_below(folder: Path, errors: dict[str, PictureError]) -> Iterator[str]:
    """Yield the paths of the files in a folder and below it, folder by folder in order, each folder once.

    Links are followed; those to nothing are yielded too. Folders that cannot be searched are added to `errors`.
    """

    def unreadable(error: OSError) -> None:
        errors[error.filename] = PictureError(f"{error.filename}: {error.strerror}")

    searched: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(place)
        if real in searched:  # a link back into what is searched already, or to what another link leads to
            folders.clear()
            continue
        searched.add(real)
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(names))  # noqa: PTH118 - of a million


_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_PAGED = ("TIFF",)
_QUALITIES: dict[str, tuple[Literal["WebP", "AVIF"], Callable[[BinaryIO], int | None]]] = {
    "WEBP": ("WebP", webp.quality_of),
    "AVIF": ("AVIF", avif.quality_of),
}  # what tells how coarsely a file has been rounded; of a JPEG Pillow has the tables
_MOST_FRAMES = 10_000
_GRAY_16 = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_OTHER_COLOURS = ("CMYK", "LAB", "HSV")  # an ICC profile of such a picture says nothing of its RGB
_SUBFILE, _BITS, _SAMPLES = 254, 258, 277  # tags of TIFF
_PHOTOMETRIC, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 262, 338, 339
_PUT_TOGETHER = ("1", "L", "LA", "P", "RGB", "RGBA")  # modes of frames of an animated PNG
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by the orientation of EXIF
_TOLD_OTHERWISE = frozenset(
    {b"bbox", b"blend", b"default_image", b"disposal", b"dpi", b"duration", b"exif", b"icc_profile", b"interlace"}
    | {b"loop", b"transparency", b"xmp"}
)  # by these names Pillow tells what chunks of a PNG say, and its texts as well
_SIGNATURES = re.compile(
    rb"(?P<TIFF>II[*+]\0|MM\0[*+])|(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<JPEG>\xff\xd8\xff)|(?P<GIF>GIF8[79]a)"
    rb"|(?P<WebP>RIFF....WEBP)|....ftyp(?:(?P<AVIF>avi[fs])|(?P<HEIF>hei[cx]|hev[cx]|mif1|msf1))"
    rb"|(?P<JP2>....jP  \r\n\x87\n)",
    re.DOTALL,
)
_UNREAD = re.compile("[Uu]nsupported|unknown raw mode|decoder error|Not implemented")
"""What Pillow says of files that may well be whole, as it says of some that are not."""
_NO_PAGE = 1 | 4  # of _SUBFILE: a smaller copy of another page, a mask


def read_picture(
    source: str | Path | BinaryIO, limits: Limits | None = None, *, name: str = "standard input"
) -> Picture:
    """Return the picture in a file, all its frames or pages included.

    source  a path, or a stream that is read to its end
    limits  how many pixels it may have, by default those of `Limits`
    name    what a stream is called in errors

    Raises PictureError where it is missing, damaged, too large or none.
    """
    source = Path(source) if isinstance(source, str) else source
    where = str(source) if isinstance(source, Path) else name
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return _read(file, limits or Limits())
        return _read(io.BytesIO(_all_of(source)), limits or Limits())
    except MemoryError:
        raise
    except PictureError as error:
        raise type(error)(f"{where}: {error}") from error
    except FileNotFoundError as error:
        raise PictureError(f"{where}: no such file") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{where}: not a picture, or not of a kind that can be read") from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes happen
        if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:  # of a place without sense
            raise PictureError(f"{where}: cannot be read: {error.strerror}") from error
        what = "damaged, or of a rare kind" if _UNREAD.search(str(error)) else "damaged"
        raise PictureError(f"{where}: {what}: {error}") from error


def _all_of(file: BinaryIO) -> bytes:
    try:
        content = file.read()
    except ValueError as error:
        raise PictureError(f"is closed, or not open for bytes: {error}") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise PictureError("is not open for bytes")
    return content


def picture_from_image(image: Image.Image) -> Picture:
    """Return a Pillow image of any mode as a picture.

    Raises PictureError for a mode without a range, and where its file, which Pillow reads this late, is damaged.
    """
    try:
        with without_limits():
            return _decode(image)
    except (MemoryError, PictureError):
        raise
    except Exception as error:
        raise PictureError(f"a Pillow image: damaged, or closed: {error}") from error


_lock = threading.Lock()
_reading = 0
_outside: tuple[warnings.catch_warnings, int | None, int]


@contextmanager
def without_limits() -> Iterator[None]:
    """Keep Pillow from warning, as what matters is an error here, and from limits of its own.

    These are settings of the whole process: the first thread to come changes them, the last to go restores them.
    """
    global _reading, _outside
    with _lock:
        _reading += 1
        if _reading == 1:
            _outside = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
            _outside[0].__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
            Image.MAX_IMAGE_PIXELS = None
            PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # ICC profiles count as texts
    try:
        yield
    finally:
        with _lock:
            _reading -= 1
            if _reading < 0:  # in a process that this thread forked inside
                _reading = 0
            elif _reading == 0:
                _restore_limits()


def _restore_limits() -> None:
    _outside[0].__exit__(None, None, None)
    Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = _outside[1:]


def _forget_readers() -> None:
    """Restore these settings in a process that was forked while another thread was reading, which is not in it."""
    global _lock, _reading
    _lock = threading.Lock()
    if _reading > 0:
        _reading = 0
        _restore_limits()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_readers)


def _read(file: BinaryIO, limits: Limits) -> Picture:
    if not file.read(1):
        raise PictureError("the file is empty")
    with without_limits():
        width, height = canvas = gif_canvas(file)
        if width * height > limits.input_pixels:
            raise TooLargeError(_too_large(width, height, 0, width * height, limits))
        try:
            image = open_image(file)
        except UnidentifiedImageError as error:
            said = _said_kind(file)
            if said == "HEIF" and "HEIF" not in _formats():
                raise UnknownKindError("HEIC and HEIF need one more package: pip install 'srgan[heif]'") from error
            if said == "TIFF":
                kind = "a TIFF that is damaged, or of a rare kind, floating-point colours say"
                raise UnknownKindError(kind) from error
            if said is not None:
                article = "an" if said == "AVIF" else "a"
                raise PictureError(f"{article} {said} that is damaged, or of a rare kind") from error
            raise
        animated, paged = image.format in _ANIMATED, image.format in _PAGED
        parts = gif_parts(file)
        frames: list[Picture] = []
        milliseconds: list[float] = []
        pixels = 0
        seen: Image.Image | None = None
        for number in count(1 if getattr(image, "default_image", False) else 0):
            if animated or paged:
                if frames and is_tiff_image(image):  # to which Pillow adds what the next page says
                    image.info.clear()
                try:
                    image.seek(number)
                except EOFError:
                    break
            if number >= _MOST_FRAMES:
                raise TooLargeError(f"too large: more than {_MOST_FRAMES:,} frames or pages")
            if is_tiff_image(image) and frames and image.tag_v2.get(_SUBFILE, 0) & _NO_PAGE:
                continue
            width, height = image.size
            if animated:  # all frames get the size of the largest
                canvas = max(canvas[0], width), max(canvas[1], height)
                pixels = canvas[0] * canvas[1] * (len(frames) + 1)
            else:
                pixels += decoded_pixels(image, file)
            if pixels > limits.input_pixels:
                raise TooLargeError(_too_large(width, height, len(frames), pixels, limits))
            # frames are put together, and so not from halves of their samples
            still = not animated or getattr(image, "n_frames", 1) == 1
            if image.format == "PNG" and not still and image.mode in _PUT_TOGETHER:
                shown, seen = _put_together(_drawn_by_png(image), seen, canvas)
                frames.append(_decode(_as_frame(shown, image, gray=_is_gray_png(image))))
            elif image.format == "GIF" and not still and (part := next(parts, None)) is not None:
                shown, seen = _put_together(_drawn_by_gif(part), seen, canvas)
                frames.append(_decode(_as_frame(shown, image, gray=_is_gray(shown))))
            else:
                frames.append(_decode(image, partial(open_image, file, number) if still else None))
            milliseconds.append(float(image.info.get("duration", 0)))
            if not animated and not paged:
                break
        loops = _loops(image)
    if not frames:
        raise PictureError("a picture without pixels")
    if image.format == "PNG":
        colours, text = read_chunks(file)
        frames[0] = replace(frames[0], colours=colours, metadata=replace(frames[0].metadata, text=text))
    if image.format in _QUALITIES:
        codec, quality_of = _QUALITIES[image.format]
        if (quality := quality_of(file)) is not None:
            frames[0] = replace(frames[0], metadata=replace(frames[0].metadata, coding=Coding(codec, quality)))
    if animated and len(frames) > 1:
        frames = _alike(frames)
        return replace(frames[0], more=tuple(frames[1:]), timing=Timing(tuple(milliseconds), loops))
    return replace(frames[0], more=tuple(frames[1:]))


@cache
def _formats() -> tuple[str, ...]:
    """Return what Pillow is to look for, once it is ready for that, and keep it and libtiff from printing."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # else errors go to stderr where nobody logs
    libtiff = ctypes.CDLL(_imaging.__file__)  # which has it inside or is linked to it
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if (set_handler := getattr(libtiff, name, None)) is not None:
            set_handler(None)
    if importlib.util.find_spec("pillow_heif") is None:
        return tuple(name for name in READ_FORMATS if name != "HEIF")
    import pillow_heif

    pillow_heif.register_heif_opener()
    return tuple(READ_FORMATS)


def _said_kind(file: BinaryIO) -> str | None:
    """Return what the first bytes of a file say that it is, None where that is no picture."""
    file.seek(0)
    found = _SIGNATURES.match(file.read(16))
    return None if found is None else found.lastgroup


def open_image(file: IO[bytes], number: int = 0) -> ImageFile.ImageFile:
    """Open a picture of a kind in READ_FORMATS, at its frame or page `number`; nothing is decoded yet.

    Raises UnidentifiedImageError for any other file, whatever its name says.
    """
    if is_png(file):
        file = without_texts(file, _TOLD_OTHERWISE)
    file.seek(0)
    image = Image.open(file, formats=_formats())
    if image.format == "PNG" and image.tile and isinstance(key := image.info.get("transparency"), int):
        image.info["transparency"] = key * {"L;2": 85, "L;4": 17}.get(str(image.tile[0].args), 1)  # as the samples are
    if number:
        image.seek(number)
    return image


class _Drawn(NamedTuple):
    """What a frame of an animation draws, RGBA, and where, over what is there or not, and what becomes of its place."""

    image: Image.Image
    box: tuple[int, int, int, int]
    over: bool
    cleared: bool
    goes_back: bool


def _drawn_by_png(image: ImageFile.ImageFile) -> _Drawn:
    """Return what the frame draws that an animated PNG is at.

    Pillow would make what is half clear over an opaque frame half clear, and would not go back to what was there before
    a frame.
    """
    png = cast(PngImagePlugin.PngImageFile, image)
    box, disposal, blend = png.info["bbox"], png.info.get("disposal"), png.info.get("blend")
    png.dispose_op, png.blend_op = PngImagePlugin.Disposal.OP_NONE, PngImagePlugin.Blend.OP_SOURCE
    cleared, goes_back = (disposal == PngImagePlugin.Disposal[name] for name in ("OP_BACKGROUND", "OP_PREVIOUS"))
    return _Drawn(png.crop(box).convert("RGBA"), box, blend == PngImagePlugin.Blend.OP_OVER, cleared, goes_back)


def _drawn_by_gif(part: Part) -> _Drawn:
    """Return what an image of a GIF draws.

    Pillow would colour what is cleared where the first frame has nothing clear, and go back where a frame does not say
    so after one that did.
    """
    left, top, right, bottom = part.box
    if left == right or top == bottom:
        drawn = Image.new("RGBA", (right - left, bottom - top))
    else:
        with open_image(io.BytesIO(part.alone)) as alone:
            drawn = alone.convert("RGBA")
    return _Drawn(drawn, part.box, True, part.disposal == CLEARED, part.disposal == AS_BEFORE)


def _put_together(drawn: _Drawn, seen: Image.Image | None, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Return what is seen with a frame, drawn upon what was `seen`, None at first, and what the next is drawn upon."""
    shown = Image.new("RGBA", size) if seen is None else seen.copy()
    if drawn.over:
        shown.alpha_composite(drawn.image, drawn.box[:2])
    else:
        shown.paste(drawn.image, drawn.box)
    if drawn.goes_back and seen is not None:
        return shown, seen
    following = shown
    if drawn.cleared or drawn.goes_back:
        following = shown.copy()
        following.paste((0, 0, 0, 0), drawn.box)
    return shown, following


def _as_frame(shown: Image.Image, image: ImageFile.ImageFile, *, gray: bool) -> Image.Image:
    """Return what is seen with a frame as an image of its own, with what the animation says of it."""
    frame = shown.convert("LA") if gray else shown.copy()
    frame.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return frame


def _too_large(width: int, height: int, before: int, pixels: int, limits: Limits) -> str:
    pieces = " in such pieces" if pixels > width * height else ""
    size = f"{width}x{height}{pieces} are" if before == 0 else f"{before + 1} frames or pages or more have"
    return (
        f"too large: {size} {in_words(pixels)}, more than the limit of {in_words(limits.input_pixels)};"
        " --max-input-pixels raises it"
    )


def _loops(image: Image.Image) -> int:
    """Return how often an animation is shown; a GIF says how often after the first time, if it says anything."""
    if image.format != "GIF":
        return int(image.info.get("loop", 0))
    again = image.info.get("loop")
    return 1 if again is None else int(again) and int(again) + 1


def _alike(frames: list[Picture]) -> list[Picture]:
    """Return frames that all are gray or all RGB, with or without transparency, and of one size.

    A later frame of a GIF may be larger: what those before it lack is clear.
    """
    colour = any(frame.pixels.ndim == 3 for frame in frames)
    height, width = (max(frame.pixels.shape[axis] for frame in frames) for axis in (0, 1))
    grows = any(frame.pixels.shape[:2] != (height, width) for frame in frames)
    alpha = grows or any(frame.alpha is not None and frame.alpha.min() < largest(frame.alpha.dtype) for frame in frames)
    alike = []
    for frame in frames:
        pixels, plane = frame.pixels, frame.alpha if alpha else None
        if colour and pixels.ndim == 2:
            pixels = cast(Pixels, np.dstack([pixels] * 3))
        if alpha and plane is None:
            plane = _opaque(pixels)
        if grows and plane is not None:
            below, beside = height - pixels.shape[0], width - pixels.shape[1]
            plane = cast(Pixels, np.pad(plane, [(0, below), (0, beside)]))
            pixels = cast(Pixels, np.pad(pixels, [(0, below), (0, beside)] + [(0, 0)] * (pixels.ndim - 2)))
        alike.append(replace(frame, pixels=pixels, alpha=plane))
    return alike


def _opaque(pixels: Pixels) -> Pixels:
    return cast(Pixels, np.full(pixels.shape[:2], largest(pixels.dtype), dtype=pixels.dtype))


def _decode(image: Image.Image, again: Callable[[], ImageFile.ImageFile] | None = None) -> Picture:
    """Return the frame that an image shows; `again` opens it once more, for what Pillow gives in two halves."""
    if 0 in image.size:
        raise PictureError("a picture without pixels")
    turned = is_tiff_image(image) and is_transposed(image)  # which Pillow turns while it loads
    if isinstance(image, ImageFile.ImageFile) and again is not None and (halves := _halves(image)) is not None:
        picture = _sixteen_bits(image, again, halves)
    else:
        image.load()
        picture = _eight_bits(image)
    return replace(picture, metadata=metadata_of(image, turned=turned))


def _eight_bits(image: Image.Image) -> Picture:
    """Return an image as Pillow decodes it, which for gray alone may have 16 bits."""
    stored, image = image, upright(image)
    icc = image.info.get("icc_profile")
    if image.mode in _GRAY_16:
        return _gray_16(image, stored, fitting(icc, gray=True))
    if image.mode == "F":
        raise UnknownKindError("a picture of floating-point numbers has no fixed range")
    if image.mode in _OTHER_COLOURS:
        converted = cmyk_to_srgb(image) if image.mode == "CMYK" else None
        return Picture(np.asarray(converted or image.convert("RGB")), icc=srgb() if converted else None)
    gray = image.mode in ("1", "L", "LA", "La") or (image.mode in ("P", "PA") and icc is None and _is_gray(image))
    alpha = image.has_transparency_data
    array = np.asarray(image.convert(("LA" if gray else "RGBA") if alpha else ("L" if gray else "RGB")))
    icc = fitting(icc, gray=gray)
    if not alpha:
        return Picture(array, icc=icc)
    return Picture(array[..., 0] if gray else array[..., :3], array[..., -1], icc)


def _is_gray_png(png: Image.Image) -> bool:
    return png.mode in ("1", "L", "LA") or (png.mode == "P" and "icc_profile" not in png.info and _is_gray(png))


def _is_gray(image: Image.Image) -> bool:
    """Tell whether a picture with a palette has no colours."""
    red, green, blue = (np.asarray(channel) for channel in image.convert("RGB").split())
    return np.array_equal(red, green) and np.array_equal(green, blue)


def _gray_16(image: Image.Image, stored: Image.Image, icc: bytes | None) -> Picture:
    """Return gray of more than 8 bits; of the image as it is `stored` a TIFF's numbers have their meaning."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise UnknownKindError("a gray picture with values outside of 16 bits has no fixed range")
    pixels = values.astype(np.uint16)
    if is_tiff_image(stored):
        bits = stored.tag_v2.get(_BITS, (1,))[0]
        if bits == 32 or stored.tag_v2.get(_SAMPLE_FORMAT, (1,))[0] != 1:
            raise UnknownKindError("a gray picture of signed numbers, or of 32 bits, has no fixed range")
        if bits == 12:
            pixels = ((pixels.astype(np.uint32) * 65535 + 2047) // 4095).astype(np.uint16)
        if stored.tag_v2.get(_PHOTOMETRIC) == 0:  # 0 is white
            pixels = 65535 - pixels
    return Picture(pixels, _keyed(pixels[..., np.newaxis], image.info.get("transparency")), icc)


def _halves(image: ImageFile.ImageFile) -> tuple[str, ...] | None:
    """Return what to ask Pillow for to have the high and the low bytes of 16-bit samples, None where there are none."""
    if not image.tile:
        return None
    arguments = image.tile[0].args
    raw = arguments[0] if isinstance(arguments, tuple) else arguments
    if not isinstance(raw, str):
        return None
    if raw == "LA;16B":
        return ("RGBA",)  # four bytes a pixel, both halves of both
    if image.tile[0].codec_name == "ppm" and raw == "RGB" and _maximum(image) > 255:
        return "RGB;16B", "RGB;16L"
    if is_tiff_image(image):
        samples, bits = image.tag_v2.get(_SAMPLES, 1), image.tag_v2.get(_BITS, (1,))
        alpha = image.mode in ("LA", "La") or image.tag_v2.get(_EXTRA_SAMPLES) == (1,)  # multiplied into the colours
        unread = "16 bits" if 16 in bits else "transparency" if alpha else None
        if samples > 1 and unread and image.tag_v2.get(PLANAR, 1) == 2:
            raise UnknownKindError(
                f"{unread} in separate planes cannot be read: save it with its channels side by side"
            )
    name, _, order = raw.partition(";16")
    if name not in ("RGB", "RGBX", "RGBA", "RGBa") or order not in ("B", "L", "N"):
        return None
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    name = name.replace("RGBa", "RGBA")  # still multiplied by alpha
    return f"{name};16{order}", f"{name};16{'L' if order == 'B' else 'B'}"


def _maximum(image: ImageFile.ImageFile) -> int:
    """Return the value of full intensity."""
    tile = image.tile[0]
    return int(tile.args[1]) if tile.codec_name == "ppm" and isinstance(tile.args, tuple) else 65535


def _sixteen_bits(
    image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile], halves: tuple[str, ...]
) -> Picture:
    """Return a 16-bit image, of which Pillow keeps 8 bits at a time, from decoding it once for each half."""
    raw, maximum = image.tile[0].args, _maximum(image)
    high = _asked_for(image, halves[0])
    high, low = (high, _asked_for(again(), halves[1])) if len(halves) == 2 else (high[..., ::2], high[..., 1::2])
    samples: NDArray[np.uint16] = high.astype(np.uint16) << np.uint16(8) | low
    if maximum != 65535:
        samples = np.minimum(samples * (65535 / maximum) + 0.5, 65535).astype(np.uint16)
    gray, alpha = samples.shape[2] == 2, samples.shape[2] in (2, 4)
    icc = fitting(image.info.get("icc_profile"), gray=gray)
    if not alpha:
        return Picture(samples, _keyed(samples, image.info.get("transparency")), icc)
    colours = samples[..., 0] if gray else samples[..., :3]
    if isinstance(raw, tuple) and str(raw[0]).startswith("RGBa"):
        colours = _divided(colours, samples[..., -1])
    return Picture(colours, samples[..., -1], icc)


def _asked_for(image: ImageFile.ImageFile, raw: str) -> NDArray[np.uint8]:
    """Return an image's pixels decoded with another raw mode than its own."""
    for number, tile in enumerate(image.tile):
        if tile.codec_name == "ppm":
            image.tile[number] = tile._replace(codec_name="raw", args=(raw, 0, 1))
        else:
            args = (raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw
            image.tile[number] = tile._replace(args=args)
    image.load()
    return np.asarray(upright(image))


def _divided(colours: NDArray[np.uint16], alpha: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return colours (H, W, 3) that were multiplied by alpha without it."""
    quotient = colours * (65535 / np.maximum(alpha, 1))[..., np.newaxis] + 0.5
    return np.minimum(quotient, 65535).astype(np.uint16)


def _keyed(samples: NDArray[np.uint16], key: Any) -> NDArray[np.uint16] | None:
    """Return the transparency of samples (H, W, C) of which one colour is transparent, None where none is named."""
    if key is None or isinstance(key, bytes):
        return None
    return np.where((samples == np.array(key)).all(axis=2), 0, 65535).astype(np.uint16)


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its EXIF orientation says."""
    image.load()  # a PNG may say it behind its pixels
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF data: the picture as it is stored
        return image
    return image if turn is None else image.transpose(turn)
