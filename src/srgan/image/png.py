"""PNG files: of 8 or 16 bits a channel, written in bands of rows by several threads, and what others say beside pixels.

Bands are compressed one by one into blocks that together are one zlib stream. That takes the time of a band on
every processor, and no memory that grows with the picture. Photographs are filtered by the average of the left
and the upper neighbour, and only runs are sought in what remains: that gives files as small as zlib's level 6
after filters chosen row by row, in a tenth of the time.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srgan.image.inorder import InOrder

COLOURS = {b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
"""Kinds of chunks that say what colours mean, by how long they are."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = {
    b"tEXt": re.compile(rb"[^\0]{1,79}\0"),
    b"zTXt": re.compile(rb"[^\0]{1,79}\0\0"),
    b"iTXt": re.compile(rb"[^\0]{1,79}\0[\0\1]\0[^\0]*\0[^\0]*\0"),
}  # kinds of chunks of text, and how whole ones begin
_PROFILES = (b"exif", b"APP1", b"xmp", b"icc", b"icm")
_ELSEWHERE = (b"XML:com.adobe.xmp", *(b"Raw profile type " + kind for kind in _PROFILES))  # told again where it belongs
_MOST_TEXT, _MOST_TEXTS = 1 << 24, 10_000
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: gray, gray with alpha, RGB, RGBA
_BAND_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 16
_ADLER_MODULUS = 65521
_LAST_BLOCK = b"\x03\x00"  # an empty block that says it is the last one

_Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class _Band:
    deflated: bytes
    adler: int
    length: int


def is_png(file: IO[bytes]) -> bool:
    """Tell whether a file begins as a PNG does."""
    file.seek(0)
    return file.read(len(_SIGNATURE)) == _SIGNATURE


def read_chunks(file: IO[bytes]) -> tuple[tuple[tuple[bytes, bytes], ...], tuple[tuple[bytes, bytes], ...]]:
    """Return the chunks by which a PNG says what its colours mean, its profile apart, and those of text, XMP apart.

    Both are kinds and contents. Damaged chunks are left out, as are a second one about the same and text beyond 16 MB
    or 10,000 chunks.
    """
    colours: dict[bytes, bytes] = {}
    texts: list[tuple[bytes, bytes]] = []
    room = _MOST_TEXT
    for place, kind, length in _chunks(file):
        if not (COLOURS.get(kind) == length or (kind in _TEXTS and length <= room and len(texts) < _MOST_TEXTS)):
            continue
        file.seek(place + 8)
        content = file.read(length)
        if file.read(4) != struct.pack(">I", zlib.crc32(kind + content)):
            continue
        if kind in COLOURS:
            colours.setdefault(kind, content)
        elif _TEXTS[kind].match(content) and not content.startswith(_ELSEWHERE):
            texts.append((kind, content))
            room -= length
    return tuple(colours.items()), tuple(texts)


def without_texts(file: IO[bytes], names: Collection[bytes]) -> IO[bytes]:
    """Return a PNG without its texts of these names: the file as it is where it has none of them."""
    kept = 0
    parts: list[bytes] = []
    for place, kind, length in _chunks(file):
        file.seek(place + 8)
        if kind in _TEXTS and file.read(min(length, 80)).partition(b"\0")[0] in names:
            file.seek(kept)
            parts.append(file.read(place - kept))
            kept = place + 12 + length
    if not parts:
        return file
    file.seek(kept)
    return io.BytesIO(b"".join([*parts, file.read()]))


