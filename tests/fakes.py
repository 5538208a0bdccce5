"""Networks of a few NumPy lines, whose values can be told by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srgan.inference.network import levels_by_floats

Array = NDArray[np.float32]


class Nearest:
    """Every pixel four times along both axes."""

    runtime = "fake"
    device = "NumPy"
    precision = "bf16"
    checksum = "c0ffee" * 10 + "0000"
    scale = 4
    halo = 0
    pixel_bytes = 1_000
    own_bytes = 400_000
    memory = 2_000_000

    def __init__(self) -> None:
        self.card: dict[str, Any] = {"name": "nearest"}
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, lr: Array) -> Array:
        self.shapes.append(lr.shape)
        return lr.repeat(self.scale, 2).repeat(self.scale, 3)

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return levels_by_floats(self, lr)

    def in_fp32(self) -> "Nearest":
        return self

    def rest(self) -> None:
        pass


class Box(Nearest):
    """Twice the size; each pixel the sum, padded with zeros, of the 7x7 around it: halo 3."""

    scale = 2
    halo = 3

    def __call__(self, lr: Array) -> Array:
        padded = np.pad(lr, ((0, 0), (0, 0), (3, 3), (3, 3)))
        height, width = lr.shape[2:]
        total = np.zeros_like(lr)
        for y in range(7):
            for x in range(7):
                total += padded[:, :, y : y + height, x : x + width]
        return super().__call__(total / np.float32(49))


class Shift(Nearest):
    """As large as the picture, one pixel to the right, zeros coming in: halo 1. Another network when it is turned."""

    scale = 1
    halo = 1

    def __call__(self, lr: Array) -> Array:
        return np.pad(super().__call__(lr), ((0, 0), (0, 0), (0, 0), (1, 0)))[..., :-1]


class Broken(Nearest):
    """Gives a value that is not finite, in bf16 or in fp32 as well, on the windows counted from `since`."""

    def __init__(self, *, since: int = 1, fp32_too: bool) -> None:
        super().__init__()
        self._since, self._fp32_too = since, fp32_too

    def __call__(self, lr: Array) -> Array:
        sr = super().__call__(lr)
        if len(self.shapes) >= self._since:
            sr[0, 0, 0, 0] = np.inf
        return sr

    def in_fp32(self) -> Nearest:
        return Broken(fp32_too=True) if self._fp32_too else Nearest()


def eight_by_hand(enlarge: Callable[[NDArray[Any]], NDArray[Any]], lr: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return what is made of lr's eight orientations, turned back; its height is along axis `rows`."""
    results = []
    for swapped in (False, True):
        for flips in ((), (rows,), (rows + 1,), (rows, rows + 1)):
            seen = np.flip(lr.swapaxes(rows, rows + 1) if swapped else lr, flips)
            sr = np.flip(enlarge(np.ascontiguousarray(seen)), flips)
            results.append(sr.swapaxes(rows, rows + 1) if swapped else sr)
    return np.array(results)
