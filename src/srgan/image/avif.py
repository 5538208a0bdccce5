"""How coarsely AVIF has rounded a picture: by its frame's header (AV1 Bitstream & Decoding Process, 5.5 and 5.9)."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

_MOST_META = 1 << 16  # bytes of the box that says where pictures lie, at its beginning
_MOST_BOXES, _LONGEST_BOX = 100, 1 << 40  # before that one, where there are a few
_ENOUGH = 400  # bytes of a picture, which its headers are in
_SEQUENCE_HEADER, _FRAME_HEADERS = 1, (3, 6)
_BY_THE_FRAME = 2  # where a sequence's header leaves a choice to that of its frames

_QUALITIES = (0, 10, 30, 50, 60, 70, 75, 80, 85, 90, 95, 100)
_INDICES = (255, 236, 196, 148, 120, 92, 76, 60, 48, 32, 16, 0)
"""What libavif 1.4 with libaom makes of these, whatever the picture."""


def quality_of(file: BinaryIO) -> int | None:
    """Return the quality, 0 to 100, at which libavif rounds about as coarsely as the picture of an AVIF.

    None where the file is damaged, or of a kind that few write: put together from several, or in tiles of many sizes.
    """
    try:
        found = _item(file)
        index = None if found is None else _index_of(found)
    except (StopIteration, IndexError, KeyError, struct.error):
        return None
    return None if index is None else round(float(np.interp(-index, [-each for each in _INDICES], _QUALITIES)))


class _Bits:
    """Numbers of any count of bits, one after the other. Raises IndexError behind the end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def number(self, bits: int) -> int:
        """Return the next one."""
        value = 0
        for place in range(self._place, self._place + bits):
            value = 2 * value + (self._content[place // 8] >> (7 - place % 8) & 1)
        self._place += bits
        return value

    def skip(self, bits: int) -> None:
        """Leave out what nobody asks for."""
        self._place += bits


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kinds and the contents of boxes of the ISO base media file format that lie behind one another."""
    start = 0
    while start + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, start)
        if size < 8:
            return
        yield kind, content[start + 8 : start + size]
        start += size


def _item(file: BinaryIO) -> bytes | None:
    """Return the beginning of the picture that an AVIF shows, None where it has no place of its own."""
    file.seek(0)
    for _ in range(_MOST_BOXES):
        size, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"meta":
            break
        size, head = (struct.unpack(">Q", file.read(8))[0], 16) if size == 1 else (size, 8)
        if not head <= size < _LONGEST_BOX:
            return None
        file.seek(size - head, 1)
    else:
        return None
    parts = dict(_boxes(file.read(min(size, _MOST_META))[4:]))
    shown = struct.unpack_from(">I" if parts[b"pitm"][0] else ">H", parts[b"pitm"], 4)[0]
    version, bits = parts[b"iloc"][0], _Bits(parts[b"iloc"][4:])
    of_offset, of_length, of_base, of_index = (8 * bits.number(4) for _ in range(4))
    of_number = 32 if version == 2 else 16
    for _ in range(bits.number(of_number)):
        number = bits.number(of_number)
        elsewhere = bits.number(16) & 15 if version else 0
        bits.number(16)
        base = bits.number(of_base)
        pieces, of_index = bits.number(16), of_index if version else 0
        if number == shown:
            if elsewhere or not pieces:
                return None
            bits.skip(of_index)
            start, length = base + bits.number(of_offset), bits.number(of_length)
            if start >= _LONGEST_BOX:
                return None
            file.seek(start)
            return file.read(min(length, _ENOUGH))
        bits.skip(pieces * (of_index + of_offset + of_length))
    return None


class _Sequence(NamedTuple):
    """What a sequence's header says that its frames' are read by; `_BY_THE_FRAME` leaves it to them."""

    reduced: int
    of_width: int
    of_height: int
    width: int
    height: int
    of_number: int
    blocks: int
    screen: int
    whole: int
    of_order: int
    resized: int


def _index_of(content: bytes) -> int | None:
    """Return the quantiser's index of a picture's first frame, 0 to 255, the coarsest."""
    sequence = None
    place = 0
    while place < len(content):
        kind, extended, sized = content[place] >> 3 & 15, content[place] & 4, content[place] & 2
        place += 2 if extended else 1
        size, shift = (0, 0) if sized else (len(content) - place, -1)
        while shift >= 0:
            size |= (content[place] & 127) << shift
            shift = shift + 7 if content[place] & 128 else -1
            place += 1
        bits = _Bits(content[place : place + size])
        if kind == _SEQUENCE_HEADER:
            sequence = _sequence(bits)
        elif kind in _FRAME_HEADERS:
            return None if sequence is None else _frame(bits, sequence)
        place += size
    return None


def _sequence(bits: _Bits) -> _Sequence | None:
    """Read a sequence's header, None for one with times."""
    bits.number(4)  # profile, whether it is one still picture
    reduced = bits.number(1)
    if reduced:
        bits.number(5)
    else:
        if bits.number(1):
            return None
        delayed = bits.number(1)
        for _ in range(bits.number(5) + 1):
            bits.number(12)
            if bits.number(5) > 7:
                bits.number(1)
            if delayed and bits.number(1):
                bits.number(4)
    of_width, of_height = bits.number(4) + 1, bits.number(4) + 1
    width, height = bits.number(of_width) + 1, bits.number(of_height) + 1
    of_number = of_order = 0
    if not reduced and bits.number(1):
        of_number = bits.number(4) + 2
        of_number += bits.number(3) + 1
    blocks = 128 if bits.number(1) else 64
    bits.number(2)
    screen = whole = _BY_THE_FRAME
    if not reduced:
        bits.number(4)
        ordered = bits.number(1)
        bits.number(2 if ordered else 0)
        screen = _BY_THE_FRAME if bits.number(1) else bits.number(1)
        if screen:
            whole = _BY_THE_FRAME if bits.number(1) else bits.number(1)
        of_order = bits.number(3) + 1 if ordered else 0
    resized = bits.number(1)
    return _Sequence(reduced, of_width, of_height, width, height, of_number, blocks, screen, whole, of_order, resized)


def _frame(bits: _Bits, sequence: _Sequence) -> int | None:
    """Read a frame's header as far as its quantiser's index, None for one that is no picture of its own."""
    if not sequence.reduced and (bits.number(1) or bits.number(2) or not bits.number(1)):
        return None
    fixed = bits.number(1)
    screen = bits.number(1) if sequence.screen == _BY_THE_FRAME else sequence.screen
    if screen and sequence.whole == _BY_THE_FRAME:
        bits.number(1)
    bits.number(sequence.of_number)
    other_size = 0 if sequence.reduced else bits.number(1)
    bits.number(sequence.of_order)
    width, height = sequence.width, sequence.height
    if other_size:
        width, height = bits.number(sequence.of_width) + 1, bits.number(sequence.of_height) + 1
    if sequence.resized and bits.number(1):
        return None
    if bits.number(1):
        bits.number(32)  # the size that it is shown at
    if screen:
        bits.number(1)
    if not sequence.reduced and not fixed:
        bits.number(1)
    return bits.number(8) if _past_tiles(bits, width, height, sequence.blocks) else None


def _past_tiles(bits: _Bits, width: int, height: int, blocks: int) -> bool:
    """Read how many tiles a frame has, False where they are not all of one size."""
    if not bits.number(1):
        return False
    across, down = (-(-side // blocks) for side in (8 * -(-width // 8), 8 * -(-height // 8)))
    columns = _halvings(across, 4096 // blocks)
    least = max(columns, _halvings(across * down, 4096 * 2304 // blocks**2))
    while columns < _halvings(min(across, 64), 1) and bits.number(1):
        columns += 1
    rows = max(least - columns, 0)
    while rows < _halvings(min(down, 64), 1) and bits.number(1):
        rows += 1
    if columns or rows:
        bits.number(columns + rows + 2)
    return True


def _halvings(number: int, most: int) -> int:
    """Return how often a number has to be halved, rounded up, to be at most another."""
    return next(count for count in range(64) if most << count >= number)
