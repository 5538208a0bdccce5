"""The images of a GIF, each by itself: Pillow puts them together in other ways than browsers do."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

CLEARED, AS_BEFORE = 2, 3
"""What becomes of an image's place before the next one, where it does not stay."""


class Part(NamedTuple):
    """An image of a GIF: its left, top, right and bottom, what becomes of its place, and a GIF with no other."""

    box: tuple[int, int, int, int]
    disposal: int
    alone: bytes


class _Place(NamedTuple):
    """Where an image goes, and where in the file its palette begins and its pixels end."""

    box: tuple[int, int, int, int]
    flags: int
    control: bytes
    start: int
    stop: int


def gif_canvas(file: BinaryIO) -> tuple[int, int]:
    """Return the width and height that a GIF has with all its frames; 0 and 0 of a file that is none.

    Pillow fills a frame's place as it goes there, before it tells how large that is. So this goes through the blocks
    just as Pillow does, by the same wrong ways where they are damaged.
    """
    if (head := _head(file)) is None:
        return 0, 0
    width, height, _, _ = head
    for place in _places(file):
        width, height = max(width, place.box[2]), max(height, place.box[3])
    return width, height


def gif_parts(file: BinaryIO) -> Iterator[Part]:
    """Yield the images of a GIF as they lie in it; between two the file may be read elsewhere."""
    if (head := _head(file)) is None:
        return
    _, _, head_flags, palette = head
    for place in _places(file):
        following = file.tell()
        file.seek(place.start)
        content = file.read(place.stop - place.start)
        left, top, right, bottom = place.box
        control = place.control if len(place.control) >= 4 else bytes(4)
        alone = [
            b"GIF89a" + struct.pack("<HHBxx", right - left, bottom - top, head_flags) + palette,
            b"!\xf9\x04" + bytes([control[0] & 1]) + control[1:4] + b"\0",
            b"," + struct.pack("<HHHHB", 0, 0, right - left, bottom - top, place.flags) + content + b";",
        ]
        yield Part(place.box, control[0] >> 2 & 7, b"".join(alone))
        file.seek(following)


def _head(file: BinaryIO) -> tuple[int, int, int, bytes] | None:
    """Return the width, height, flags and palette that a GIF begins with, None of a file that is none."""
    file.seek(0)
    if file.read(6) not in (b"GIF87a", b"GIF89a"):
        return None
    width, height, flags = struct.unpack("<HHBxx", file.read(7))
    return width, height, flags, _palette(file, flags)


def _places(file: BinaryIO) -> Iterator[_Place]:
    """Yield where the images of a GIF are, from behind its head on."""
    first, control = True, b""
    while (kind := file.read(1)) not in (b"", b";"):
        if kind == b"!":
            label, block = file.read(1), _block(file)
            if label == b"\xf9":
                control = block
            if label == b"\xff" and first and block.startswith(b"NETSCAPE2.0"):
                _block(file)
            if label != b"\xfe" or block:
                _skip_blocks(file)
        elif kind == b",":
            left, top, across, down, flags = struct.unpack("<HHHHB", file.read(9))
            start = file.tell()
            _palette(file, flags)
            file.read(1)
            _skip_blocks(file)
            yield _Place((left, top, left + across, top + down), flags, control, start, file.tell())
            first, control = False, b""


def _palette(file: BinaryIO, flags: int) -> bytes:
    return file.read(6 << (flags & 7)) if flags & 128 else b""


def _block(file: BinaryIO) -> bytes:
    """Return a GIF's next block, an empty one at the end of several."""
    size = file.read(1)
    return file.read(size[0]) if size else b""


def _skip_blocks(file: BinaryIO) -> None:
    while _block(file):
        pass
