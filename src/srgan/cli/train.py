"""`srgan train`: a recipe and photographs in, checkpoints out."""

import os
from pathlib import Path

import click

from srgan.cli import FILE, FOLDER, debug_option


@click.command()
@click.argument("recipe", type=FILE)
@click.option(
    "--data",
    "sources",
    multiple=True,
    required=True,
    help="Folder, tar, picture, glob or store of HR photographs; repeatable.",
)
@click.option(
    "--originals",
    multiple=True,
    help="Photographs to train on in their own size, grain and all, whatever data.sizes says, as often as named.",
)
@click.option(
    "--lr",
    type=FOLDER,
    help="Folder of LR pictures to train on in place of bicubic's, named like those of --data, or with x4 behind, in"
    " folders like theirs or in none.",
)
@click.option(
    "--validate",
    "validation",
    type=FOLDER,
    help="Test folder to validate on, as srgan evaluate has it; no photograph is held out then.",
)
@click.option("--out", type=FOLDER, required=True, help="Folder of the run.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the recipe, e.g. optimiser.batch_size=32.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the run's folder.")
@click.option("--perceptual", type=FOLDER, help="Folder with the weights of VGG19 and LPIPS.")
@click.option("--cache", type=FOLDER, help="Folder for decoded pictures.")
@debug_option
def train(
    recipe: Path,
    sources: tuple[str, ...],
    originals: tuple[str, ...],
    lr: Path | None,
    validation: Path | None,
    out: Path,
    settings: tuple[str, ...],
    resume: bool,
    perceptual: Path | None,
    cache: Path | None,
) -> None:
    """Train the network of RECIPE, a TOML file, on photographs."""
    from srgan.memory import keep_freed_memory  # here, so that --help needs none of this
    from srgan.training.run import run

    keep_freed_memory()
    last = run(
        recipe,
        sources,
        out,
        originals=originals,
        lr=lr,
        validation=validation,
        settings=settings,
        resume=resume,
        perceptual=perceptual,
        cache=cache,
    )
    if os.environ.get("RANK", "0") == "0":  # the first of the processes of torchrun
        click.echo(last)
