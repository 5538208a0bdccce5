"""`srgan fetch`: the weights of the perceptual networks, downloaded and checked."""

from pathlib import Path

import click

from srgan import perceptual
from srgan.cli import FOLDER, debug_option


@click.command()
@click.argument("networks", nargs=-1, required=True, type=click.Choice(perceptual.NETWORKS))
@click.option("--to", "folder", type=FOLDER, help="Folder, if not the one in the cache.")
@debug_option
def fetch(networks: tuple[str, ...], folder: Path | None) -> None:
    """Download the weights of NETWORKS.

    vgg19 is for the content loss, lpips (with AlexNet) for the metric, lpips-vgg (with VGG16) for LPIPS and DISTS, as
    metrics and as terms of a loss.
    """
    for network in networks:
        click.echo(perceptual.fetch(network, folder or perceptual.default_folder()))
