"""srgan upscale."""

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srgan.cli import FILE, NamedPath, Settings, debug_option, pass_settings
from srgan.cli.options import LIMITS, NETWORK, RESULTS, SIZE, TEXTURE, Grouped, options, size_of
from srgan.errors import ArgumentError, OutputError, PictureError
from srgan.weights import FAITHFUL, NAMES, choose, find_weights, read_card

if TYPE_CHECKING:
    from srgan.inference.upscaler import Upscaler

EPILOG = """\b
Examples:
  srgan upscale photo.jpg                    writes photo_x4.png beside it
  srgan upscale photo.jpg -o large.webp      .png, .jpg, .webp, .avif or .tif
  srgan upscale photos scans/*.tif -o large  folders with all below them
  srgan upscale photos --format same         a JPEG of a JPEG, a TIFF of a TIFF
  srgan upscale web.png --model srgan-photo  noise and JPEG's blocks stay behind
  srgan upscale soft.jpg --repair 2          srgan-deblur: blur stays behind as well
  srgan upscale photos --model auto-fast     in a seventh of the time
  srgan upscale photo.jpg --model srresnet   closest pixel by pixel, less sharp
  srgan upscale photo.jpg --fit 3840x2160    as large as fits into that
  srgan upscale photo.jpg --detail 0.5       between srresnet and srgan-plus
  srgan upscale - -o - < small > large       standard input to standard output
\b
An exit status of 0 says that every picture has its result, 1 that one has
not, 2 that the command was wrong.
"""

GROUPS = {
    "Size": ("scale", "width", "height", "fit", "stretch"),
    "Fidelity or texture": ("model", "detail", "repair", "consistent", "ensemble", "seamless", "confidence"),
    "Results": ("output", "suffix", "format", "quality", "compression", "strip", "no_provenance", "overwrite"),
    "The network": ("runtime", "precision", "tile", "memory", "threads"),
    "The run": ("log", "max_input_pixels", "max_output_pixels"),
}


