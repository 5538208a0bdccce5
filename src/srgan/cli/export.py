"""`srgan export`: a checkpoint in, weights for running and for training on out."""

from pathlib import Path

import click

from srgan.cli import FILE, debug_option


@click.command()
@click.argument("source", metavar="CHECKPOINT", type=FILE)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    required=True,
    metavar="FILE",
    type=FILE,
    help="An .onnx or .safetensors file; repeatable.",
)
@click.option("--name", help="The network's name in its card; the recipe's by default.")
@click.option("--summary", help="What it is, in a line, for the card.")
@click.option("--trained-on", help="What the data were, and their licences, for the card.")
@click.option("--scores", type=FILE, help="Scores from srgan evaluate --json, for the card.")
@click.option(
    "--blend",
    type=(FILE, click.FloatRange(0, 1)),
    metavar="FILE SHARE",
    help="Take this share of each weight from another checkpoint or .safetensors file.",
)
@debug_option
def export(
    source: Path,
    outputs: tuple[Path, ...],
    name: str | None,
    summary: str | None,
    trained_on: str | None,
    scores: Path | None,
    blend: tuple[Path, float] | None,
) -> None:
    """Write the generator of CHECKPOINT (or of a .safetensors file) as ONNX or safetensors."""
    from srgan import export as exporter  # here, so that --help needs none of this

    difference = exporter.export(
        source, outputs, name=name, summary=summary, trained_on=trained_on, scores=scores, blend=blend
    )
    click.echo(f"{', '.join(map(str, outputs))}: within {difference:.2g} of the trained network in float16")
