"""Folders of test pictures: hr cropped to a multiple of the scale, and lr, published or made."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from srgan.data.pairs import LR_FOLDER, SCALE, LrFolder, pictures_in
from srgan.errors import DataError
from srgan.image.picture import Coding
from srgan.image.reading import read_picture
from srgan.image.resize import imresize

Picture8: TypeAlias = NDArray[np.uint8]
"""(H, W, 3), or (H, W) of a gray one."""

SMALLEST = 2 * SCALE + 11 + 1
"""A side that, cropped to a multiple of the scale and without its borders, still holds SSIM's window."""


@dataclass(frozen=True)
class Pair:
    """A picture to measure on: lr (h, w, 3) or (h, w) and hr `scale` times as large, four in a test folder, uint8.

    `coding` is what has rounded lr, as far as its file says.
    """

    file: Path
    lr: Picture8
    hr: Picture8
    coding: Coding | None = None

    @property
    def scale(self) -> int:
        """How many times as wide and high hr is."""
        return len(self.hr) // len(self.lr)


class TestFolder:
    """A folder of high-resolution pictures, with the low-resolution ones in LRx4 inside it or made by bicubic.

    Those of another folder, `lr`, take their place. `partners` has the low-resolution picture of each of `files`, where
    they are not made; the attribute `lr` says where they are from.
    """

    __test__ = False  # pytest takes a class of this name for tests

    def __init__(self, path: Path, lr: Path | None = None) -> None:
        """Find the pictures. Raises DataError where there are none, or LRx4 or `lr` lacks one."""
        self.name = path.resolve().name
        self.files = find_pictures(path)
        beside = path / LR_FOLDER if lr is None else folder_for(self.name, lr)
        self.partners: dict[Path, Path] = {}
        if lr is not None:
            self.lr = str(lr)
            self.partners = LrFolder(beside).partners(self.files)
        elif beside.is_dir():
            self.lr = beside.name
            self.partners = LrFolder(beside).partners(self.files, "; without this folder bicubic makes them all")
        else:
            self.lr = "imresize"

    def __iter__(self) -> Iterator[Pair]:
        """Yield each picture. Raises DataError for one that is too small, or whose lr does not fit it."""
        for file in self.files:
            hr = pixels(file)
            if min(hr.shape[:2]) < SMALLEST:
                size = f"{hr.shape[1]}x{hr.shape[0]}"
                raise DataError(f"{file}: {size}, a side under {SMALLEST} pixels cannot be measured")
            hr = hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE]
            partner = self.partners.get(file)
            if partner is None:
                lr, coding = imresize(hr, scale=1 / SCALE), None
            else:
                lr, coding = _pixels_and_coding(partner)
            if (lr.shape[0] * SCALE, lr.shape[1] * SCALE) != hr.shape[:2]:
                size = f"{lr.shape[1]}x{lr.shape[0]}"
                raise DataError(f"{partner}: {size} is not a quarter of {hr.shape[1]}x{hr.shape[0]}")
            if lr.ndim != hr.ndim:
                raise DataError(f"{partner}: gray where {file.name} has colours, or the other way round")
            yield Pair(file, lr, hr, coding)


def find_pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder, as `pictures_in` does. Raises DataError where there are none."""
    files = pictures_in(folder)
    if not files:
        raise DataError(f"{folder}: no pictures in this folder")
    return files


def pixels(file: Path) -> Picture8:
    """Return the pixels of a file with 8 bits. Raises PictureError where it cannot be read, DataError for more bits."""
    return _pixels_and_coding(file)[0]


def _pixels_and_coding(file: Path) -> tuple[Picture8, Coding | None]:
    found = read_picture(file)
    if found.pixels.dtype != np.uint8:
        raise DataError(f"{file}: measured are pictures of 8 bits")
    return found.pixels.astype(np.uint8, copy=False), found.metadata.coding


def folder_for(name: str, path: Path) -> Path:
    """Return where pictures for the test folder of this name lie: inside a folder, in one that is named so, or in it.

    Raises DataError where there is no such folder.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder")
    return path / name if (path / name).is_dir() else path
