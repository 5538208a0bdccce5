"""srgan models."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

from srgan.cli import debug_option
from srgan.weights import Card, find_weights, read_card, shipped

EPILOG = """\b
Examples:
  srgan models                     the networks that are shipped, a line each
  srgan models srgan-plus          what one was trained on, and what it scores
  srgan models runs/mine.onnx      the same of any weights file
"""

_WIDTH = 100
_SET, _SCORES = "Set14", {"psnr_y": 2, "lpips": 4}
"""The scores in the list, and their digits: of a set in the middle."""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME | FILE]...")
@debug_option
def models(names: tuple[str, ...]) -> None:
    """List the networks that are shipped, or tell what some were trained on and what they score."""
    for number, name in enumerate(names):
        card = read_card(find_weights(name).one)
        click.echo("\n" * (number > 0) + name)
        for line in _details(card):
            click.echo(f"  {line}")
    if not names:
        rows = [("model", "parameters", "size", *(f"{_SET} {score}" for score in _SCORES), "licence", "summary")]
        rows += [_row(network.card, network.size) for network in shipped()]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(card: Card, size: int) -> tuple[str, ...]:
    found = card["scores"].get(_SET, {})
    measured = (f"{found[score]:.{digits}f}" if score in found else "-" for score, digits in _SCORES.items())
    return (
        card["name"],
        f"{card['parameters']:,}",
        f"{size / 1e6:.1f} MB",
        *measured,
        str(card["licence"]),
        str(card["summary"]),
    )


def _details(card: Card) -> Iterator[str]:
    """Return what a card says, of its training but for the recipe, and of its scores a test set a line."""
    for key in ("name", "summary", "network", "parameters", "scale", "licence"):
        if key in card:
            yield from _said(key, "", card[key])
    for key, value in card.get("training", {}).items():
        if not isinstance(value, Mapping):
            yield from _said("training", f"{key}: ", value)
    for name, values in card.get("scores", {}).items():
        yield from _said("scores", f"{name}: ", ", ".join(f"{key} {value}" for key, value in values.items()))


def _said(heading: str, name: str, value: Any) -> list[str]:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return textwrap.wrap(f"{name}{text}", _WIDTH, initial_indent=f"{heading:<12}", subsequent_indent=" " * 12)
