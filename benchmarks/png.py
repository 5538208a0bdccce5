"""How long PNG takes to write, and how many bytes, beside Pillow on the same pixels: run it on one core.

taskset -c 0 python benchmarks/png.py examples/pictures/chelsea.png
"""

import argparse
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import srgan
from srgan.errors import SrganError
from srgan.image.picture import Picture
from srgan.image.writing import WriteOptions, write_picture

ROUNDS = 5


def main() -> None:
    """Enlarge a picture, and write the result in both ways, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("picture", type=Path)
    image = srgan.upscale(parser.parse_args().picture).convert("RGB")
    picture = Picture(np.asarray(image))
    print(f"| compression | srgan | Pillow {Image.__version__} | as long as srgan |\n|---|---|---|---|")
    for level in (1, 6):
        options = WriteOptions(compression=level)
        ours, theirs = compared(
            lambda file, options=options: write_picture(picture, file, options),
            lambda file, level=level: image.save(file, "PNG", compress_level=level),
        )
        print(f"| {level} | {ours[0]} | {theirs[0]} | {theirs[1] / ours[1]:.2f} |")


def compared(*ways: Callable[[BytesIO], object]) -> list[tuple[str, float]]:
    """Return of each way its size and median time, in words, and the time."""
    seconds: list[list[float]] = [[] for _ in ways]
    sizes = [0] * len(ways)
    for _ in range(ROUNDS):
        for number, write in enumerate(ways):
            file, start = BytesIO(), time.perf_counter()
            write(file)
            seconds[number].append(time.perf_counter() - start)
            sizes[number] = len(file.getvalue())
    return [
        (f"{size / 1e6:.2f} MB, {median(times):.2f} s", median(times))
        for size, times in zip(sizes, seconds, strict=True)
    ]


if __name__ == "__main__":
    try:
        main()
    except SrganError as error:
        sys.exit(f"png: {error}")
