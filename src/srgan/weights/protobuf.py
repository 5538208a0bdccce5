"""The fields of a message of Protocol Buffers, which an ONNX file is: numbers, and values that may be messages.

A message is its fields one after the other, and goes on where another is added to its bytes.
"""

from collections.abc import Iterator
from mmap import mmap

_VARINT, _LENGTH = 0, 2


def fields(content: bytes | mmap, place: slice) -> Iterator[tuple[int, slice]]:
    """Yield the number and the place of every field of the message at a place, of which nothing else is read.

    Raises ValueError where it is no message, or one with fields of a kind that those we look at have not.
    """
    at: int = place.start
    while at < place.stop:
        key, at = _varint(content, at)
        start = at
        if key & 7 == _VARINT:
            _, at = _varint(content, at)
        elif key & 7 == _LENGTH:
            length, start = _varint(content, at)
            at = start + length
        else:
            raise ValueError
        if at > place.stop:
            raise ValueError
        yield key >> 3, slice(start, at)


def field(number: int, content: bytes) -> bytes:
    """Return the field of that number whose value is a text's bytes, or a message's."""
    return _as_varint(number << 3 | _LENGTH) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    """Return a number in seven bits a byte, all but the last of which say that more follow."""
    parts = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([part | 128 for part in parts[:-1]] + parts[-1:])


def _varint(content: bytes | mmap, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = 0
    for shift, byte in zip(range(0, 70, 7), content[at : at + 10], strict=False):
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise ValueError
