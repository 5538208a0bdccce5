"""srgan adopt."""

from pathlib import Path

import click

from srgan.cli import FILE, debug_option

EPILOG = """\b
Examples:
  srgan adopt 4x-theirs.onnx -o theirs.onnx
  srgan upscale photo.jpg --model theirs.onnx
  srgan evaluate srgan-plus theirs.onnx --data Set5
\b
The network takes and gives RGB pictures of any size, float32 in 0..1.
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="NETWORK", type=FILE)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=FILE,
    help="The .onnx file to write.",
)
@click.option(
    "--halo",
    type=click.IntRange(min=0),
    metavar="N",
    default=32,
    show_default=True,
    help="How many pixels around each window of a picture are computed with it.",
)
@click.option("--name", help="The network's name in its card; the file's by default.")
@click.option("--summary", default="", help="What it is, in a line, for the card.")
@click.option("--licence", default="not stated", help="Of the weights, for the card.")
@debug_option
def adopt(source: Path, output: Path, halo: int, name: str | None, summary: str, licence: str) -> None:
    """Give NETWORK, an ONNX file of another program's, the card by which it runs here."""
    from srgan.inference import adopt as adopting

    card, seam = adopting.adopt(source, output, halo=halo, name=name, summary=summary, licence=licence)
    click.echo(f"{output}: {card['scale']} times the size; windows are within {seam:.2g} levels of the whole picture")
