"""Train recipes one after the other, export each network, measure all: stopped anywhere, it resumes when called again.

    srgan fetch vgg19 lpips lpips-vgg
    python recipes/reproduce.py recipes/large-batch --data PHOTOGRAPHS --test Set5 --test Set14 --test BSD100

A folder stands for the paper's five networks in it, SRResNet first, from which the three SRGANs start (in recipes/cpu
all four others, from the one that is shipped). RUNS gets a folder for every run, RUNS/weights the networks
(.onnx, .safetensors) with their scores in their cards, RUNS/scores.json all scores of all pictures. SIGTERM and Ctrl-C
save a checkpoint and end it, so that `timeout 540 python recipes/reproduce.py ...` trains for nine minutes at a time;
only decoding the photographs, once, has to fit into that.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from srgan.cli import main as srgan
from srgan.data.folders import TestFolder
from srgan.errors import SrganError
from srgan.training import checkpoint
from srgan.training.recipe import Recipe, read_recipe

PAPER = ("srresnet", "srgan-vgg54", "srgan-mse", "srgan-vgg22", "srresnet-vgg22")


def main() -> int:
    """Read the arguments and go through the recipes. Returns the exit status of the step that failed, or 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipes", nargs="+", type=Path, help="recipes in their order, or a folder of the paper's five")
    parser.add_argument("--data", action="append", required=True, help="as srgan train's; repeatable")
    parser.add_argument(
        "--test", action="append", default=[], help="test folder, as srgan evaluate's --data; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="RUNS")
    parser.add_argument("--perceptual", help="folder with the weights of VGG19 and LPIPS")
    parser.add_argument("--cache", help="folder for decoded pictures")
    parser.add_argument("--trained-on", help="what the data were, and their licences, for the cards")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="for every run"
    )
    arguments = parser.parse_args()
    recipes = [file for path in arguments.recipes for file in (in_order(path) if path.is_dir() else [path])]
    if len({file.stem for file in recipes}) < len(recipes):
        parser.error("two recipes of one name would be one run")
    for file in recipes:  # before hours of training, as are the test folders
        read_recipe(file, arguments.settings)
    names = [TestFolder(Path(folder)).name for folder in arguments.test]
    if len(set(names)) < len(names):
        parser.error("two test folders of one name: their scores could not be told apart")
    weights = arguments.out / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    exports: list[list[str]] = []
    models = ["bicubic"]
    for file in recipes:
        run = arguments.out / file.stem
        if status := train(file, run, arguments):
            return status
        best = run / "checkpoints" / checkpoint.BEST
        files = [weights / f"{file.stem}.onnx", weights / f"{file.stem}.safetensors"]
        exports.append(["export", str(best), *(f"-o{path}" for path in files), *given("trained_on", arguments)])
        models.append(str(files[0]))
        if status := srgan(exports[-1]):
            return status
    if not arguments.test:
        return 0
    scores = arguments.out / "scores.json"
    folders = [f"--data={folder}" for folder in arguments.test]
    if status := srgan(["evaluate", *models, *folders, f"--json={scores}", *given("perceptual", arguments)]):
        return status
    return max(srgan([*command, f"--scores={scores}"]) for command in exports)


def in_order(folder: Path) -> list[Path]:
    """Return the recipes of the paper's networks in a folder, each after the one that it starts from."""
    return [folder / f"{name}.toml" for name in PAPER]


def train(file: Path, run: Path, arguments: argparse.Namespace) -> int:
    """Train a recipe from where its run stopped; nothing where it is done. Returns srgan's exit status."""
    recipe = initial_in(arguments.out, read_recipe(file, arguments.settings))
    done = checkpoint.found(run / "checkpoints")
    if done and int(done[-1].stem) >= recipe.optimiser.patches:
        print(f"{run}: done, {recipe.optimiser.patches:,} patches", flush=True)
        return 0
    print(f"{run}: {int(done[-1].stem) if done else 0:,} of {recipe.optimiser.patches:,} patches", flush=True)
    command = ["train", str(file), f"--out={run}", *(f"--data={source}" for source in arguments.data)]
    command += [
        f"--set={setting}" for setting in (*arguments.settings, f"initial={recipe.initial}", f"shift={recipe.shift}")
    ]
    command += [*given("perceptual", arguments), *given("cache", arguments), *(["--resume"] if done else [])]
    return srgan(command)


def initial_in(runs: Path, recipe: Recipe) -> Recipe:
    """Return the recipe starting from the runs of the same names in `runs`, where it starts from ones in runs/."""

    def place(name: str) -> str:
        start = Path(name)
        return str(runs / start.relative_to("runs")) if start.parts[:1] == ("runs",) else name

    return replace(recipe, initial=place(recipe.initial), shift=[place(name) for name in recipe.shift])


def given(name: str, arguments: argparse.Namespace) -> list[str]:
    """Return an option of this script as an option of srgan, or nothing."""
    value = getattr(arguments, name)
    return [] if value is None else [f"--{name.replace('_', '-')}={value}"]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SrganError, OSError) as error:
        sys.exit(f"error: {error}")
