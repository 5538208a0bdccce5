"""srgan serve."""

import logging
import os
import re
import signal
import sys
import webbrowser
from typing import Any

import click

from srgan.cli import debug_option
from srgan.cli.options import size_in_bytes
from srgan.errors import ArgumentError
from srgan.image.picture import Limits
from srgan.inference.runtime import PRECISIONS, RUNTIMES
from srgan.memory import keep_memory_steady
from srgan.web.app import Rules, Service
from srgan.web.frame import JsonLines
from srgan.web.metrics import Metrics
from srgan.web.networks import Networks
from srgan.web.server import Server, bind, url_of

EPILOG = """\b
Examples:
  srgan serve --open                          the page, in the browser
  curl --data-binary @photo.jpg -o large.png http://127.0.0.1:8000/v1/upscale
  SRGAN_TOKEN=... srgan serve --host 0.0.0.0  for other machines
"""

LOOPBACK = ("127.0.0.1", "::1", "localhost")

ORIGIN = re.compile(
    r"\*|null|(?!http:.*:80$|https:.*:443$)[a-z][a-z0-9.+-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d+)?", re.ASCII
)
"""Browsers say a port only where it is not that of the scheme."""


@click.command(epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at; 0.0.0.0 for all.")
@click.option(
    "--port",
    envvar="SRGAN_PORT",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 for any that is free; in the environment SRGAN_PORT.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--model",
    "models",
    multiple=True,
    help="A network to offer beside the shipped ones, an .onnx or .safetensors file; repeatable. The first, which may"
    " be the name of a shipped one, is the default.",
)
@click.option(
    "--token", envvar="SRGAN_TOKEN", help="What requests have to say; better in the environment, as SRGAN_TOKEN."
)
@click.option(
    "--allow-origin", "origins", multiple=True, help="Let pages of another origin ask, * for all; repeatable."
)
@click.option("--max-bytes", callback=size_in_bytes, metavar="SIZE", help="Of a picture's file. Default: 50MB.")
@click.option("--max-input-pixels", type=click.IntRange(min=1), metavar="N", help="Default: 16 million.")
@click.option("--max-output-pixels", type=click.IntRange(min=1), metavar="N", help="Default: 256 million.")
@click.option(
    "--waiting", type=click.IntRange(min=1), default=16, show_default=True, help="How many pictures may wait."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="For a picture, waiting included.",
)
@click.option("--runtime", type=click.Choice(["auto", *RUNTIMES]), default="auto", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@click.option(
    "--memory", callback=size_in_bytes, metavar="SIZE", help="Of the network that is at work: 2GB, say. Default: 1.2GB."
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Default: all that the process may use.")
@click.option("--json-log", is_flag=True, help="Write the log, a line for each picture, as JSON.")
@debug_option
def serve(
    host: str,
    port: int,
    open_page: bool,
    models: tuple[str, ...],
    token: str | None,
    origins: tuple[str, ...],
    max_bytes: int | None,
    max_input_pixels: int | None,
    max_output_pixels: int | None,
    waiting: int,
    time_limit: float,
    json_log: bool,
    **how: Any,
) -> None:
    """Serve a page to drop pictures on, and an HTTP API to send them to."""
    # until the server hears it: the first process of a container ignores it else
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if token is None and "SRGAN_TOKEN" in os.environ:
        raise ArgumentError("SRGAN_TOKEN is empty: unset it for a service that asks for none")
    token = None if token is None else token.strip()
    if token == "":
        raise ArgumentError("the token is empty")
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ArgumentError("the token is of printable ASCII, as headers hold no other characters alike everywhere")
    for origin in origins:
        if ORIGIN.fullmatch(origin) is None:
            raise ArgumentError(
                f"--allow-origin {origin}: not what browsers say, as https://example.org without path, port 443 or *"
            )
    rules = Rules(
        bytes=max_bytes or Rules.bytes,
        limits=Limits(max_input_pixels or Rules.limits.input_pixels, max_output_pixels or Rules.limits.output_pixels),
        waiting=waiting,
        seconds=time_limit,
        token=token,
        origins=origins,
    )
    keep_memory_steady()
    counts = Metrics()
    service = Service(Networks(models, counts.networks.set, **how), rules, counts)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if json_log else logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    bound = bind(host, port)
    if host not in LOOPBACK and token is None:
        warning = f"anyone who reaches {host} may send pictures: --token asks them for one"
        if json_log:
            logging.getLogger("srgan.web").warning(warning)
        else:
            click.echo(f"srgan: warning: {warning}", err=True)
    click.echo(f"srgan serves {url_of(bound)} (Ctrl-C ends)")
    sys.stdout.flush()
    if open_page:
        webbrowser.open(url_of(bound))
    Server(service).serve_on(bound)
