"""srgan upscale."""

import re
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srgan.cli import Settings, debug_option, pass_settings
from srgan.errors import ArgumentError
from srgan.image.size import Size
from srgan.inference.runtime import PRECISIONS, RUNTIMES

if TYPE_CHECKING:
    from srgan.inference.upscaler import Upscaler

FORMATS = ("png", "jpeg", "webp", "avif", "tiff")

EPILOG = """\b
Examples:
  srgan upscale photo.jpg                    writes photo_x4.png beside it
  srgan upscale photo.jpg -o large.webp      .png, .jpg, .webp, .avif or .tif
  srgan upscale photos scans/*.tif -o large  folders with all below them
  srgan upscale photo.jpg --model srresnet   closest pixel by pixel, less sharp
  srgan upscale photo.jpg --fit 3840x2160    as large as fits into that
  srgan upscale photo.jpg --detail 0.5       between srresnet and srgan
  srgan upscale - -o - < small > large       standard input to standard output
\b
An exit status of 0 says that every picture has its result, 1 that one has
not, 2 that the command was wrong.
"""

GROUPS = {
    "Size": ("scale", "width", "height", "fit", "stretch"),
    "Fidelity or texture": ("model", "detail", "consistent", "confidence"),
    "Results": ("output", "format", "quality", "compression", "strip", "no_provenance", "overwrite"),
    "The network": ("runtime", "precision", "tile", "memory", "threads"),
    "The run": ("log", "max_input_pixels", "max_output_pixels"),
}


_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def sides(_: click.Context | None, __: click.Parameter | None, text: str | None) -> tuple[int, int] | None:
    """Return a width and a height written 1920x1080. Raises BadParameter for what is none."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no width and height: 1920x1080, say")
    return int(found[1]), int(found[2])


def size_in_bytes(_: click.Context | None, __: click.Parameter | None, text: str | None) -> int | None:
    """Return a size with a unit, 2GB or 1.5GiB, in bytes. Raises BadParameter for what is none."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip(), re.IGNORECASE)
    if found is None or found[2].upper() not in _UNITS:
        raise click.BadParameter(f"{text!r} is no size: 2GB, 500MB or 1.5GiB, say")
    return int(float(found[1]) * _UNITS[found[2].upper()])


