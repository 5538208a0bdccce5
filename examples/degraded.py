"""Copy a test folder with low-resolution pictures blurred, with noise or saved with loss, for `srgan evaluate --data`.

python examples/degraded.py Set14 -o Set14-q50 --quality 50
python examples/degraded.py Set14 -o Set14-q50q95 --quality 50 95
srgan evaluate bicubic srgan-plus srgan-photo --data Set14-q50
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from srgan.data.degradation import with_blur, with_noise
from srgan.data.folders import TestFolder
from srgan.errors import SrganError


def main() -> None:
    """Write the folder, the originals as they are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="test folder, with LRx4 or without")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that is not there yet")
    parser.add_argument("--quality", type=int, nargs="+", help="1 to 100, or several of them in turn; else PNG")
    parser.add_argument("--codec", choices=("jpg", "webp", "avif"), default="jpg", help="of what; JPEG's by default")
    parser.add_argument("--blur", type=float, default=0, help="the standard deviation of a Gaussian in pixels")
    parser.add_argument("--noise", type=float, default=0, help="its standard deviation in levels of 255")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"{arguments.output} is there already")
    if arguments.codec != "jpg" and not arguments.quality:
        parser.error("--codec needs --quality")
    for quality in arguments.quality or ():
        if not 1 <= quality <= 100:
            parser.error(f"--quality goes from 1 to 100, not {quality}")
    if not 0 <= arguments.blur < 16:
        parser.error(f"--blur goes from 0 to 15 pixels, not {arguments.blur:g}")
    if not 0 <= arguments.noise < 256:
        parser.error(f"--noise goes from 0 to 255 levels, not {arguments.noise:g}")
    try:
        pairs = list(TestFolder(arguments.data))
    except SrganError as error:
        parser.error(str(error))
    if arguments.codec == "webp" and (gray := [pair.file for pair in pairs if pair.lr.ndim == 2]):
        parser.error(f"{gray[0]}: gray, which WebP has not")
    small = arguments.output / "LRx4"
    small.mkdir(parents=True)
    for number, pair in enumerate(pairs):
        blurred = with_blur(pair.lr, arguments.blur)
        lr = Image.fromarray(with_noise(blurred, arguments.noise, np.random.default_rng(number)))
        if arguments.quality is None:
            lr.save(small / f"{pair.file.stem}.png")
        place = small / f"{pair.file.stem}.{arguments.codec}"
        for quality in arguments.quality or ():
            lr.save(place, quality=quality)
            with Image.open(place) as kept:
                lr = kept.copy()
        shutil.copy(pair.file, arguments.output)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"degraded: {error}")
