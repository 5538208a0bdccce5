"""What other programs' networks make of test folders, as pictures that `srgan evaluate --sr` measures."""

import argparse
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.data.folders import TestFolder
from srgan.errors import SrganError

Upscale = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From lr (3, h, w) to sr (3, 4h, 4w), RGB with 1.0 as white."""


def make(description: str, networks: Callable[[Path], Mapping[str, Upscale]]) -> None:
    """Run a wheel's networks, by their names, on the folders that the command line says: OUTPUT/NAME/FOLDER."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="test folder; repeatable")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        loaded = networks(arguments.wheel)
        for folder in map(TestFolder, arguments.data):
            write(folder, loaded, arguments.output)
    except (OSError, SrganError, zipfile.BadZipFile) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")


def write(folder: TestFolder, networks: Mapping[str, Upscale], output: Path) -> None:
    """Write what networks make of a folder's pictures: OUTPUT/NAME/FOLDER."""
    for pair in folder:
        rgb = pair.lr if pair.lr.ndim == 3 else np.stack([pair.lr] * 3, axis=-1)
        lr = np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / 255
        for name, upscale in networks.items():
            place = output / name / folder.name
            place.mkdir(parents=True, exist_ok=True)
            sr = (upscale(lr).transpose(1, 2, 0) * 255).round().clip(0, 255).astype(np.uint8)
            Image.fromarray(sr).save(place / f"{pair.file.stem}.png", compress_level=1)
        print(f"{folder.name}/{pair.file.name}", flush=True)
