"""Where results come from: bicubic, a network, or a folder that another program filled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from srgan.data.folders import Pair, Picture8, TestFolder, find_pictures, folder_for, pixels
from srgan.data.pairs import SCALE, matched
from srgan.errors import DataError
from srgan.image.colour import BT601
from srgan.image.picture import Metadata, Picture
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.weights import checksum, find_weights, involved


class Source(Protocol):
    """What is measured. `device` says what computes, `weights` is the SHA-256 of a network's file, of several each."""

    name: str
    device: str
    weights: str | None

    def __call__(self, pair: Pair) -> Picture8:
        """Return the result for a test picture."""


class Bicubic:
    """MATLAB's bicubic on uint8."""

    name = "bicubic"
    device = "numpy"
    weights: str | None = None

    def __call__(self, pair: Pair) -> Picture8:
        """Return lr upscaled."""
        return imresize(pair.lr, scale=float(SCALE))


class NetworkSource:
    """A network by its shipped name, from a file, or the one that each picture asks for."""

    def __init__(self, model: str, precision: str, threads: int | None) -> None:
        self.name = model
        self._upscaler = Upscaler(model, precision=precision, threads=threads)
        self._upscaler.keeps_gray = False  # the network is measured, as published figures are of networks
        network = self._upscaler.network
        if network.scale != SCALE:
            raise DataError(f"{model}: of scale {network.scale}; the evaluation is for {SCALE}")
        self.device = f"{network.runtime} {network.precision} on {network.device}"
        files = [find_weights(name) for name in involved(model)]
        used = [each.safetensors if network.runtime == "torch" else each.onnx for each in files]
        self.weights: str | None = " ".join(checksum(file) for file in used if file is not None) or None

    def __call__(self, pair: Pair) -> Picture8:
        """Return lr upscaled."""
        lr = Picture(pair.lr, metadata=Metadata(coding=pair.coding))
        return self._upscaler.upscale_picture(lr).pixels.astype(np.uint8, copy=False)


class FolderSource:
    """Pictures that another program made: named like hr, or with x4, _x4 or, from a - _ or . on, anything behind.

    They lie in the folder, or in folders inside it that are named like the test folders.
    """

    device = "another program"
    weights: str | None = None

    def __init__(self, path: Path, tests: Sequence[TestFolder]) -> None:
        """Find the results for test folders. Raises DataError where one is not there, or what is whose is not clear."""
        self.name = str(path)
        files = [file for test in tests for file in test.files]
        places = {file: folder_for(test.name, path) for test in tests for file in test.files}
        found = {place: _by_beginning(place, {file.stem.lower() for file in files}) for place in {*places.values()}}
        self._results = matched(
            files,
            lambda file: found[places[file]].get(file.stem.lower(), []),
            lambda file: f"{places[file]}: no result",
        )

    def __call__(self, pair: Pair) -> Picture8:
        """Return the result. Raises DataError where it is of another size."""
        file = self._results[pair.file]
        return _like(pixels(file), pair.hr, file)


def _by_beginning(place: Path, stems: set[str]) -> dict[str, list[Path]]:
    """Return the pictures in a folder by the longest of some stems that their names begin with, in any case."""
    begun: dict[str, list[Path]] = {}
    for picture in find_pictures(place):
        name = picture.stem.lower()
        parts = ((name[:end], name[end:]) for end in range(len(name), 0, -1) if name[:end] in stems)
        fits = (stem for stem, rest in parts if rest in ("", f"x{SCALE}") or rest[0] in "-_.")
        if (stem := next(fits, None)) is not None:
            begun.setdefault(stem, []).append(picture)
    return begun


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
