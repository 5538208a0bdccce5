"""Decoded pictures, and Pillow images and arrays made of them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.errors import ArgumentError
from srgan.image.colour import Pixels, to_levels
from srgan.image.flaws import flaws_in
from srgan.image.jpeg import quality_in


@dataclass(frozen=True)
class Limits:
    """How many pixels a picture may have before anything is decoded, and its result before anything is computed.

    The frames of an animation and the pages of a file count together.
    """

    input_pixels: int = 200_000_000
    output_pixels: int = 3_000_000_000


def in_words(pixels: int) -> str:
    """Return a number of pixels for people to read, to the pixel: what is over a limit reads as more than it."""
    if pixels < 10_000_000:
        return f"{pixels:,} pixels"
    return f"{pixels / 1e6:,.6f}".rstrip("0").rstrip(".") + " megapixels"


class Coding(NamedTuple):
    """What has rounded a picture, and at which quality, 0 to 100, libjpeg, libwebp or libavif is about as coarse."""

    codec: Literal["JPEG", "WebP", "AVIF"]
    quality: int


class Condition(NamedTuple):
    """What state a picture is in, as far as anybody looked.

    coding  what has rounded it
    noise   in levels of 255, see `Flaws`
    blur    in pixels, likewise
    """

    coding: Coding | None = None
    noise: float | None = None
    blur: float | None = None


@dataclass(frozen=True)
class Metadata:
    """What a file says of its picture beside the pixels.

    exif    the EXIF data as in its file, a TIFF structure that begins with its byte order
    xmp     the XMP packet
    dpi     pixels an inch, horizontal and vertical
    iptc    the records of IPTC-IIM
    text    of a PNG, the chunks of text that people and programs wrote, kinds and contents as in its file
    coding  what has rounded the picture, as far as the file says: JPEG, by its tables, WebP or AVIF, by its header
    turned  whether the EXIF data is of the picture on its side, so that across in it is down
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    iptc: bytes | None = None
    text: tuple[tuple[bytes, bytes], ...] = ()
    coding: Coding | None = None
    turned: bool = False


@dataclass(frozen=True)
class Timing:
    """When the frames of an animation are shown: for how many milliseconds each, and how often all (0: for ever)."""

    milliseconds: tuple[float, ...]
    loops: int = 0


_CLEARLY = 5
"""By how much the qualities differ of a JPEG and a coarser one that it was made of: a point or two is chance."""


@dataclass(frozen=True)
class Maker:
    """What made a picture.

    program      its name and version
    model        the network, by its card's name, None where none was needed
    checksum     the SHA-256 of its weights file, in hex, likewise
    fingerprint  hex digits that stand for what it was made of, where that is to be known again
    """

    program: str
    model: str | None
    checksum: str | None
    fingerprint: str | None = None


@dataclass(frozen=True)
class Picture:
    """A decoded picture: uint8, uint16, or float32 in [0, 1].

    pixels    (H, W, 3) RGB or (H, W) gray
    alpha     (H, W) of the same type, or None where the picture has no transparency
    icc       the ICC profile that says what the colours mean
    colours   of a PNG, the chunks that say so, kinds and contents as in its file
    metadata  what else its file says of it
    more      the frames of an animation or the pages of a file after the first, which is this one
    timing    of an animation, one duration for this frame and each of `more`
    maker     the network that this is the result of
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    colours: tuple[tuple[bytes, bytes], ...] = ()
    metadata: Metadata = Metadata()
    more: tuple["Picture", ...] = ()
    timing: Timing | None = None
    maker: Maker | None = None

    @property
    def frames(self) -> tuple["Picture", ...]:
        """This picture and those in `more`."""
        return (self, *self.more)

    @property
    def pixel_count(self) -> int:
        """How many pixels all frames have."""
        return sum(frame.pixels.shape[0] * frame.pixels.shape[1] for frame in self.frames)

    @cached_property
    def condition(self) -> Condition:
        """What its file says and its pixels show.

        Of codecs what has rounded it most counts: what the file says, or the JPEG that it once was where that shows.
        In a JPEG's pixels one has to be clearly coarser.
        """
        said, seen = self.metadata.coding, quality_in(self.pixels)
        clearly = said is None or said.codec != "JPEG" or (seen or 0) <= said.quality - _CLEARLY
        coding = Coding("JPEG", seen) if seen is not None and clearly else said
        return Condition(coding, *flaws_in(self.pixels))


def signed(result: Picture, fingerprint: str | None) -> Picture:
    """Return a network's result that tells what it was made of."""
    assert result.maker is not None
    return replace(result, maker=replace(result.maker, fingerprint=fingerprint))


def picture_from_array(array: NDArray[Any]) -> Picture:
    """Return an array (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float32 in [0, 1], as a picture.

    Raises ArgumentError for any other shape, type or range.
    """
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not shape_fits or 0 in array.shape:
        raise ArgumentError(f"an array of shape {array.shape} is no picture: (H, W), (H, W, 3) or (H, W, 4)")
    array = np.asarray(array, array.dtype.newbyteorder("="))
    if array.dtype not in (np.uint8, np.uint16, np.float32):
        raise ArgumentError(f"a picture is an array of uint8, uint16 or float32, not {array.dtype}")
    if array.dtype == np.float32 and not (array.min() >= 0 and array.max() <= 1):
        raise ArgumentError("a picture of float32 has values in [0, 1]; this one has others")
    if array.ndim == 3 and array.shape[2] == 4:
        return Picture(array[..., :3], array[..., 3])
    return Picture(array)


def array_from_picture(picture: Picture) -> NDArray[Any]:
    """Return a picture as an array (H, W), (H, W, 3) or (H, W, 4); gray with alpha as (H, W, 2)."""
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


def image_from_picture(picture: Picture) -> Image.Image:
    """Return a picture as a Pillow image, its ICC profile in `info`.

    The mode is L, LA, RGB or RGBA, and for 16 bits of gray I;16. Pillow has no other modes of 16 bits: the rest
    is rounded to 8.
    """
    array = array_from_picture(picture)
    image = Image.fromarray(array if array.dtype == np.uint16 and array.ndim == 2 else to_levels(array))
    if picture.icc is not None:
        image.info["icc_profile"] = picture.icc
    return image
