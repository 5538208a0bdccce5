"""What a picture costs the service, looked at before its network: sides, pixels, bytes, the scans of a JPEG."""

import re

from srgan.image.picture import Picture
from srgan.image.seamless import Margin, widened
from srgan.image.size import Size, passes
from srgan.web.parameters import BICUBIC, MOST_PIXELS, MOST_TIMES_SMALLER, Order
from srgan.web.problems import Problem

_MOST_SEGMENTS = 10_000  # of a JPEG, for which they are counted
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")  # of a segment with a length, or the end
_SCAN, _END = b"\xda", b"\xd9"


def count_scans(jpeg: bytes) -> int:
    """Return how many scans a JPEG has before its end, many for one of very many segments.

    Segments are where libjpeg looks for them: all other markers have no length, and what ends before its first scan
    are tables for what follows.
    """
    place, scans = 2, 0
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(jpeg, place)
        if found is None or (found[1] == _END and scans):
            return scans
        place = found.end()
        if found[1] != _END:
            scans += found[1] == _SCAN
            place += int.from_bytes(jpeg[place : place + 2])
    return _MOST_SEGMENTS


def check_sides(picture: Picture, order: Order) -> None:
    """Raise Problem where a side of the result is too long, or too short for what bicubic would read for it."""
    for frame in picture.frames:
        lr = frame.pixels.shape[:2]
        sr = order.size.of(*lr)
        if max(sr) > MOST_PIXELS:
            raise Problem("bad-parameter", f"a side of the result has {max(sr):,} pixels, more than {MOST_PIXELS:,}")
        if order.model == BICUBIC and any(side > MOST_TIMES_SMALLER * made for side, made in zip(lr, sr, strict=True)):
            raise Problem(
                "bad-parameter",
                f"bicubic makes a side at most {MOST_TIMES_SMALLER} times as small, and not {lr[1]}x{lr[0]}"
                f" to {sr[1]}x{sr[0]}",
            )


def network_pixels(picture: Picture, size: Size, scale: int, around: Margin | None = None) -> int:
    """Return how many pixels go through a network: of every frame, its transparency, and each time.

    With `around`, as `held_bytes` has it, more on each side.
    """
    total = 0
    for frame in picture.frames:
        lr = frame.pixels.shape[:2]
        sr = size.of(*lr)
        height, width = widened(lr, sr, around)
        times = passes(lr, sr, scale)
        total += height * width * sum(scale ** (2 * i) for i in range(times)) * (1 if frame.alpha is None else 2)
    return total


def bytes_of_weights(picture: Picture, size: Size, scale: int, around: Margin | None = None) -> int:
    """Return the bytes of the weights by which a frame that went through a network gets its size.

    They are of 8 bytes, six for each row and column that there is, and three for each that is made of them.
    """
    most = 0
    for frame in picture.frames:
        lr = frame.pixels.shape[:2]
        sr = size.of(*lr)
        made = sum(widened(lr, sr, around)) * scale ** passes(lr, sr, scale)
        most = max(most, 8 * (6 * made + 3 * sum(sr)))
    return most


def bytes_of_bicubic(picture: Picture, size: Size) -> int:
    """Return the bytes of a picture and of what bicubic makes of it."""
    total = 0
    for frame in picture.frames:
        height, width = frame.pixels.shape[:2]
        sr_height, sr_width = size.of(height, width)
        held = frame.pixels.nbytes + (0 if frame.alpha is None else frame.alpha.nbytes)
        total += held + held * sr_height * sr_width // (height * width)
    return total