def _chunks(file: IO[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Yield where each chunk of a PNG begins, its kind, and how long its content is."""
    place = len(_SIGNATURE)
    while True:
        file.seek(place)
        if len(head := file.read(8)) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield place, kind, length
        place += 12 + length


class PngWriter:
    """A PNG file under way: give it rows from top to bottom, in as many pieces as you like.

    with PngWriter(file, 640, 480, channels=3, bits=8) as png:
        png.write(upper)
        png.write(lower)

    An animation has `frames` frames of one size; each begins with `begin_frame`.
    """

    def __init__(
        self,
        file: BinaryIO,
        width: int,
        height: int,
        *,
        channels: int,
        bits: int,
        compression: int = 1,
        chunks: Sequence[tuple[bytes, bytes]] = (),
        frames: int | None = None,
        loops: int = 0,
    ) -> None:
        """Write what comes before the pixels.

        channels     1 gray, 2 gray and alpha, 3 RGB, 4 RGBA
        bits         8 for rows of uint8, 16 for uint16
        compression  0 to 9
        chunks       kinds and contents of further chunks, which come before the pixels
        frames       how many an animation has, shown `loops` times, 0 for ever; None for a still picture
        """
        self._file, self._compression = file, compression
        self._shape, self._pixel_bytes = (height, width, channels), channels * bits // 8
        self._type = ">u2" if bits == 16 else "u1"
        self._order = -1 if frames is None else 0  # the number of the next chunk of an animation
        self._frame = 0
        self._bands = InOrder(self._take)
        self._above: _Bytes
        self._rows, self._adler, self._waiting = 0, 1, b""
        file.write(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0))
        if frames is not None:
            self._chunk(b"acTL", struct.pack(">II", frames, loops))
        for kind, content in chunks:
            self._chunk(kind, content)
        self._begin()

    def __enter__(self) -> "PngWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._end()
                self._chunk(b"IEND", b"")
        finally:
            self._bands.close()

    def begin_frame(self, milliseconds: float) -> None:
        """Begin the first or next frame of an animation, to be shown for so long."""
        if self._frame:
            self._end()
            self._begin()
        height, width, _ = self._shape
        place = struct.pack(">IIIII", self._order, width, height, 0, 0)
        self._chunk(b"fcTL", place + struct.pack(">HHBB", *_fraction(milliseconds), 0, 0))
        self._order += 1
        self._frame += 1

    def write(self, rows: NDArray[Any]) -> None:
        """Take the next rows, (h, W) or (h, W, C) of uint8 or uint16. Raises OSError where the file does."""
        step = max(1, _BAND_BYTES // len(self._above))
        for start in range(0, len(rows), step):
            samples = np.ascontiguousarray(rows[start : start + step], dtype=self._type)
            band = samples.view(np.uint8).reshape(len(samples), -1)
            self._bands.put(_compress, band, self._above, self._pixel_bytes, self._compression)
            self._above = band[-1]
        self._rows += len(rows)
        self._above = self._above.copy()

    def _begin(self) -> None:
        self._above = np.zeros(self._shape[1] * self._pixel_bytes, dtype=np.uint8)
        self._rows, self._adler, self._waiting = 0, 1, b"\x78\x01"

    def _take(self, band: _Band) -> None:
        self._adler = _joined(self._adler, band.adler, band.length)
        self._data(self._waiting + band.deflated)
        self._waiting = b""

    def _end(self) -> None:
        self._bands.finish()
        if self._rows != self._shape[0]:
            raise ValueError(f"{self._rows} rows were written of {self._shape[0]}")
        self._data(_LAST_BLOCK + struct.pack(">I", self._adler))

    def _data(self, content: bytes) -> None:
        if self._frame > 1:
            self._chunk(b"fdAT", struct.pack(">I", self._order) + content)
            self._order += 1
        else:
            self._chunk(b"IDAT", content)

    def _chunk(self, kind: bytes, content: bytes) -> None:
        self._file.write(struct.pack(">I", len(content)) + kind)
        self._file.write(content)
        self._file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))


def _compress(band: _Bytes, above: _Bytes, bpp: int, level: int) -> _Band:
    """Return rows of bytes, filtered and deflated as blocks that others can follow.

    How is found out on the first few rows: runs alone after averages are best for photographs, drawings and
    texts are full of repetitions. The level says among how many ways.
    """
    ways = _WAYS[: 1 if level == 0 else 3 if level == 1 else None]
    few = band[: max(1, _SAMPLE_BYTES // band.shape[1])]
    way = min(ways, key=lambda way: len(way.deflate(few, above, bpp, level)[0])) if level else ways[0]
    return _Band(*way.deflate(band, above, bpp, level))


def _none(band: _Bytes, above: _Bytes, bpp: int) -> _Bytes:  # noqa: ARG001
    return _marked(0, band)


def _up(band: _Bytes, above: _Bytes, bpp: int) -> _Bytes:  # noqa: ARG001
    return _marked(2, band - _raised(band, above))


def _average(band: _Bytes, above: _Bytes, bpp: int) -> _Bytes:
    total = _raised(band, above).astype(np.uint16)
    total[:, bpp:] += band[:, :-bpp]
    total >>= 1
    return _marked(3, band - total.astype(np.uint8))


def _least(band: _Bytes, above: _Bytes, bpp: int) -> _Bytes:
    """Return rows filtered by whichever of PNG's filters leaves the least sum of magnitudes, row by row."""
    upper = _raised(band, above)
    candidates = [
        _none(band, above, bpp),
        _marked(1, band - _shifted(band, bpp)),
        _up(band, above, bpp),
        _average(band, above, bpp),
        _marked(4, band - _paeth(_shifted(band, bpp), upper, _shifted(upper, bpp))),
    ]
    costs = [np.abs(rows[:, 1:].view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for rows in candidates]
    best = np.argmin(costs, axis=0)
    filtered = candidates[0]
    for number, rows in enumerate(candidates):
        filtered[best == number] = rows[best == number]
    return filtered


def _marked(number: int, rows: _Bytes) -> _Bytes:
    """Return filtered rows with the filter's number before each."""
    marked = np.empty((rows.shape[0], rows.shape[1] + 1), dtype=np.uint8)
    marked[:, 0] = number
    marked[:, 1:] = rows
    return marked


def _paeth(left: _Bytes, upper: _Bytes, corner: _Bytes) -> _Bytes:
    a, b, c = (plane.astype(np.int16) for plane in (left, upper, corner))
    to_left, to_upper, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    near = np.where(to_upper <= to_corner, upper, corner)
    return np.where((to_left <= to_upper) & (to_left <= to_corner), left, near)


def _raised(band: _Bytes, above: _Bytes) -> _Bytes:
    """Return each row's upper neighbour."""
    return np.concatenate([above[np.newaxis], band[:-1]])


def _shifted(rows: _Bytes, bpp: int) -> _Bytes:
    """Return each byte's left neighbour, 0 for the first pixel."""
    left = np.zeros_like(rows)
    left[:, bpp:] = rows[:, :-bpp]
    return left


@dataclass(frozen=True)
class _Way:
    """How to compress rows: one of PNG's filters, or the best of them, and a strategy of zlib's."""

    filtered: Callable[[_Bytes, _Bytes, int], _Bytes]
    strategy: int

    def deflate(self, band: _Bytes, above: _Bytes, bpp: int, level: int) -> tuple[bytes, int, int]:
        """Return the blocks, the checksum of what is in them, and its length."""
        filtered = self.filtered(band, above, bpp)
        deflate = zlib.compressobj(level, zlib.DEFLATED, -15, 9, self.strategy)
        blocks = deflate.compress(filtered.data) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return blocks, zlib.adler32(filtered.data), filtered.size


_WAYS = (
    _Way(_none, zlib.Z_DEFAULT_STRATEGY),
    _Way(_average, zlib.Z_RLE),
    _Way(_up, zlib.Z_DEFAULT_STRATEGY),
    _Way(_least, zlib.Z_FILTERED),
)


def _joined(first: int, second: int, length: int) -> int:
    """Return the Adler-32 of two pieces put together from those of each, the second having `length` bytes."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)
    return high % _ADLER_MODULUS << 16 | low % _ADLER_MODULUS


def _fraction(milliseconds: float) -> tuple[int, int]:
    """Return a time in seconds as a fraction of two 16-bit numbers."""
    if round(milliseconds) < 1 << 16:
        return round(milliseconds), 1000
    return min(round(milliseconds / 1000), 65535), 1
