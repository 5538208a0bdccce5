"""Which lever of srgan-plus pays: each trained alone from one start on the same patches, scored on held-out pictures.

    python benchmarks/levers.py --data PHOTOGRAPHS --perceptual FOLDER --out runs/levers --table runs/levers/table.md

First the start, the small generator of recipes/smoke.toml on the pixel loss; then recipes/srgan-plus-small.toml as it
is, and with each lever's settings. Every run has a folder of its own under --out: the same command again goes on where
it was stopped, and what is finished is only read. The table is written anew after every run.

The scores are those of the averaged generator on the middle of pictures held out of training. The base is trained
again with another seed, and what lies between the two is chance. A lever that draws on LPIPS itself is marked: DISTS
alone can judge it.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from given import positive
from srgan.atomic import written_whole
from srgan.errors import SrganError, TrainingError
from srgan.training import checkpoint
from srgan.training.run import run
from srgan.training.watch import read_log

RECIPES = Path(__file__).parents[1] / "recipes"
SCORES = {"psnr_y": "PSNR-Y", "lpips": "LPIPS-Alex", "dists": "DISTS", "lr_psnr": "LR-PSNR"}
DIGITS = {"psnr_y": 2, "lpips": 4, "dists": 4, "lr_psnr": 2}

FIVE = 'loss.content_layers={"1,2"=0.1, "2,2"=0.1, "3,4"=1.0, "4,4"=1.0, "5,4"=1.0}'
BEFORE, ABSOLUTE = "loss.content_activated=false", "loss.content_distance=l1"
UNET = ("discriminator.kind=unet", "discriminator.spectral=true")
TOGETHER = (
    "network=srresnet_mini_plain_x4", *UNET, FIVE, BEFORE, ABSOLUTE,
    "loss.consistency=10.0", "loss.artefacts=30.0", "loss.wavelet=0.5", "loss.grid=1.0",
)  # fmt: skip


@dataclass(frozen=True)
class Lever:
    """What is changed in the base's recipe, and what for."""

    name: str
    expected: str
    settings: tuple[str, ...]


