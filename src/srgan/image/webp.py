"""How coarsely WebP has rounded a picture, by the header of its first frame (VP8, RFC 6386, sections 9 and 19)."""

import struct
from typing import BinaryIO

_MOST_CHUNKS = 100  # before the first frame's pixels, where there are a few
_START = b"\x9d\x01\x2a"
_FRAME_HEADER, _ANIMATION_FRAME_HEADER = 10, 16  # bytes
_COARSEST = 127
_ENOUGH = 400  # bytes of a frame, which its header is in


def quality_of(file: BinaryIO) -> int | None:
    """Return the quality, 0 to 100, at which libwebp rounds about as coarsely as the first frame of a WebP.

    None of a frame that has lost nothing, and of a damaged file. What libwebp makes of a quality depends on the
    picture, whose parts it rounds in up to four ways: their mean is within 5 or 6 of what was asked for.
    """
    frame = _first_frame(file)
    if frame is None or len(frame) < _FRAME_HEADER + 2 or frame[0] & 1 or frame[3:6] != _START:
        return None
    try:
        index = _index_of(frame[_FRAME_HEADER:])
    except StopIteration:  # it ends before
        return None
    fine = (1 - index / _COARSEST) ** 3  # as libwebp has it, in src/enc/quant_enc.c
    return round(100 * (1.5 * fine if fine < 0.5 else (1 + fine) / 2))


def _first_frame(file: BinaryIO) -> bytes | None:
    """Return the beginning of the first frame where that is coded with loss, else None."""
    file.seek(0)
    begin = file.read(12)
    if begin[:4] != b"RIFF" or begin[8:] != b"WEBP":
        return None
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[:4] == b"VP8L":
            return None
        kind, size = head[:4], struct.unpack("<I", head[4:])[0]
        if kind == b"VP8 ":
            return file.read(min(size, _ENOUGH))
        file.seek(_ANIMATION_FRAME_HEADER if kind == b"ANMF" else size + size % 2, 1)
    return None


def _index_of(coded: bytes) -> float:
    """Return the mean of the quantiser's indices of a frame's segments, 0 to 127, the coarsest."""
    bits = _Bits(coded)
    bits.number(2)  # colour space, clamping
    segments: list[int] = []
    absolute = False
    if bits.number(1):
        of_blocks, of_segments = bits.number(1), bits.number(1)
        if of_segments:
            absolute = bool(bits.number(1))
            segments = [bits.signed(7) for _ in range(4)]
            for _ in range(4):
                bits.signed(6)  # the loop filter's
        if of_blocks:
            for _ in range(3):
                bits.optional(8)  # how likely each is
    bits.number(10)  # the loop filter's kind, level and sharpness
    if bits.number(1) and bits.number(1):
        for _ in range(8):
            bits.signed(6)  # what is added to its level
    bits.number(2)  # partitions
    index = bits.number(7)
    indices = [min(max(0, part if absolute else index + part), _COARSEST) for part in segments or [0]]
    return sum(indices) / len(indices)


class _Bits:
    """The numbers that a frame begins with: bits coded arithmetically, ones as likely as zeros; then StopIteration."""

    def __init__(self, coded: bytes) -> None:
        self._rest = iter(coded[2:])
        self._value, self._range, self._shifted = int.from_bytes(coded[:2], "big"), 255, 0

    def number(self, bits: int) -> int:
        """Return a number of so many bits."""
        value = 0
        for _ in range(bits):
            value = 2 * value + self._bit()
        return value

    def optional(self, bits: int) -> int:
        """Return a number that may be there, else 0."""
        return self.number(bits) if self._bit() else 0

    def signed(self, bits: int) -> int:
        """Return a number with a sign that may be there, else 0."""
        if not self._bit():
            return 0
        value = self.number(bits)
        return -value if self._bit() else value

    def _bit(self) -> int:
        split = 1 + (self._range - 1) // 2
        one = self._value >= split << 8
        if one:
            self._range, self._value = self._range - split, self._value - (split << 8)
        else:
            self._range = split
        while self._range < 128:
            self._range, self._value, self._shifted = self._range * 2, self._value * 2, self._shifted + 1
            if self._shifted == 8:
                self._shifted, self._value = 0, self._value | next(self._rest)
        return int(one)
