"""srgan models."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from srgan.cli import debug_option
from srgan.weights import Shipped, shipped

HEAD = ("model", "parameters", "size", "licence", "summary")


@click.command()
@debug_option
def models() -> None:
    """List the networks that are shipped, what they were trained on and what they score."""
    networks = shipped()
    rows = [HEAD, *(_row(network) for network in networks)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for network in networks:
        click.echo(f"\n{network.name}")
        for line in _details(network.card):
            click.echo(f"  {line}")


def _row(network: Shipped) -> tuple[str, ...]:
    card = network.card
    return (
        network.name,
        f"{card['parameters']:,}",
        f"{network.size / 1e6:.1f} MB",
        str(card["licence"]),
        str(card["summary"]),
    )


def _details(card: Mapping[str, Any]) -> Iterator[str]:
    """Return a card's training, but for the recipe, and its scores, a test set a line."""
    for key, value in card["training"].items():
        if not isinstance(value, Mapping):
            yield f"training  {key}: {value:,}" if isinstance(value, int) else f"training  {key}: {value}"
    for name, values in card["scores"].items():
        yield f"scores    {name}: {', '.join(f'{key} {value}' for key, value in values.items())}"
