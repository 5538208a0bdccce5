"""srgan models."""

from collections.abc import Iterator
from typing import Any

import click

from srgan.cli import debug_option
from srgan.weights import shipped

HEAD = ("model", "parameters", "size", "licence")


@click.command()
@debug_option
def models() -> None:
    """List the networks that are shipped: what they are for, how they were trained, what they score."""
    networks = shipped()
    rows = [HEAD]
    rows += [
        (one.name, f"{one.card['parameters']:,}", f"{one.size / 1e6:.1f} MB", one.card["licence"]) for one in networks
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for one in networks:
        click.echo(f"\n{one.name}: {one.card['summary']}")
        for key in ("training", "scores"):
            for line in _lines(one.card[key]):
                click.echo(f"  {key}: {line}")


def _lines(value: Any, path: str = "") -> Iterator[str]:
    """Return a card's nested values as lines, each with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lines(inner, f"{path} {key}".strip())
    else:
        yield f"{path} {value}".strip()
