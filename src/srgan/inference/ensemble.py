"""A network asked eight times: the mean of what it makes of a picture in its eight orientations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from srgan.inference.network import Network, levels_by_floats

ORIENTATIONS = 8
"""Of a picture: four turns, each mirrored or not."""


class _EndedError(BaseException):
    """An error of what is asked between, on its way past those who would take it for one of the network."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Ensemble:
    """A network's geometric self-ensemble (Lim et al. 2017, "Enhanced Deep Residual Networks", section 3.4).

    The picture is turned by quarters and mirrored, each result is turned back, and the mean taken: nearer to the
    original than one result, and eight times the work. See `srgan.inference.network.Network` for all else.
    """

    def __init__(self, network: Network) -> None:
        """Ask this network."""
        self._network = network
        self.runtime, self.device, self.precision = network.runtime, network.device, network.precision
        self.card = network.card | {"name": f"{network.card['name']}, ensemble"}
        self.checksum = network.checksum
        self.scale, self.halo = network.scale, network.halo
        floats = 3 * np.dtype(np.float32).itemsize
        self.pixel_bytes = network.pixel_bytes + 2 * floats * network.scale**2  # the sum, and one result beside it
        self.own_bytes, self.memory = network.own_bytes, network.memory
        self._asked: Callable[[], None] = lambda: None

    @contextmanager
    def asking(self, between: Callable[[], None]) -> Iterator[None]:
        """Call `between` after each of the eight in the block, which what it raises ends; other blocks may be in it."""
        before, self._asked = self._asked, between
        try:
            yield
        except _EndedError as ended:
            raise ended.error from ended.error.__cause__
        finally:
            self._asked = before

    def _ask(self) -> None:
        try:
            self._asked()
        except Exception as error:
            raise _EndedError(error) from error

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr (N, 3, sH, sW) for lr (N, 3, H, W): the mean of eight."""
        number, channels, height, width = lr.shape
        total = np.zeros((number, channels, height * self.scale, width * self.scale), np.float32)
        for turns in range(4):
            turned = np.rot90(lr, turns, (2, 3))
            total += np.rot90(self._network(np.ascontiguousarray(turned)), -turns, (2, 3))
            self._ask()
            mirrored = self._network(np.ascontiguousarray(turned[..., ::-1]))
            total += np.rot90(mirrored[..., ::-1], -turns, (2, 3))
            self._ask()
        total /= ORIENTATIONS
        return total

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sr for lr in levels; the mean is rounded, not the eight. Raises NotFiniteError."""
        return levels_by_floats(self, lr)

    def in_fp32(self) -> "Ensemble":
        """Return the ensemble of the same network computing in fp32."""
        network = self._network.in_fp32()
        return self if network is self._network else Ensemble(network)

    def rest(self) -> None:
        """Let the network rest."""
        self._network.rest()
