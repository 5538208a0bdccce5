"""Write what a network makes of photographs, in the sizes that recipes take, for another network to learn from.

    python examples/teach.py --data PHOTOGRAPHS -o taught
    srgan train recipes/cpu/srresnet-compact.toml --data taught/sr --lr taught/lr --out runs/srresnet-compact

In `lr` lie the photographs in each size, made four times as small by MATLAB's bicubic, in `sr` the network's results.
With --noise and --jpeg lr is degraded before the network sees it, as a recipe's `data.noise` and `data.jpeg` have it,
a fifth of the pictures not at all: with `--model srgan-photo` another learns to repair. Without them such a recipe asks
of poor lr what the network makes of it when it is good.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from srgan.data.degradation import Degradation
from srgan.data.pairs import SCALE
from srgan.data.store import default_cache, prepare_store
from srgan.errors import SrganError
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler

LEAST = 64  # pixels a side, of a size of a photograph


def main() -> None:
    """Write both folders."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, nargs="+", action="extend", help="folders or tars of photographs")
    parser.add_argument("--model", default="srgan-plus", help="a shipped name or a weights file: the one that teaches")
    parser.add_argument("--sizes", default=[0.5, 0.35, 0.25, 0.18], nargs="+", type=float, help="1 is their own")
    parser.add_argument("--noise", default=0.0, type=float, help="the most, its standard deviation in levels of 255")
    parser.add_argument("--jpeg", default=(), nargs=2, type=int, help="its lowest and highest quality, of 1 to 100")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that is not there yet")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"{arguments.output} is there already")
    if not all(0 < size <= 1 for size in arguments.sizes):
        parser.error(f"--sizes are above 0 and at most 1, not {arguments.sizes}")
    if not 0 <= arguments.noise < 256:
        parser.error(f"--noise goes from 0 to 255 levels, not {arguments.noise:g}")
    if arguments.jpeg and not 1 <= arguments.jpeg[0] <= arguments.jpeg[1] <= 100:
        parser.error(f"--jpeg takes a lowest and a highest quality of 1 to 100, not {arguments.jpeg}")
    degradation = Degradation(tuple(arguments.jpeg), arguments.noise)
    try:
        teacher = Upscaler(arguments.model)
        store = prepare_store(arguments.data, default_cache(), min_side=LEAST, sizes=arguments.sizes)
    except SrganError as error:
        parser.error(str(error))
    entries = [entry for entry in store.entries if entry.size in arguments.sizes]
    if not entries:
        parser.error(f"no photograph has {LEAST} pixels a side in any of --sizes {arguments.sizes}")
    folders = [arguments.output / name for name in ("lr", "sr")]
    for folder in folders:
        folder.mkdir(parents=True)
    for number, entry in enumerate(tqdm(entries, unit=" pictures")):
        height, width = entry.lr_shape
        lr = imresize(store.picture(entry)[: SCALE * height, : SCALE * width], scale=1 / SCALE)
        if degradation:
            lr = degradation(lr, np.random.default_rng(number))
        for folder, pixels in zip(folders, (lr, teacher.upscale(lr)), strict=True):
            Image.fromarray(pixels).save(folder / f"{number:06d}.png", compress_level=1)


if __name__ == "__main__":
    try:
        main()
    except (OSError, SrganError) as error:
        sys.exit(f"teach: {error}")
