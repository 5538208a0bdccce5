"""How many pixels are decoded of a file, told before any is: some formats have room for more than a picture's."""

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, TypeGuard

from PIL import Image, ImageFile

from srgan.errors import PictureError

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

PLANAR = 284
"""The tag of TIFF that says whether the channels lie apart: 2."""

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
# the types of whole numbers that libtiff takes
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_CODESTREAM = b"\xff\x4f\xff\x51"  # what one of JPEG 2000 begins with
_TILE_COSTS = 512  # pixels that take as much memory as OpenJPEG has for a tile and each of its channels


def decoded_pixels(image: ImageFile.ImageFile, file: BinaryIO) -> int:
    """Return how many pixels are decoded of an image: in pieces that overhang it, more than it has.

    Raises PictureError for pieces that cannot be.
    """
    width, height = image.size
    if is_tiff_image(image):
        return max(width * height, _pixels_in_tiles(image, file), _pixels_in_strips(image))
    if image.format == "JPEG2000":
        return width * height + _TILE_COSTS * _further_tiles(file)
    return width * height


def is_tiff_image(image: Image.Image) -> TypeGuard["TiffImageFile"]:
    """Return whether Pillow opened a TIFF."""
    return image.format == "TIFF"


def _pixels_in_tiles(image: "TiffImageFile", file: BinaryIO) -> int:
    """Return the pixels of a TIFF's tiles, which libtiff decodes as a whole, 0 where it has none.

    libtiff takes numbers of types that Pillow leaves out: so the largest that is said counts, in whatever type.
    """
    end = ">" if image.tag_v2.prefix == b"MM" else "<"
    file.seek(2)
    big = file.read(1) == b"+"
    number, entry = struct.Struct(end + ("Q" if big else "H")), struct.Struct(end + ("HHQ8s" if big else "HHI4s"))
    file.seek(image.tag_v2.offset)
    [entries] = number.unpack(file.read(number.size))
    sides = {_TILE_WIDTH: 0, _TILE_HEIGHT: 0}
    for tag, kind, _, value in entry.iter_unpack(file.read(entries * entry.size)):
        if tag in sides and kind in _NUMBERS:
            side = struct.Struct(end + _NUMBERS[kind])
            if side.size > len(value):
                file.seek(struct.unpack(end + "I", value)[0])
                value = file.read(side.size)
            sides[tag] = max(sides[tag], *side.unpack_from(value))
    if 0 in sides.values():
        return 0
    across, down = (
        -(-int(image.tag_v2[length]) // side) * side
        for length, side in zip((_WIDTH, _HEIGHT), sides.values(), strict=True)
    )
    return across * down


def _pixels_in_strips(image: "TiffImageFile") -> int:
    """Return the pixels of what Pillow reads of a TIFF piece by piece. Raises PictureError where one lies in another.

    That would be read a byte at a time.
    """
    pieces = []
    for tile in image.tile:
        left, top, right, bottom = tile.extents or (0, 0, 0, 0)
        pieces.append((tile.offset, (right - left) * (bottom - top)))
    pieces.sort()
    if any(0 < 8 * (following - offset) < pixels for (offset, pixels), (following, _) in pairwise(pieces)):
        raise PictureError("damaged: its strips lie in one another")
    planes = len(image.getbands()) if image.tag_v2.get(PLANAR, 1) == 2 else 1
    return sum(pixels for _, pixels in pieces) // planes


def _further_tiles(file: BinaryIO) -> int:
    """Return how many tiles a JPEG 2000 has after the first, times its channels. Raises PictureError."""
    file.seek(0)
    if file.read(4) != _CODESTREAM:
        file.seek(0)
        _go_to_codestream(file)
        if file.read(4) != _CODESTREAM:
            raise PictureError("damaged: its size is not where it belongs")
    right, bottom, _, _, width, height, left, top, channels = struct.unpack(">4x8IH", file.read(38))
    across, down = (
        max(1, -(-length // max(1, side))) for length, side in ((right - left, width), (bottom - top, height))
    )
    return int((across * down - 1) * channels)


def _go_to_codestream(file: BinaryIO) -> None:
    """Go on from box to box, to what is in the one of the codestream."""
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        rest = length - 8
        if length == 1:
            rest = int.from_bytes(file.read(8)) - 16
        if kind == b"jp2c":
            return
        if rest < 0:
            raise PictureError("damaged: a box without an end")
        file.seek(rest, 1)
