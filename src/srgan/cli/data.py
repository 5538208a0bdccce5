"""srgan data."""

from pathlib import Path

import click

from srgan.cli import FOLDER, debug_option
from srgan.errors import ArgumentError, DataError, PictureError

EPILOG = """\b
Examples:
  srgan data check photographs --against Set5 --against Set14
  srgan data check Set5        its LRx4 as well, where it has one
\b
An exit status of 0 says that nothing was found, 1 that something was, 2 that
it could not be looked at.
"""


@click.group()
def data() -> None:
    """Look after folders of pictures."""


@data.command(epilog=EPILOG)
@click.argument("folder", type=FOLDER)
@click.option(
    "--against",
    multiple=True,
    type=FOLDER,
    help="Folder of test pictures that must not be among these; repeatable.",
)
@click.option(
    "--min-side",
    default=96,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="The shortest side that is of use.",
)
@debug_option
def check(folder: Path, against: tuple[Path, ...], min_side: int) -> int:
    """Find what spoils a folder for training or for tests.

    Pictures that cannot be read, are small, blurred or blocky, or are there twice; test pictures among them; and
    in LRx4 those that are not the bicubic of their originals.
    """
    from tqdm import tqdm  # here, so that --help needs none of this

    from srgan.data import check as checks

    with tqdm(unit=" pictures", disable=None, leave=False) as bar:
        try:
            count, findings = checks.check(folder, against=against, min_side=min_side, progress=bar.update)
        except (DataError, PictureError) as error:  # no finding
            raise ArgumentError(str(error)) from error
    for found in findings:
        click.echo(f"{click.format_filename(found.file)}: {found.kind}: {found.text}")
    spoiled = len({found.file for found in findings})
    click.echo(f"{count} pictures, {spoiled or 'none'} with something to look at")
    return 1 if findings else 0
