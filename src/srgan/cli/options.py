"""Options that several commands have: what results are made by, and how they are written."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from srgan.errors import ArgumentError
from srgan.image.size import Size
from srgan.inference.runtime import PRECISIONS, RUNTIMES
from srgan.weights import (
    AUTO,
    AUTO_FAST,
    AUTOS,
    DEBLURRING,
    FAITHFUL,
    FAST,
    FAST_DEBLURRING,
    FAST_REPAIRING,
    NAMES,
    REPAIRING,
    SHARP,
    auto_in_words,
)

FORMATS = ("png", "jpeg", "webp", "avif", "tiff")
SAME = "same"
MOST_OF_A_NAME = 50
ALSO = {"jpg": "jpeg", "tif": "tiff"}
ELSEWHERE = {
    "-s": "--scale",
    "-z": "--scale",
    "--outscale": "--scale",
    "-w": "--width",
    "-r": "--fit",
    "-n": "--model",
    "-m": "--model",
    "--model_name": "--model",
    "-x": "--ensemble",
    "--tta": "--ensemble",
    "-f": "--format",
    "--ext": "--format",
    "-q": "--quality",
    "-c": "--compression",
    "-t": "--tile",
    "--tile-size": "--tile",
    "--fp32": "--precision fp32",
    "-j": "--threads",
}
"""What Real-ESRGAN's, waifu2x's and Upscayl's programs call what is meant by these options."""

_F = TypeVar("_F", bound=Callable[..., Any])

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def sides(_: click.Context | None, __: click.Parameter | None, text: str | None) -> tuple[int, int] | None:
    """Return a width and a height written 1920x1080. Raises BadParameter for what is none."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,18})[xX](\d{1,18})", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no width and height: 1920x1080, say")
    return int(found[1]), int(found[2])


def size_in_bytes(_: click.Context | None, __: click.Parameter | None, text: str | None) -> int | None:
    """Return a size with a unit, 2GB or 1.5GiB, in bytes. Raises BadParameter for what is none."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([a-z]*)", text.strip(), re.IGNORECASE)
    if found is None or found[2].upper() not in _UNITS:
        raise click.BadParameter(f"{text!r} is no size: 2GB, 500MB or 1.5GiB, say")
    size = int(float(found[1]) * _UNITS[found[2].upper()])
    if not size:
        raise click.BadParameter(f"{text!r} is nothing")
    return size


def format_of(_: click.Context | None, __: click.Parameter | None, text: str | None) -> str | None:
    """Return a format by its name, or by the shorter of its suffixes."""
    return None if text is None else ALSO.get(text, text)


def part_of_a_name(_: click.Context | None, __: click.Parameter | None, text: str | None) -> str | None:
    """Return what may stand in a file's name anywhere. Raises BadParameter for what may not."""
    if text is not None and (re.search(r'[/\\:*?"<>|\x00-\x1f]', text) or len(text) > MOST_OF_A_NAME):
        raise click.BadParameter(f"{text!r} cannot stand in a file's name")
    return text