# Weights give a new term a tenth to a half of the content loss's gradient, as measured at srgan's weights. Spectral
# norm keeps a discriminator's slope small: after 60 steps its gradient was 30 to 200 times less than the base's.
LEVERS = (
    Lever("base", "SRGAN, VGG22 and VGG54", ()),
    Lever("base, another seed", "chance", ("run.seed=1",)),
    Lever("five layers before activation, L1", "ESRGAN's features: structure and texture at all depths", (
        FIVE, BEFORE, ABSOLUTE, "loss.adversarial=2e-3",
    )),
    Lever("together", "the first srgan-plus in small", (*TOGETHER, "loss.adversarial=5e-3")),
    Lever("together, weaker adversary", "the same, nearer to the pixels", (*TOGETHER, "loss.adversarial=2e-3")),
    Lever("together, stronger adversary", "the same, sharper", (*TOGETHER, "loss.adversarial=2e-2")),
    Lever("U-Net, spectral norm", "feedback for each pixel: texture in its place", (*UNET, "loss.adversarial=1e-2")),
    Lever("patch discriminator, spectral norm", "local feedback, no dense layers", (
        "discriminator.kind=patch", "discriminator.spectral=true", "loss.adversarial=5e-3",
    )),
    Lever("heads on VGG19's maps, spectral norm", "knows textures from the first step on (Projected GAN)", (
        "discriminator.kind=features", "discriminator.spectral=true", "loss.adversarial=2e-2",
    )),
    Lever("spectral norm", "a steadier discriminator than with batch norm", (
        "discriminator.spectral=true", "loss.adversarial=1e-2",
    )),
    Lever("relativistic", "sharper edges (ESRGAN)", ("loss.adversarial_kind=relativistic", "loss.adversarial=6e-4")),
    Lever("hinge", "gradients that do not fade", ("loss.adversarial_kind=hinge",)),
    Lever("no batch norm", "no artefacts of batch statistics (ESRGAN)", ("network=srresnet_mini_plain_x4",)),
    Lever("weaker adversary", "the exchange of LPIPS for PSNR-Y, to compare with", ("loss.adversarial=3e-4",)),
    Lever("features before activation", "denser features (ESRGAN)", (BEFORE,)),
    Lever("five layers before activation", "ESRGAN's layers, squared", (FIVE, BEFORE)),
    Lever("pixel L1", "fidelity", ("loss.pixel=0.5", "loss.pixel_distance=l1")),
    Lever("pixel MSE", "fidelity, colours", ("loss.pixel=1.0",)),
    Lever("artefact map", "fewer artefacts (LDL)", ("loss.artefacts=30.0",)),
    Lever("consistency", "LR-PSNR, at no cost in texture", ("loss.consistency=10.0",)),
    Lever("Fourier", "the right amount of texture (Fuoli et al.)", ("loss.fourier=0.01",)),
    Lever("wavelet, low band", "fidelity that leaves texture alone (WGSR)", ("loss.wavelet=0.5",)),
    Lever("grid", "no regular pattern in flat areas", ("loss.grid=1.0",)),
    Lever("discriminator twice as fast", "two time scales", ("discriminator.learning_rate_factor=2.0",)),
    Lever("LPIPS with VGG16 (marked)", "better LPIPS by construction; DISTS judges", ("loss.lpips=0.03",)),
    Lever("DISTS (marked)", "texture wherever it lies; LPIPS judges", ("loss.dists=0.05",)),
    Lever("patches of 96", "more context; 2.25 times the work", ("data.patch_size=96",)),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its last scores and the minutes that it took, or why it failed."""

    lever: Lever
    scores: dict[str, float]
    minutes: float = 0.0
    failure: str = ""

    def row(self) -> str:
        """Return the table's line."""
        numbers = [f"{self.scores[name]:.{DIGITS[name]}f}" if name in self.scores else "" for name in SCORES]
        minutes = f"{self.minutes:.1f}" if self.scores else self.failure
        settings = ", ".join(f"`{setting}`" for setting in self.lever.settings)
        return f"| {self.lever.name} | {self.lever.expected} | {' | '.join(numbers)} | {minutes} | {settings} |"


def main() -> None:
    options = arguments()
    chosen = [lever for lever in LEVERS if not options.only or any(part in lever.name for part in options.only)]
    if not chosen:
        sys.exit(f"levers: no lever's name contains {' or '.join(options.only)}")
    start = options.start or trained(options, options.smoke, "start", [f"optimiser.patches={options.start_patches}"])
    outcomes: list[Outcome] = []
    for number, lever in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {lever.name}", file=sys.stderr, flush=True)
        folder = re.sub(r"[^a-z0-9]+", "-", lever.name.lower()).strip("-")
        settings = [f"initial={start}", f"optimiser.patches={options.patches}", *options.settings, *lever.settings]
        try:
            trained(options, options.recipe, folder, settings)
            outcomes.append(outcome(lever, options.out / folder))
        except TrainingError as error:
            if str(error).startswith("stopped"):
                raise
            outcomes.append(Outcome(lever, {}, failure=str(error)))
        table = written_table(outcomes, bicubic(options.out / folder), options.patches)
        with written_whole(options.table) as file:
            file.write(table.encode())
    print(table)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", nargs="+", action="extend", required=True, help="over 16 photographs, as for srgan train"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="the Markdown file to write")
    parser.add_argument("--perceptual", type=Path, help="folder with the weights of VGG19 and LPIPS")
    parser.add_argument("--cache", type=Path, help="folder for decoded pictures")
    parser.add_argument("--recipe", type=Path, default=RECIPES / "srgan-plus-small.toml", help="the base")
    parser.add_argument("--smoke", type=Path, default=RECIPES / "smoke.toml", help="the start's recipe")
    parser.add_argument("--start", type=Path, help="a checkpoint or .safetensors file to start from instead")
    parser.add_argument("--start-patches", type=positive, default=60_000)
    parser.add_argument("--patches", type=positive, default=4_000, help="of each lever's run")
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="PART", help="levers whose names contain one of these"
    )
    parser.add_argument(
        "--set", dest="settings", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="for every lever"
    )
    return parser.parse_args()


def trained(options: argparse.Namespace, recipe: Path, folder: str, settings: Sequence[str]) -> Path:
    """Train, or go on with it, in a folder of --out, and return the last checkpoint."""
    out = options.out / folder
    return run(
        recipe,
        options.data,
        out,
        settings=settings,
        resume=bool(checkpoint.found(out / "checkpoints")),
        perceptual=options.perceptual,
        cache=options.cache,
    )


def outcome(lever: Lever, folder: Path) -> Outcome:
    """Read a finished run's log."""
    lines = read_log(folder)
    scores = [line for line in lines if line["kind"] == "validation"][-1]
    seconds = [line["seconds"] for line in lines if line["kind"] == "train"][-1]
    return Outcome(lever, {name: scores[name] for name in SCORES if name in scores}, seconds / 60)


def bicubic(folder: Path) -> dict[str, float]:
    """Return bicubic's scores on the same pictures."""
    return next(line for line in read_log(folder) if line["kind"] == "bicubic")


def written_table(outcomes: Sequence[Outcome], bicubic: dict[str, float], patches: int) -> str:
    """Return the outcomes as Markdown."""
    lines = [
        f"Each run: {patches} patches from one start, benchmarks/levers.py.",
        "",
        f"| lever | expected | {' | '.join(SCORES.values())} | minutes | settings |",
        "|---|---|" + "---|" * len(SCORES) + "---|---|",
        Outcome(Lever("bicubic", "", ()), {name: bicubic[name] for name in SCORES if name in bicubic}).row(),
        *(outcome.row() for outcome in outcomes),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        main()
    except SrganError as error:
        sys.exit(f"levers: {error}")
