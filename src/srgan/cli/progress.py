"""How far a batch is: on stderr, as a bar where that is a terminal."""

import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

import click

from srgan.cli import print_error
from srgan.errors import SrganError

if TYPE_CHECKING:
    from tqdm import tqdm

_FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f} of {total} [{elapsed}<{remaining}, {rate_fmt}]"


def in_words(outcome: Counter[str]) -> str:
    """Return what became of pictures, for the last line."""
    anew = f" ({outcome['remade']} of them anew)" if outcome["remade"] else ""
    kept = " (there already)" if outcome["skipped"] else ""
    done = outcome["done"] + outcome["remade"]
    return f"{done} done{anew}, {outcome['skipped']} skipped{kept}, {outcome['failed']} failed"


class PictureBar:
    """Counts pictures, with the part of one that is done; prints errors above the bar."""

    def __init__(self, *, debug: bool, every: float | None = None) -> None:
        """Show a bar on a terminal; elsewhere print a line on stderr after so many seconds each, or nothing."""
        self._debug, self._every = debug, every
        self._shown = sys.stderr.isatty()
        self._bar: tqdm[None] | None = None
        self._start = self._said = time.monotonic()
        self._first: float | None = None

    def __enter__(self) -> "PictureBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, done: float, total: int) -> None:
        """Show that `done` of `total` pictures are done."""
        if not self._shown:
            self._say(done, total)
            return
        if self._bar is None:
            from tqdm import tqdm  # here, as it takes a while to import

            self._bar = tqdm(
                total=total, initial=done, unit="picture", bar_format=_FORMAT, leave=False, file=sys.stderr
            )
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def _say(self, done: float, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._start = done, now  # before anything was done here
        if self._every is None or now - self._said < self._every:
            return
        from tqdm import tqdm

        self._said = now
        rate = (done - self._first) / max(now - self._start, 1e-3)
        left = f", {tqdm.format_interval((total - done) / rate)} left" if rate else ""
        click.echo(f"{done:,.0f} of {total:,} pictures, {rate:.2f}/s{left}", err=True)

    def error(self, error: SrganError) -> None:
        """Print an error without tearing the bar."""
        if self._bar is not None:
            self._bar.clear()
        print_error(error, debug=self._debug)