def networks(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the shipped names that begin so and, where there are none, what makes a shell look for files."""
    names = [CompletionItem(name) for name in (*AUTOS, *NAMES) if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


class Grouped(click.Command):
    """Shows its options under the headings of `groups`: each one's title, and the names of its options.

    An option of other programs is answered with its own for that, and `-i` with how pictures are named.
    """

    def __init__(self, *arguments: Any, groups: dict[str, tuple[str, ...]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._groups = groups

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raises UsageError, with what may be meant."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            meant = ELSEWHERE.get(error.option_name, "")
            if error.option_name in ("-i", "--input"):
                meant = " ".join([ctx.command_path, *self.collect_usage_pieces(ctx)[1:]])
            elif not any(meant.split(" ")[0] in parameter.opts for parameter in self.params):
                raise
            said = f"No such option {error.option_name!r}. Did you mean {meant!r}?"
            raise click.UsageError(said, ctx) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those of no group under Other."""
        rest = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        for title, names in self._groups.items():
            group = [parameter for parameter in rest if parameter.name in names]
            rest = [parameter for parameter in rest if parameter not in group]
            with formatter.section(title):
                formatter.write_dl([record for option in group if (record := option.get_help_record(ctx))])
        with formatter.section("Other"):
            formatter.write_dl([record for option in rest if (record := option.get_help_record(ctx))])


SIZE = (
    click.option("--scale", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Default: 4."),
    click.option("--width", type=click.IntRange(min=1), metavar="PIXELS", help="The height follows."),
    click.option("--height", type=click.IntRange(min=1), metavar="PIXELS", help="The width follows."),
    click.option("--fit", callback=sides, metavar="WIDTHxHEIGHT", help="As large as fits into that."),
    click.option(
        "--stretch", callback=sides, metavar="WIDTHxHEIGHT", help="Just that, whatever it does to the proportions."
    ),
)
TEXTURE = (
    click.option(
        "--model",
        shell_complete=networks,
        default=AUTO,
        show_default=True,
        help=f"{', '.join(NAMES)}, or an .onnx or .safetensors file; {AUTO} is"
        f" {auto_in_words()}. {AUTO_FAST} is the same of {FAST}, {FAST_REPAIRING} and"
        f" {FAST_DEBLURRING}.",
    ),
    click.option(
        "--detail",
        type=click.FloatRange(0, 1),
        metavar="0..1",
        help=f"From {FAITHFUL}, 0, which invents least, to {SHARP}, 1, at the cost of one. Nothing is repaired.",
    ),
    click.option(
        "--repair",
        type=click.FloatRange(0, 2),
        metavar="0..2",
        help=f"From {SHARP}, 0, over {REPAIRING}, 1, which leaves noise and JPEG's blocks behind, to {DEBLURRING}, 2,"
        f" which takes blur away as well; with --model {FAST} or {AUTO_FAST} from {FAST} over"
        f" {FAST_REPAIRING} to {FAST_DEBLURRING}. Default: what --model auto and auto-fast take.",
    ),
    click.option(
        "--consistent",
        is_flag=True,
        help="Correct results until, made small again, they are the picture they came from.",
    ),
    click.option(
        "--ensemble",
        is_flag=True,
        help="The mean of what the network makes of eight orientations, at eight times the work: closer, and smoother.",
    ),
    click.option(
        "--seamless",
        is_flag=True,
        help="Pictures continue where they wrap around, as a texture's tiles do: so do their results.",
    ),
)
RESULTS = (
    click.option(
        "--suffix",
        callback=part_of_a_name,
        metavar="TEXT",
        help="What stands behind the picture's name in the result's; '' is nothing. Default: _x4, or what the size is.",
    ),
    click.option(
        "--format",
        type=click.Choice((*FORMATS, SAME, *ALSO), case_sensitive=False),
        metavar=f"[{'|'.join((*FORMATS, SAME))}]",
        callback=format_of,
        help="same is each picture's own, or png where that is not written. Default: png, or what a file that is"
        " named for the result is called.",
    ),
    click.option("--quality", type=click.IntRange(1, 100), metavar="N", help="Of jpeg, webp and avif."),
    click.option("--compression", type=click.IntRange(0, 9), metavar="N", help="Of png: 0 quick, 9 small. Default: 1."),
    click.option(
        "--strip", is_flag=True, help="Leave out what pictures carry, EXIF data say, but for the colour profile."
    ),
    click.option("--no-provenance", is_flag=True, help="Do not say in results that a network made them, and which."),
    click.option("--overwrite", is_flag=True, help="Make every result anew, whatever is in its place."),
)
NETWORK = (
    click.option(
        "--runtime",
        type=click.Choice(["auto", *RUNTIMES]),
        default="auto",
        show_default=True,
        help="auto: torch where there is CUDA, else openvino, else onnxruntime (whose execution provider"
        " SRGAN_ONNXRUNTIME_PROVIDER can name).",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="auto: bf16 where the hardware has it.",
    ),
    click.option(
        "--tile",
        type=click.IntRange(min=0),
        metavar="N",
        help="Cut pictures into windows of NxN pixels, 0 for none. Default: the shapes that --memory has room for.",
    ),
    click.option(
        "--memory",
        callback=size_in_bytes,
        metavar="SIZE",
        help="What to take beside pictures and results: 2GB, say, of the process or of the GPU. Default: 1.2GB, or most"
        " of what is free of the GPU.",
    ),
)
LIMITS = (
    click.option("--max-input-pixels", type=click.IntRange(min=1), metavar="N", help="Default: 200 million."),
    click.option("--max-output-pixels", type=click.IntRange(min=1), metavar="N", help="Default: 3000 million."),
)


def options(*groups: tuple[Callable[[_F], _F], ...]) -> Callable[[_F], _F]:
    """Give a command the options of some groups."""

    def decorate(command: _F) -> _F:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


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