class _Grouped(click.Command):
    """Shows its options under the headings of GROUPS."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rest = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        for title, names in GROUPS.items():
            group = [parameter for parameter in rest if parameter.name in names]
            rest = [parameter for parameter in rest if parameter not in group]
            with formatter.section(title):
                formatter.write_dl([record for option in group if (record := option.get_help_record(ctx))])
        with formatter.section("Other"):
            formatter.write_dl([record for option in rest if (record := option.get_help_record(ctx))])


@click.command(cls=_Grouped, epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE_OR_DIR",
    help="The folder for the results, made where it lacks, or the file for one result; - for standard output."
    " Default: beside the picture.",
)
@click.option("--format", type=click.Choice(FORMATS), help="Default: what FILE is called, else png.")
@click.option("--quality", type=click.IntRange(1, 100), metavar="N", help="Of jpeg, webp and avif.")
@click.option("--compression", type=click.IntRange(0, 9), metavar="N", help="Of png: 0 quick, 9 small. Default: 1.")
@click.option("--strip", is_flag=True, help="Leave out what pictures carry, EXIF data say, but for the colour profile.")
@click.option("--no-provenance", is_flag=True, help="Do not say in results that a network made them, and which.")
@click.option("--overwrite", is_flag=True, help="Make every result anew, whatever is in its place.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Default: 4.")
@click.option("--width", type=click.IntRange(min=1), metavar="PIXELS", help="The height follows.")
@click.option("--height", type=click.IntRange(min=1), metavar="PIXELS", help="The width follows.")
@click.option("--fit", callback=sides, metavar="WIDTHxHEIGHT", help="As large as fits into that.")
@click.option(
    "--stretch", callback=sides, metavar="WIDTHxHEIGHT", help="Just that, whatever it does to the proportions."
)
@click.option(
    "--detail",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="From srresnet, 0, which invents nothing, to srgan, 1, at the cost of one network.",
)
@click.option(
    "--consistent", is_flag=True, help="Correct results until, made small again, they are the picture they came from."
)
@click.option(
    "--confidence",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write, of one picture, a map of where detail was invented: the difference of srgan and srresnet.",
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
    help="Cut pictures into windows of NxN pixels, 0 for none. Default: the shapes that --memory has room for.",
)
@click.option(
    "--memory",
    callback=size_in_bytes,
    metavar="SIZE",
    help="What to take beside pictures and results: 2GB, say, of the process or of the GPU. Default: 1.2GB, or most of"
    " what is free of the GPU.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Default: all that the process may use.")
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Add to this file a line of JSON for each picture: what became of it, and how long it took.",
)
@click.option("--max-input-pixels", type=click.IntRange(min=1), metavar="N", help="Default: 200 million.")
@click.option("--max-output-pixels", type=click.IntRange(min=1), metavar="N", help="Default: 3000 million.")
@debug_option
@pass_settings
def upscale(
    settings: Settings,
    /,
    inputs: tuple[str, ...],
    output: Path | None,
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
    result of photo.jpg is photo_x4.png; where photo.png is an input as well, the results are photo.jpg_x4.png and
    photo.png_x4.png.

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
        from srgan.cli.progress import PictureBar
        from srgan.image.picture import Limits
        from srgan.image.writing import WriteOptions
        from srgan.inference.batch import Result, upscale_batch
        from srgan.inference.fingerprint import network_settings
        from srgan.inference.jobs import Job, plan_batch
        from srgan.weights import NAMES, find_weights, read_card

        if str(output) == "-" and sys.stdout.isatty():
            raise ArgumentError(
                "standard output is a terminal: send the picture to a file or a program, or give -o FILE"
            )
        limits = Limits(max_input_pixels or Limits.input_pixels, max_output_pixels or Limits.output_pixels)
        options = WriteOptions(format, quality, compression, strip, not no_provenance)
        scale_of_network = read_card(find_weights(model).one)["scale"]
        jobs, errors = plan_batch(inputs, output, size, format)
        if confidence is not None:
            if len(jobs) != 1 or model not in NAMES:
                raise ArgumentError("--confidence is for one picture, by srgan or srresnet")
            jobs = [replace(jobs[0], confidence=confidence)]
        outcome: Counter[str] = Counter()
        lines = stack.enter_context(ResultLog(log)) if log is not None else None
        bar = stack.enter_context(PictureBar(debug=settings.debug))

        def tell(result: Result) -> None:
            outcome[result.status] += 1
            if result.error is not None:
                bar.error(result.error)
            if lines is not None:
                lines.add(result)

        for name, error in errors.items():
            tell(Result(Job(Path(name), None), "failed", error))
        upscaler = upscale_batch(
            jobs,
            loading.result,
            scale_of_network,
            size=size,
            settings=network_settings(
                model, precision=how["precision"], size=size, detail=how["detail"], consistent=how["consistent"]
            ),
            options=options,
            limits=limits,
            overwrite=overwrite,
            progress=bar.update,
            on_result=tell,
        )
    line = f"{_in_words(outcome)} in {time.perf_counter() - start:.1f} s"
    if upscaler is not None:
        network = upscaler.network
        line += f" with {network.runtime} in {network.precision} on {network.device}"
    if len(jobs) == 1 and not outcome["failed"] and jobs[0].target is not None:
        line += f": {click.format_filename(jobs[0].target)}"
    click.echo(line, err=str(output) == "-")
    return 1 if outcome["failed"] else 0


def size_of(
    scale: float | None,
    width: int | None,
    height: int | None,
    fit: tuple[int, int] | None,
    stretch: tuple[int, int] | None,
) -> Size:
    """Return the size that the options mean. Raises ArgumentError for two that do not go together."""
    given = [value for value in (scale, width, height, fit, stretch) if value is not None]
    if len(given) > 1:
        raise ArgumentError("one of --scale, --width, --height, --fit and --stretch says the size, not two")
    if fit is not None or stretch is not None:
        width, height = fit or stretch or (None, None)
    return Size(scale=4 if not given else scale, width=width, height=height, stretch=stretch is not None)


def _load(model: str, how: dict[str, Any]) -> "Upscaler":
    from srgan.inference.upscaler import Upscaler

    return Upscaler(model, **how)


def _in_words(outcome: Counter[str]) -> str:
    anew = f" ({outcome['remade']} of them anew)" if outcome["remade"] else ""
    kept = " (there already)" if outcome["skipped"] else ""
    done = outcome["done"] + outcome["remade"]
    return f"{done} done{anew}, {outcome['skipped']} skipped{kept}, {outcome['failed']} failed"
