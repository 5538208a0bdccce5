"""Cutting a picture into windows that a network upscales one by one, to the same values as all at once.

A network whose output pixel depends on input at most `halo` pixels away gives, inside a window, the whole
picture's values wherever that reach ends within the window. At the picture's own border it pads with zeros,
so there the window must end where the picture ends. Hence: all windows of a picture have one size and lie
inside it, and each contributes its core, which stays `halo` pixels away from every side of the window that
is not a side of the picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from srgan.errors import ArgumentError


@dataclass(frozen=True)
class Span:
    """One axis of a tile: the window is [start, stop), and it contributes [core_start, core_stop)."""

    start: int
    stop: int
    core_start: int
    core_stop: int

    @property
    def window(self) -> slice:
        """The window, in pixels of the picture."""
        return slice(self.start, self.stop)

    def core(self, scale: int = 1) -> slice:
        """Where the contribution lies in a picture of `scale` times the size."""
        return slice(self.core_start * scale, self.core_stop * scale)

    def core_in_window(self, scale: int = 1) -> slice:
        """Where the contribution lies in the window of `scale` times the size."""
        return slice((self.core_start - self.start) * scale, (self.core_stop - self.start) * scale)


@dataclass(frozen=True)
class Tile:
    """A window of a picture and the part of it that counts."""

    rows: Span
    columns: Span


@dataclass(frozen=True)
class Plan:
    """The tiles of a picture, row by row, left to right; the cores cover every pixel once."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles."""
        return (Tile(rows, columns) for rows in self.rows for columns in self.columns)


def plan_tiles(height: int, width: int, *, halo: int, tile: int | None = None, pixels: int) -> Plan:
    """Return the tiles for a picture of height x width.

    tile  the side of a square window, greater than twice the halo; 0 for the whole picture in one window;
          None for the window shape with the least work in total among those of at most `pixels` pixels
    halo  how far a network's output pixel can see

    Raises ArgumentError for a tile that leaves no core.
    """
    if tile == 0:
        window = height, width
    elif tile is None:
        window = _least_work(height, width, halo, pixels)
    elif tile > 2 * halo:
        window = tile, tile
    else:
        raise ArgumentError(f"a tile of {tile} pixels is too small: this network needs more than {2 * halo}, or 0")
    return Plan(_spans(height, window[0], halo), _spans(width, window[1], halo))


def _spans(length: int, window: int, halo: int) -> tuple[Span, ...]:
    """Cover [0, length) with windows of one size, the last one moved inwards to end where the picture ends."""
    window = min(window, length)
    spans: list[Span] = []
    done = 0
    while done < length:
        start = min(max(done - halo, 0), length - window)
        stop = start + window
        core_stop = length if stop == length else stop - halo
        spans.append(Span(start, stop, done, core_stop))
        done = core_stop
    return tuple(spans)


def _least_work(height: int, width: int, halo: int, pixels: int) -> tuple[int, int]:
    """Return the window of at most `pixels` pixels whose copies cover the picture with the fewest pixels.

    With n windows along an axis each is just long enough for the n to cover it. For every number of rows the
    fewest columns that fit are the best, as every further one adds a halo.
    """
    if pixels < (2 * halo + 1) ** 2:
        raise ValueError(f"a window of {pixels} pixels has no room for a halo of {halo}")
    best = None
    for rows in range(1, max(height - 2 * halo, 1) + 1):
        window_height = _shortest(height, rows, halo)
        columns = _fewest(width, pixels // window_height, halo)
        if columns is None:
            continue
        window_width = _shortest(width, columns, halo)
        work = rows * window_height * columns * window_width
        if best is None or work < best[0]:
            best = work, window_height, window_width
    assert best is not None  # a window of 2 * halo + 1 squared always fits
    return best[1], best[2]


def _shortest(length: int, count: int, halo: int) -> int:
    """Return the length of `count` equal windows that just cover `length`."""
    return length if count == 1 else min(length, -((2 * halo - length) // count) + 2 * halo)


def _fewest(length: int, window: int, halo: int) -> int | None:
    """Return how many windows of at most `window` pixels cover `length`, None where none has a core."""
    if length <= window:
        return 1
    core = window - 2 * halo
    return -((2 * halo - length) // core) if core > 0 else None