@click.command(cls=Grouped, groups=GROUPS, epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=NamedPath(path_type=Path, allow_dash=True),
    metavar="FILE_OR_DIR",
    help="The folder for the results, made where it lacks, or the file for one result; - for standard output."
    " Default: beside the picture.",
)
@options(RESULTS, SIZE, TEXTURE)
@click.option(
    "--confidence",
    type=FILE,
    metavar="FILE",
    help=f"Write, of one picture, a map of where detail was invented: the difference of its result and {FAITHFUL}'s.",
)
@options(NETWORK)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Default: all that the process may use.")
@click.option(
    "--log",
    type=FILE,
    metavar="FILE",
    help="Add to this file a line of JSON for each picture: what became of it, and how long it took.",
)
@options(LIMITS)
@debug_option
@pass_settings
def upscale(
    settings: Settings,
    /,
    inputs: tuple[str, ...],
    output: Path | None,
    suffix: str | None,
    format: str | None,  # noqa: A002
    quality: int | None,
    compression: int | None,
    strip: bool,
    no_provenance: bool,
    overwrite: bool,
    scale: float | None,
    width: int | None,
    height: int | None,
    fit: tuple[int, int] | None,
    stretch: tuple[int, int] | None,
    confidence: Path | None,
    model: str,
    log: Path | None,
    max_input_pixels: int | None,
    max_output_pixels: int | None,
    **how: Any,
) -> int:
    """Make pictures four times as wide and high, or of another size.

    INPUT is a picture, a folder with pictures in it or below, a glob in quotes, or - for standard input. The
    result of photo.jpg is photo_x4.png; where photo.png lies beside it, an input or not, it is photo.jpg_x4.png.

    A result that is there already is kept where the same picture and options made it, and made anew where others
    did. Another file in its place is kept, and that is an error.
    """
    start = time.perf_counter()
    if "openvino" not in sys.modules:
        sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]  # its converter: 90 ms to import, unused
    with ExitStack() as stack:
        # the network is loaded while the rest is imported and the first picture decoded
        size = size_of(scale, width, height, fit, stretch)
        loading = stack.enter_context(ThreadPoolExecutor(1, "srgan-load")).submit(_load, model, how | {"size": size})

        from srgan.cli.log import ResultLog  # here, so that --help needs none of this
        from srgan.cli.progress import PictureBar, in_words
        from srgan.image.picture import Limits
        from srgan.image.seamless import margin_of
        from srgan.image.writing import WriteOptions
        from srgan.inference.batch import Result, upscale_batch
        from srgan.inference.fingerprint import network_settings
        from srgan.inference.jobs import Job, plan_batch
        from srgan.inference.upscaler import condition_for

        if "-" in inputs and sys.__stdin__ is None:
            raise PictureError("standard input: cannot be read: it is closed")
        if str(output) == "-" and sys.__stdout__ is None:
            raise OutputError("standard output: cannot be written: it is closed")
        if str(output) == "-" and sys.stdout.isatty():
            raise ArgumentError(
                "standard output is a terminal: send the picture to a file or a program, or give -o FILE"
            )
        limits = Limits(max_input_pixels or Limits.input_pixels, max_output_pixels or Limits.output_pixels)
        writing = WriteOptions(format, quality, compression, strip, not no_provenance)
        network = choose(model, how["detail"], how["repair"]).model
        card = read_card(find_weights(network).one)
        if confidence is not None and network not in NAMES:
            raise ArgumentError(f"--confidence compares {', '.join(NAMES)}; {model} is none of them")
        if suffix == "" and no_provenance and output is not None:
            for place in map(Path, inputs):
                if place.is_dir() and output.resolve().is_relative_to(place.resolve()):
                    raise ArgumentError(f"nothing would tell the results in {output} from the pictures in {place}")
        jobs, errors = plan_batch(inputs, output, size, format, confidence, suffix)
        outcome: Counter[str] = Counter()
        networks: Counter[str] = Counter()
        lines = stack.enter_context(ResultLog(log)) if log is not None else None
        bar = stack.enter_context(PictureBar(debug=settings.debug))

        def tell(result: Result) -> None:
            outcome[result.status] += 1
            if result.model is not None:
                networks[result.model] += 1
            if result.error is not None:
                bar.error(result.error)
            if lines is not None:
                lines.add(result)

        for name, error in errors.items():
            tell(Result(Job(Path(name), None), "failed", error))
        upscaler = upscale_batch(
            jobs,
            loading.result,
            card["scale"],
            size=size,
            settings=network_settings(
                model,
                precision=how["precision"],
                size=size,
                detail=how["detail"],
                repair=how["repair"],
                consistent=how["consistent"],
                ensemble=how["ensemble"],
                seamless=how["seamless"],
            ),
            options=writing,
            limits=limits,
            overwrite=overwrite,
            look=partial(condition_for, model, how["detail"], how["repair"], consistent=how["consistent"]),
            around=margin_of(card["halo"], card["scale"], consistent=how["consistent"], seamless=how["seamless"]),
            progress=bar.update,
            on_result=tell,
        )
    line = f"{in_words(outcome)} in {time.perf_counter() - start:.1f} s"
    if upscaler is not None and networks:
        loaded = upscaler.network
        made_by = " and ".join(f"{name} ({count})" if len(networks) > 1 else name for name, count in networks.items())
        line += f" with {made_by}, {loaded.runtime} in {loaded.precision} on {loaded.device}"
    if len(jobs) == 1 and not outcome["failed"] and jobs[0].target is not None:
        line += f": {click.format_filename(jobs[0].target)}"
    click.echo(line, err=str(output) == "-")
    return 1 if outcome["failed"] else 0


def _load(model: str, how: dict[str, Any]) -> "Upscaler":
    from srgan.inference.upscaler import Upscaler

    return Upscaler(model, **how)
