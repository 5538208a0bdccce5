"""EXIF data: a TIFF structure, edited without moving anything that others point to.

A changed directory is written anew behind the rest, so that what lies at places told nowhere in the open, as in
the notes of camera makers, stays where it was.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

ORIENTATION, SOFTWARE = 0x0112, 0x0131
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_WIDTH, _HEIGHT = 0x0100, 0x0101
_EXIF_DIRECTORY = 0x8769
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_OF_THE_SENSOR = 0xA20E, 0xA20F  # its resolution across and down, in the EXIF directory
_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"

DESCRIPTIVE = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, SOFTWARE, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, _EXIF_DIRECTORY, 0x8825}
    | {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
    | set(range(0x9C9B, 0x9CA0))
)
"""Tags of a first directory that say something of a picture, rather than of how its file is laid out."""


@dataclass(frozen=True)
class Entry:
    """A tag of a directory, as it lies in the file: `value` is four bytes, the value or where it is."""

    tag: int
    kind: int
    count: int
    value: bytes


class Exif:
    """EXIF data to edit. Raises ValueError where it is damaged so that its tags cannot be found."""

    def __init__(self, data: bytes | None = None) -> None:
        """Take EXIF data that begins with a byte order; none is data without tags."""
        self.data = bytearray(data or _EMPTY)
        if bytes(self.data[:4]) not in (b"II*\0", b"MM\0*"):
            raise ValueError("no EXIF data")
        self.order = "<" if self.data[:1] == b"I" else ">"
        self._entries, self._next = self._directory(self._unpack("I", 4))

    def describe(
        self,
        *,
        width: int,
        height: int,
        dpi: tuple[float, float] | None,
        software: str | None,
        turned: bool = False,
    ) -> None:
        """Make the data true for an upright picture of this size, and leave out the thumbnail.

        dpi       told where the data says nothing of it
        software  what made the picture, where it is to be said
        turned    the data is of the picture on its side: resolutions change places
        """
        self._drop_thumbnail()
        kept = {entry.tag: entry for entry in self._entries}
        across, down = kept.get(X_RESOLUTION), kept.get(Y_RESOLUTION)
        if turned and across is not None and down is not None:
            kept |= {across.tag: replace(down, tag=across.tag), down.tag: replace(across, tag=down.tag)}
        for tag, value in ((_WIDTH, width), (_HEIGHT, height)):
            if tag in kept:
                kept[tag] = self._number(tag, value)
        if ORIENTATION in kept:
            kept[ORIENTATION] = self._number(ORIENTATION, 1)
        if software is not None:
            kept[SOFTWARE] = self._text(SOFTWARE, software)
        if dpi is not None and X_RESOLUTION not in kept:
            kept[X_RESOLUTION], kept[Y_RESOLUTION] = (
                self._rational(tag, value) for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True)
            )
            kept[RESOLUTION_UNIT] = self._number(RESOLUTION_UNIT, 2)
        if _EXIF_DIRECTORY in kept and not self._resize(kept[_EXIF_DIRECTORY], width, height, turned=turned):
            del kept[_EXIF_DIRECTORY]
        self._entries = tuple(kept.values())

    def leave_out(self, tag: int) -> None:
        """Leave out a tag of the first directory."""
        self._entries = tuple(entry for entry in self._entries if entry.tag != tag)

    def entries(self) -> tuple[Entry, ...]:
        """Return the first directory."""
        return self._entries

    def tobytes(self) -> bytes:
        """Return the data with its first directory, and no other of that rank."""
        data = self.data + bytes(len(self.data) % 2)
        data[4:8] = struct.pack(f"{self.order}I", len(data))
        return bytes(data + directory(self._entries, self.order))

    def _unpack(self, kind: str, place: int) -> int:
        try:
            value: int = struct.unpack_from(f"{self.order}{kind}", self.data, place)[0]
        except struct.error as error:
            raise ValueError("EXIF data that ends too early") from error
        return value

    def _directory(self, place: int) -> tuple[tuple[Entry, ...], int]:
        count = self._unpack("H", place)
        entries = []
        for start in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, number = (self._unpack(*where) for where in (("H", start), ("H", start + 2), ("I", start + 4)))
            self._unpack("I", start + 8)
            entry = Entry(tag, kind, number, bytes(self.data[start + 8 : start + 12]))
            if self._lies_inside(entry):
                entries.append(entry)
        try:
            following = self._unpack("I", place + 2 + 12 * count)
        except ValueError:  # some writers end with the last entry
            following = 0
        return tuple(entries), following

    def _lies_inside(self, entry: Entry) -> bool:
        size = _SIZES.get(entry.kind, 0) * entry.count
        place: int = struct.unpack(f"{self.order}I", entry.value)[0]
        return entry.kind in _SIZES and (size <= 4 or place + size <= len(self.data))

    def _drop_thumbnail(self) -> None:
        """Blank the thumbnail that the second directory tells of, and cut it off where nothing follows."""
        if self._next == 0:
            return
        try:
            entries, _ = self._directory(self._next)
        except ValueError:
            return
        places = {entry.tag: int(struct.unpack(f"{self.order}I", entry.value)[0]) for entry in entries}
        start, length = places.get(_THUMBNAIL_START, 0), places.get(_THUMBNAIL_LENGTH, 0)
        stop = start + length
        if 8 <= start < stop <= len(self.data) and self.data[start : start + 2] == b"\xff\xd8":
            self.data[start:stop] = bytes(length)
            if stop >= len(self.data) - 1:
                del self.data[start:]

    def _resize(self, pointer: Entry, width: int, height: int, *, turned: bool) -> bool:
        """Set the size in the EXIF directory, where it has one; return whether the directory is whole.

        Of a picture that was turned the sensor's resolutions change places.
        """
        place: int = struct.unpack(f"{self.order}I", pointer.value)[0]
        try:
            count = self._unpack("H", place)
            self._unpack("I", place + 2 + 12 * count)
            values = {}
            for start in range(place + 2, place + 2 + 12 * count, 12):
                tag = self._unpack("H", start)
                values[tag] = slice(start + 2, start + 12)
                if tag in (_EXIF_WIDTH, _EXIF_HEIGHT):
                    entry = self._number(tag, width if tag == _EXIF_WIDTH else height)
                    self.data[start : start + 12] = packed(entry, self.order)
            if turned and values.keys() >= {*_OF_THE_SENSOR}:
                x, y = (values[tag] for tag in _OF_THE_SENSOR)
                self.data[x], self.data[y] = self.data[y], self.data[x]
        except ValueError:
            return False
        return True

    def _number(self, tag: int, value: int) -> Entry:
        if value < 1 << 16:
            return Entry(tag, _SHORT, 1, struct.pack(f"{self.order}HH", value, 0))
        return Entry(tag, _LONG, 1, struct.pack(f"{self.order}I", value))

    def _text(self, tag: int, text: str) -> Entry:
        content = text.encode("ascii", "replace") + b"\0"
        if len(content) <= 4:
            return Entry(tag, _ASCII, len(content), content.ljust(4, b"\0"))
        return Entry(tag, _ASCII, len(content), struct.pack(f"{self.order}I", self._append(content)))

    def _rational(self, tag: int, value: float) -> Entry:
        place = self._append(struct.pack(f"{self.order}II", *thousandths(value)))
        return Entry(tag, _RATIONAL, 1, struct.pack(f"{self.order}I", place))

    def _append(self, content: bytes) -> int:
        """Put content behind the rest, at an even place, and return where."""
        self.data += bytes(len(self.data) % 2)
        place = len(self.data)
        self.data += content
        return place


def thousandths(value: float) -> tuple[int, int]:
    """Return a positive number as EXIF data and TIFF files write it, as two whole ones."""
    return round(value * 1000), 1000


def packed(entry: Entry, order: str) -> bytes:
    """Return an entry's twelve bytes."""
    return struct.pack(f"{order}HHI", entry.tag, entry.kind, entry.count) + entry.value


def directory(entries: Iterable[Entry], order: str, following: int = 0) -> bytes:
    """Return a directory's bytes: its entries by tag, and where the next directory is."""
    ordered = sorted(entries, key=lambda entry: entry.tag)
    content = b"".join(packed(entry, order) for entry in ordered)
    return struct.pack(f"{order}H", len(ordered)) + content + struct.pack(f"{order}I", following)
