"""Measure networks on test folders, and put tables, pictures and plots of it into a page of the docs.

    python examples/results.py docs/results.md --data Set5 --data Set14 --data BSD100 --sr krasserm/SRResNet \
        --sr krasserm/SRGAN --crop Set5/img_001:190,200,150,150

The page is Markdown of which only what lies between `<!-- NAME -->` and `<!-- end -->` is written anew: `table SET`
and `pictures`. Beside it, in pictures/, go `PAGE-SET-PICTURE.webp` for every --crop (left, top, width, height in
pixels of the original) and `PAGE-SET.svg`, LPIPS against PSNR; `srgan evaluate` prints the scores with intervals.
"""

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from before_after import box, labelled
from srgan.errors import SrganError
from srgan.evaluation import Meters, SetScores, Shot, evaluate, left_out, write_json
from srgan.evaluation.plot import plot
from srgan.evaluation.published import published
from srgan.evaluation.tables import number
from srgan.perceptual import default_folder
from srgan.weights import NAMES

METRICS = {
    "psnr_y": "PSNR-Y", "ssim_y": "SSIM-Y", "lpips": "LPIPS-Alex", "lpips_vgg": "LPIPS-VGG", "dists": "DISTS",
    "niqe": "NIQE", "lr_psnr": "LR-PSNR", "grid": "grid",
}  # fmt: skip
STYLE = (
    "<style>text{font:12px sans-serif}.grid{stroke:#ddd}.axis{stroke:#333}.error{stroke:#1d5fa8;opacity:.5}"
    ".ours{fill:#1d5fa8}.theirs{fill:none;stroke:#b4540a;stroke-width:1.5}</style>"
    '<rect width="100%" height="100%" fill="white"/>'
)


def main() -> None:
    """Read the arguments, measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--models", nargs="+", default=["bicubic", *reversed(NAMES)])
    parser.add_argument("--data", type=Path, action="append", required=True, help="test folder; repeatable")
    parser.add_argument("--sr", type=Path, action="append", default=[], help="another program's results; repeatable")
    parser.add_argument("--crop", type=crop, action="append", default=[], metavar="SET/PICTURE:LEFT,TOP,WIDTH,HEIGHT")
    parser.add_argument("--metrics", default=",".join(METRICS), help="with commas between them; default: all")
    parser.add_argument("--perceptual", type=Path, help="folder with the learned metrics' weights")
    parser.add_argument("--json", type=Path, help="write every score here as well")
    arguments = parser.parse_args()
    if not arguments.page.is_file():
        parser.error(f"{arguments.page}: no such page")
    names = [short(str(model)) for model in (*arguments.models, *arguments.sr)]
    if twice := {name for name in names if names.count(name) > 1}:
        parser.error(f"two models would both be {min(twice)} in the table")
    metrics = arguments.metrics.split(",")
    if unknown := {*metrics} - METRICS.keys():
        parser.error(f"no column for {min(unknown)}: --metrics takes {', '.join(METRICS)}")
    crops = dict(arguments.crop)
    pictures = arguments.page.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    shown: list[str] = []
    meters = Meters(arguments.perceptual or default_folder(), metrics=metrics)
    with tqdm(unit=" pictures") as bar:

        def watch(shot: Shot) -> None:
            bar.update()
            place = f"{shot.folder}/{shot.pair.file.stem}"
            if place in crops:
                file = pictures / f"{arguments.page.stem}-{place.replace('/', '-')}.webp"
                cut(shot, crops[place]).save(file, quality=92, method=6)
                names = ", ".join([*map(short, shot.results), "original"])
                shown.append(f"![{place}: {names}](pictures/{file.name})")

        results = list(evaluate(arguments.models, arguments.data, made=arguments.sr, meters=meters, watch=watch))
    if missing := left_out(results, meters.metrics):
        parser.error("; ".join(f"no picture of {folder} has {name}: --metrics without it" for name, folder in missing))
    measured = {f"{r.folder}/{Path(score.picture).stem}" for r in results for score in r.scores}
    if unknown := crops.keys() - measured:
        parser.error(f"no picture {min(unknown)} for --crop in {', '.join(dict.fromkeys(r.folder for r in results))}")
    blocks = {"pictures": "\n\n".join(shown)} if shown else {}
    for folder in dict.fromkeys(r.folder for r in results):
        of_set = [replace(r, model=short(r.model)) for r in results if r.folder == folder]
        blocks[f"table {folder}"] = table(of_set)
        svg = plot(of_set, published(folder))
        svg = re.sub(
            r".*?<svg ([^>]*)>(.*)</svg>.*", rf'<svg xmlns="http://www.w3.org/2000/svg" \1>{STYLE}\2</svg>\n', svg
        )
        if svg:  # else one of the two scores was not measured
            (pictures / f"{arguments.page.stem}-{folder}.svg").write_text(svg)
    page = arguments.page.read_text()
    for name, text in blocks.items():
        page, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\1\n{text}\n\n\2", page, flags=re.DOTALL)
        if not count:
            print(f"{arguments.page} has no place for {name}")
    arguments.page.write_text(page)
    if arguments.json is not None:
        write_json(results, arguments.json, meters.checksums)


def crop(text: str) -> tuple[str, list[int]]:
    """Return the place and the box of SET/PICTURE:LEFT,TOP,WIDTH,HEIGHT. Raises ValueError for others."""
    place, _, sides = text.rpartition(":")
    return place, box(sides)


def short(model: str) -> str:
    """Return a model's name, that of its file without the end, of a folder of results its last two parts."""
    path = Path(model)
    return path.stem if path.suffix in (".onnx", ".safetensors") else "/".join(path.parts[-2:])


def table(results: list[SetScores]) -> str:
    """Return the means of models on one folder as a table of Markdown, the best of each column in bold."""
    means = {r.model: r.mean() for r in results}
    metrics = [name for name in METRICS if any(name in mean for mean in means.values())]
    best = {m: (max if m.endswith(("psnr", "_y")) else min)(mean[m] for mean in means.values()) for m in metrics}
    lines = [f"| | {' | '.join(METRICS[m] for m in metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    for model, mean in means.items():
        cells = (number(m, mean[m]) for m in metrics)
        marked = (f"**{cell}**" if mean[m] == best[m] else cell for m, cell in zip(metrics, cells, strict=True))
        lines.append(f"| {model} | {' | '.join(marked)} |")
    return "\n".join(lines)


def cut(shot: Shot, sides: list[int]) -> Image.Image:
    """Return a part of every model's result in a row, and of the original."""
    left, top, width, height = sides
    window = (slice(top, top + height), slice(left, left + width))
    panels = {short(model): sr[window] for model, sr in shot.results.items()} | {"original": shot.pair.hr[window]}
    return labelled({name: panel if panel.ndim == 3 else np.stack([panel] * 3, -1) for name, panel in panels.items()})


if __name__ == "__main__":
    try:
        main()
    except (SrganError, OSError) as error:
        sys.exit(f"results: {error}")
