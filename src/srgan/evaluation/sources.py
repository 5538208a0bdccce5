"""Where results come from: bicubic, a network, or a folder that another program filled."""

from pathlib import Path
from typing import Protocol

import numpy as np

from srgan.data.check import find_partner
from srgan.errors import DataError
from srgan.evaluation.meters import Picture8
from srgan.evaluation.pictures import Pair, pixels
from srgan.evaluation.protocol import SCALE, sha256
from srgan.image.colour import BT601
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.weights import find_weights


class Source(Protocol):
    """What is measured. `device` says what computes, `weights` is the SHA-256 of a network's file."""

    name: str
    device: str
    weights: str | None

    def __call__(self, pair: Pair, folder: str) -> Picture8:
        """Return the result for a picture of the test folder of this name."""


class Bicubic:
    """MATLAB's bicubic on uint8."""

    name = "bicubic"
    device = "numpy"
    weights: str | None = None

    def __call__(self, pair: Pair, folder: str) -> Picture8:  # noqa: ARG002
        """Return lr upscaled."""
        return imresize(pair.lr, scale=float(SCALE))


class NetworkSource:
    """A network by its shipped name, or from a file."""

    def __init__(self, model: str, precision: str, threads: int | None) -> None:
        self.name = model
        self._upscaler = Upscaler(model, precision=precision, threads=threads)
        if self._upscaler.network.scale != SCALE:
            raise DataError(f"{model}: of scale {self._upscaler.network.scale}; the evaluation is for {SCALE}")
        network = self._upscaler.network
        self.device = f"{network.runtime} {network.precision} on {network.device}"
        files = find_weights(model)
        file = files.safetensors if network.runtime == "torch" else files.onnx
        self.weights: str | None = None if file is None else sha256(file)

    def __call__(self, pair: Pair, folder: str) -> Picture8:  # noqa: ARG002
        """Return lr upscaled."""
        return self._upscaler.upscale(pair.lr)


class FolderSource:
    """Pictures that another program made: of each the same stem as hr's, or with x4 or _x4 behind it.

    They lie in the folder, or in folders inside it that are named like the test folders.
    """

    device = "another program"
    weights: str | None = None

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DataError(f"{path}: no such folder")
        self.name = str(path)
        self._path = path

    def __call__(self, pair: Pair, folder: str) -> Picture8:
        """Return the result. Raises DataError where it is not there or of another size."""
        inside = self._path / folder
        place = inside if inside.is_dir() else self._path
        file = find_partner(pair.file, place)
        if file is None:
            raise DataError(f"{place}: no result for {pair.file.name}")
        return _like(pixels(file), pair.hr, file)


def _like(sr: Picture8, hr: Picture8, file: Path) -> Picture8:
    """Return sr with as many channels as hr: gray from three equal channels, or by BT.601 where they differ."""
    if sr.shape[:2] != hr.shape[:2]:
        raise DataError(f"{file}: {sr.shape[1]}x{sr.shape[0]}, where {hr.shape[1]}x{hr.shape[0]} is needed")
    if sr.ndim == hr.ndim:
        return sr
    if hr.ndim == 3:
        return np.stack([sr] * 3, axis=-1)
    gray: Picture8 = np.floor(np.tensordot(sr, BT601.astype(np.float64), 1) + 0.5).astype(np.uint8)
    return gray
