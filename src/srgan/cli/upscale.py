"""srgan upscale."""

import time
from pathlib import Path

import click

from srgan.cli import Settings, debug_option, pass_settings
from srgan.inference.runtime import PRECISIONS, RUNTIMES

EPILOG = """\b
Examples:
  srgan upscale photo.jpg                    writes photo_x4.png beside it
  srgan upscale photo.jpg -o large.webp      .png, .jpg or .webp
  srgan upscale photos scans/*.tif -o large  folders with all below them
  srgan upscale photo.jpg --model srresnet   closest pixel by pixel, less sharp
\b
An exit status of 0 says that every picture has its result, 1 that one has
not, 2 that the command was wrong.
"""


@click.command(epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE_OR_DIR",
    help="The folder for the results, made where it lacks, or the file for one result. Default: beside the picture.",
)
@click.option("--model", default="srgan", show_default=True, help="srgan, srresnet, or an .onnx or .safetensors file.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", *RUNTIMES]),
    default="auto",
    show_default=True,
    help="auto: torch where there is CUDA, else openvino, else onnxruntime (whose execution provider"
    " SRGAN_ONNXRUNTIME_PROVIDER can name).",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="auto: bf16 where the hardware has it.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=0),
    metavar="N",
    help="Cut pictures into windows of NxN pixels, 0 for none. Default: shapes that bound the memory.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Default: all that the process may use.")
@click.option("--overwrite", is_flag=True, help="Make results anew that are there already.")
@debug_option
@pass_settings
def upscale(
    settings: Settings,
    inputs: tuple[str, ...],
    output: Path | None,
    model: str,
    runtime: str,
    precision: str,
    tile: int | None,
    threads: int | None,
    overwrite: bool,
) -> int:
    """Make pictures four times as wide and high.

    INPUT is a picture, a folder with pictures in it or below, or a glob in quotes. The result of photo.jpg is
    photo_x4.png; where photo.png is an input as well, the results are photo.jpg_x4.png and photo.png_x4.png.
    Results that are there already are kept.
    """
    from srgan.cli.progress import PictureBar  # here, so that --help needs none of this
    from srgan.inference.batch import upscale_files
    from srgan.inference.upscaler import Upscaler

    start = time.perf_counter()
    upscaler = Upscaler(model, runtime=runtime, precision=precision, tile=tile, threads=threads)
    with PictureBar(debug=settings.debug) as bar:
        outcome = upscale_files(upscaler, inputs, output, overwrite=overwrite, progress=bar.update, on_error=bar.error)
    seconds = time.perf_counter() - start
    network = upscaler.network
    kept = " (there already; --overwrite makes them anew)" if outcome.skipped else ""
    line = f"{len(outcome.done)} done, {len(outcome.skipped)} skipped{kept}, {len(outcome.errors)} failed"
    line += f" in {seconds:.1f} s with {network.runtime} in {network.precision} on {network.device}"
    results = outcome.done + outcome.skipped
    click.echo(f"{line}: {click.format_filename(results[0])}" if len(results) == 1 else line)
    return 1 if outcome.errors else 0
