"""`srgan evaluate`: models and benchmark folders in, a table out."""

from pathlib import Path

import click

from srgan import evaluation
from srgan.training.start import default_perceptual, perceptual_metric


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    "folders",
    multiple=True,
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of HR pictures, with their LR in LRx4 or made by bicubic; repeatable.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every score here.")
@click.option("--perceptual", type=click.Path(file_okay=False, path_type=Path), help="Folder with LPIPS's weights.")
@click.option("--precision", default="fp32", show_default=True, help="Arithmetic of the network: fp32, bf16 or auto.")
@click.option("--threads", type=int, help="How many processors to use.")
def evaluate(
    models: tuple[str, ...],
    folders: tuple[Path, ...],
    json_file: Path | None,
    perceptual: Path | None,
    precision: str,
    threads: int | None,
) -> None:
    """Measure MODELs (a shipped name, a file, or bicubic) on folders of pictures."""
    lpips = perceptual_metric(perceptual or default_perceptual())
    results = list(evaluation.evaluate(models, folders, lpips=lpips, precision=precision, threads=threads))
    click.echo(evaluation.table(results))
    if json_file is not None:
        evaluation.write_json(results, json_file)
