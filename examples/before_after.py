"""Upscale a picture and put a part of it, at pixel size, beside what plain bicubic makes of it.

    python examples/before_after.py PICTURE --crop LEFT,TOP,WIDTH,HEIGHT -o FOLDER

The crop is in pixels of PICTURE. With --original PICTURE is a photograph that is first made four times as small,
so that the network's result stands beside the truth. --quality saves what is upscaled as JPEG first, as the web does;
--blur puts it out of focus before that, and --noise has it taken in little light.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from srgan import Upscaler
from srgan.data.degradation import as_jpeg, with_blur, with_noise
from srgan.errors import SrganError
from srgan.image.picture import image_from_picture
from srgan.image.reading import read_picture
from srgan.image.resize import imresize
from srgan.weights import NAMES


def main() -> None:
    """Read the arguments, upscale, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--crop", type=box, required=True, help="left,top,width,height in pixels of the picture")
    parser.add_argument("--models", nargs="+", default=[NAMES[0]], help="names, or .onnx and .safetensors files")
    parser.add_argument("--original", action="store_true", help="shrink the picture first and show the original too")
    parser.add_argument("--blur", type=float, default=0, help="the standard deviation of a Gaussian in pixels")
    parser.add_argument("--noise", type=float, default=0, help="its standard deviation in levels of 255")
    parser.add_argument("--quality", type=int, help="of JPEG, 1 to 100, which is upscaled")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    arguments = parser.parse_args()

    picture = np.asarray(image_from_picture(read_picture(arguments.picture)).convert("RGB"))
    step = 4 if arguments.original else 1
    rows, columns = (side // step for side in picture.shape[:2])
    left, top, width, height = (n // step for n in arguments.crop)
    if not (0 <= left < left + width <= columns and 0 <= top < top + height <= rows):
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        parser.error(f"--crop is not inside of the picture, which has {size} pixels, or shows nothing of it")
    lr = imresize(picture[: 4 * rows, : 4 * columns], scale=1 / 4) if arguments.original else picture
    if not 0 <= arguments.blur < 16:
        parser.error(f"--blur goes from 0 to 15 pixels, not {arguments.blur:g}")
    if not 0 <= arguments.noise < 256:
        parser.error(f"--noise goes from 0 to 255 levels, not {arguments.noise:g}")
    lr = with_noise(with_blur(lr, arguments.blur), arguments.noise, np.random.default_rng(0))
    if arguments.quality is not None:
        if not 1 <= arguments.quality <= 100:
            parser.error(f"--quality goes from 1 to 100, not {arguments.quality}")
        lr = as_jpeg(lr, arguments.quality)

    models = {Path(model).stem: model for model in arguments.models}
    if len(models) < len(arguments.models):
        parser.error("--models: two of a name")
    panels = {"bicubic": imresize(lr, scale=4.0)}
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        upscaler = Upscaler(model)
        start = time.perf_counter()
        panels[name] = upscaler.upscale(lr)
        seconds = time.perf_counter() - start
        result = arguments.output / f"{arguments.picture.stem}_{name}_x4.png"
        Image.fromarray(panels[name]).save(result, compress_level=1)
        size = f"{lr.shape[1]}x{lr.shape[0]} to {panels[name].shape[1]}x{panels[name].shape[0]}"
        print(f"{result}: {size} in {seconds:.1f} s")
    if arguments.original:
        panels["original"] = picture
    window = (slice(4 * top, 4 * (top + height)), slice(4 * left, 4 * (left + width)))
    beside = arguments.output / f"{arguments.picture.stem}_before_after.png"
    labelled({name: panel[window] for name, panel in panels.items()}).save(beside)
    print(f"{beside}: {', '.join(panels)}, side by side")


def box(text: str) -> list[int]:
    """Return the numbers of left,top,width,height. Raises ValueError for others."""
    left, top, width, height = (int(number) for number in text.split(","))
    return [left, top, width, height]


def labelled(panels: dict[str, NDArray[np.uint8]]) -> Image.Image:
    """Return the panels in a row, each with its name above it, as large as there is room for."""
    gap, band = 6, 26
    height, width = next(iter(panels.values())).shape[:2]
    sheet = Image.new("RGB", (len(panels) * (width + gap) - gap, height + band), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (name, panel) in enumerate(panels.items()):
        size = min(16, max(1, 16 * (width - 2) / draw.textlength(name, font=ImageFont.load_default(16))))
        draw.text((i * (width + gap) + 2, 3), name, fill="black", font=ImageFont.load_default(size))
        sheet.paste(Image.fromarray(np.ascontiguousarray(panel)), (i * (width + gap), band))
    return sheet


if __name__ == "__main__":
    try:
        main()
    except (SrganError, OSError) as error:
        sys.exit(f"before_after: {error}")
