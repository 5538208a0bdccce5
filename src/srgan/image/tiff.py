"""TIFF files of 8 or 16 bits a channel, written in bands of rows, page by page."""

import struct
import zlib
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srgan.image.exif import (
    DESCRIPTIVE,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Entry,
    Exif,
    directory,
    thousandths,
)
from srgan.image.inorder import InOrder

_BAND_BYTES = 1 << 18
_MOST_BYTES = 3_900_000_000  # the places in a TIFF have 32 bits; deflated data may grow by a little
_SHORT, _LONG, _RATIONAL, _UNDEFINED, _BYTE = 3, 4, 5, 7, 1
_LETTERS = {_SHORT: "H", _LONG: "I", _UNDEFINED: "B", _BYTE: "B"}


class TiffWriter:
    """A TIFF file under way: pages one after another, each given rows from top to bottom.

    with TiffWriter(file, exif=exif) as tiff:
        tiff.begin_page(640, 480, channels=3, bits=16, icc=profile)
        tiff.write(upper)
        tiff.write(lower)

    Rows are deflated as differences to the left neighbour. The file begins with the EXIF data, which is a TIFF
    structure as well, so that all that is in it stays in its place.
    """

    most_bytes = _MOST_BYTES

    def __init__(self, file: BinaryIO, *, exif: Exif | None = None) -> None:
        """Begin a file that can be sought in, with what the EXIF data says of the first page."""
        self._file = file
        exif = exif or Exif()
        self._order = exif.order
        self._described = {entry.tag: entry for entry in exif.entries() if entry.tag in DESCRIPTIVE}
        self._link = 4  # where the place of the next directory goes
        self._page: _Page | None = None
        self._bands = InOrder(self._take)
        file.write(exif.data)

    def __enter__(self) -> "TiffWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._end_page()
        finally:
            self._bands.close()

    def begin_page(
        self,
        width: int,
        height: int,
        *,
        channels: int,
        bits: int,
        icc: bytes | None = None,
        xmp: bytes | None = None,
        iptc: bytes | None = None,
        dpi: tuple[float, float] | None = None,
    ) -> None:
        """Begin the first or next page: `channels` is 1 for gray, 3 for RGB, one more with alpha; `bits` 8 or 16.

        What the EXIF data says of the first page's resolution goes before `dpi`.
        """
        self._end_page()
        if dpi is not None and X_RESOLUTION not in self._described:
            self._described[RESOLUTION_UNIT] = self._entry(RESOLUTION_UNIT, _SHORT, [2])
            for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
                place = self._append(struct.pack(f"{self._order}II", *thousandths(value)))
                self._described[tag] = Entry(tag, _RATIONAL, 1, struct.pack(f"{self._order}I", place))
        self._page = _Page(width, height, channels, bits, icc)
        if xmp is not None:  # before the pixels, where it is looked for
            self._page.entries.append(self._entry(700, _BYTE, xmp))
        if iptc is not None:
            self._page.entries.append(self._entry(33723, _UNDEFINED, iptc))

    def write(self, rows: NDArray[Any]) -> None:
        """Take the next rows, (h, W) or (h, W, C) of uint8 or uint16. Raises OSError where the file does."""
        page = self._page
        assert page is not None
        rows = rows.reshape(len(rows), page.width, page.channels)
        page.waiting = rows if page.waiting is None else np.concatenate([page.waiting, rows])
        whole = len(page.waiting) // page.strip * page.strip
        for start in range(0, whole, page.strip):
            self._bands.put(_deflate, page.waiting[start : start + page.strip], self._order)
        page.rows += len(rows)
        page.waiting = page.waiting[whole:].copy()

    def _take(self, strip: bytes) -> None:
        assert self._page is not None
        self._page.places.append(self._file.tell())
        self._page.lengths.append(len(strip))
        self._file.write(strip)

    def _end_page(self) -> None:
        page = self._page
        if page is None:
            return
        if page.rows != page.height:
            raise ValueError(f"{page.rows} rows were written of {page.height}")
        if page.waiting is not None and len(page.waiting):
            self._bands.put(_deflate, page.waiting, self._order)
        self._bands.finish()
        gray, alpha = page.channels < 3, page.channels in (2, 4)
        entries = self._described
        self._described = {}
        fields: list[tuple[int, int, list[int] | bytes]] = [
            (256, _LONG, [page.width]),
            (257, _LONG, [page.height]),
            (258, _SHORT, [page.bits] * page.channels),
            (259, _SHORT, [8]),  # deflate
            (262, _SHORT, [1 if gray else 2]),
            (273, _LONG, page.places),
            (277, _SHORT, [page.channels]),
            (278, _LONG, [page.strip]),
            (279, _LONG, page.lengths),
            (284, _SHORT, [1]),
            (317, _SHORT, [2]),  # differences to the left
            (339, _SHORT, [1] * page.channels),
        ]
        if alpha:
            fields.append((338, _SHORT, [2]))  # colours are not multiplied by it
        if page.icc is not None:
            fields.append((34675, _UNDEFINED, page.icc))
        entries |= {entry.tag: entry for entry in page.entries}
        for tag, kind, values in fields:
            entries[tag] = self._entry(tag, kind, values)
        place = self._append(directory(entries.values(), self._order))
        end = self._file.tell()
        self._file.seek(self._link)
        self._file.write(struct.pack(f"{self._order}I", place))
        self._file.seek(end)
        self._link = place + 2 + 12 * len(entries)
        self._page = None

    def _entry(self, tag: int, kind: int, values: list[int] | bytes) -> Entry:
        content = struct.pack(f"{self._order}{len(values)}{_LETTERS[kind]}", *values)
        if len(content) > 4:
            content = struct.pack(f"{self._order}I", self._append(content))
        return Entry(tag, kind, len(values), content.ljust(4, b"\0"))

    def _append(self, content: bytes) -> int:
        place = self._file.tell()
        self._file.write(b"\0" * (place % 2) + content)
        return place + place % 2


class _Page:
    """What is known of a page under way."""

    def __init__(self, width: int, height: int, channels: int, bits: int, icc: bytes | None) -> None:
        self.width, self.height, self.channels, self.bits = width, height, channels, bits
        self.icc = icc
        self.entries: list[Entry] = []
        self.strip = max(1, min(height, _BAND_BYTES // (width * channels * bits // 8)))
        self.rows = 0
        self.waiting: NDArray[Any] | None = None
        self.places: list[int] = []
        self.lengths: list[int] = []


def _deflate(rows: NDArray[Any], order: str) -> bytes:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.astype(f"{order}u{differences.dtype.itemsize}").data, 1)
