"""What a loaded network is to the rest of the program, whichever runtime computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from srgan.errors import InferenceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from srgan.weights import Card


LIGHT = {"srresnet_compact_x4": 0.2}
"""Networks that take less memory for a pixel than srresnet_x4, and how much of that: measured, and rounded up."""


class NotFiniteError(InferenceError):
    """A network gave values that are not finite."""


class Network(Protocol):
    """A network that is ready to run. One caller at a time."""

    @property
    def runtime(self) -> str:
        """One of RUNTIMES."""

    @property
    def device(self) -> str:
        """What computes, for people to read."""

    @property
    def precision(self) -> str:
        """bf16 or fp32: what the arithmetic is done in."""

    card: Card
    """What the weights file says of the network."""

    @property
    def checksum(self) -> str:
        """The SHA-256 of the weights file, in hex."""

    @property
    def scale(self) -> int:
        """How many times the size the result has."""

    @property
    def halo(self) -> int:
        """How many lr pixels away an input pixel can still change an output pixel."""

    @property
    def pixel_bytes(self) -> int:
        """How many bytes of memory a call needs for each lr pixel of its window, as measured."""

    @property
    def own_bytes(self) -> int:
        """How many bytes it needs beside that; on a GPU those of the device count, on a CPU the process's."""

    @property
    def memory(self) -> int:
        """How many bytes it takes in all where nobody says otherwise."""

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr (N, 3, sH, sW) for lr (N, 3, H, W); float32 RGB, [0, 1] in, the same not clamped out."""

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sr (sH, sW, 3) for lr (H, W, 3), both uint8 RGB: clipped and rounded where the network computes.

        Raises NotFiniteError where it gives values that are not finite.
        """

    def in_fp32(self) -> Network:
        """Return the same network computing in fp32: itself where it does."""

    def rest(self) -> None:
        """Let go of the memory that is kept from one call to the next, which may be as much as a call needs."""


def pixel_bytes(card: Card, usual: int) -> int:
    """Return `Network.pixel_bytes` of the network of a card, where srresnet_x4 has the usual ones."""
    return round(usual * LIGHT.get(card["network"], 1.0))


def levels_by_floats(network: Network, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Do what `Network.levels` promises with a network's floats, for a runtime that has no better way."""
    from srgan.image.colour import to_network, to_uint8

    return to_uint8(require_finite(network(to_network(lr)))[0].transpose(1, 2, 0))


def require_finite(sr: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a network gave. Raises NotFiniteError where that is not finite."""
    import numpy as np

    if not np.isfinite(sr).all():
        raise NotFiniteError("the network gives values that are not finite")
    return sr
