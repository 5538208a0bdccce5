"""What size a result has."""

from dataclasses import dataclass
from numbers import Integral, Real

from srgan.errors import ArgumentError

_TOO_MUCH = 2**31
"""Pixels a side that no format holds, and so no scale either."""


@dataclass(frozen=True)
class Size:
    """A multiple of the picture's size, a width, a height, or both.

    scale    how many times as wide and high
    width    in pixels; the height follows, and the other way round
    stretch  with a width and a height, just these; without, the largest size of the picture's proportions that
             fits into them

    Raises ArgumentError for a size that cannot be.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    stretch: bool = False

    def __post_init__(self) -> None:
        given = [value for value in (self.scale, self.width, self.height) if value is not None]
        if not given or (self.scale is not None and len(given) > 1):
            raise ArgumentError("a size is a scale, or a width, a height or both")
        for value, kind in ((self.scale, Real), (self.width, Integral), (self.height, Integral)):
            if value is not None and not (isinstance(value, kind) and 0 < value < _TOO_MUCH):
                what = "number" if kind is Real else "whole number"
                raise ArgumentError(f"{value!r} is no size: a {what} more than 0 and less than {_TOO_MUCH}")
        if self.stretch and (self.width is None or self.height is None):
            raise ArgumentError("stretching needs a width and a height")

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and the width of the result of a picture of height x width."""
        if self.stretch:
            assert self.height is not None
            assert self.width is not None
            return self.height, self.width
        if self.scale is not None:
            scale = self.scale
        else:
            bounds = ((self.height, height), (self.width, width))
            scale = min(bound / side for bound, side in bounds if bound is not None)
        return max(1, round(height * scale)), max(1, round(width * scale))

    @property
    def ending(self) -> str:
        """What a result's name says of it: _x4, _x2.5, _1920w, _1080h, _3840x2160."""
        if self.scale is not None:
            return f"_x{self.scale:g}"
        if self.width is None or self.height is None:
            return f"_{self.width}w" if self.width is not None else f"_{self.height}h"
        return f"_{self.width}x{self.height}"


def passes(lr: tuple[int, int], sr: tuple[int, int], scale: int) -> int:
    """Return how often a network of that scale makes a picture of size lr at least as large as sr."""
    count, (height, width) = 0, lr
    while height < sr[0] or width < sr[1]:
        count, height, width = count + 1, height * scale, width * scale
    return count
