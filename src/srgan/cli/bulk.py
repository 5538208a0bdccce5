"""srgan bulk."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from srgan.bulk.local import LocalEngine, gpu_environments
from srgan.bulk.manifest import Manifest, Record
from srgan.bulk.places import open_place
from srgan.bulk.run import Engine, Plan, run_bulk
from srgan.bulk.stages import plan_making
from srgan.bulk.status import failures, lines_of, status_of
from srgan.cli import Settings, debug_option, pass_settings
from srgan.cli.options import LIMITS, NETWORK, RESULTS, SIZE, TEXTURE, Grouped, options, size_of
from srgan.cli.progress import PictureBar, in_words
from srgan.errors import ArgumentError, PictureError
from srgan.image.picture import Limits
from srgan.image.writing import WriteOptions
from srgan.threads import processors

EPILOG = """\b
Examples:
  srgan bulk photos large                       as srgan upscale, and a manifest
  srgan bulk s3://bucket/photos s3://bucket/large
  srgan bulk list.txt large                     a path or URL in each line
  srgan bulk tables/photos.parquet large        a column of paths, or of pictures
  srgan bulk shards large                       tars of pictures (WebDataset)
  srgan bulk s3://a/in s3://a/out --engine ray --address head:6379 --gpus 8
  srgan bulk --status s3://bucket/large         done, failed and why, time left
\b
Run it again, after whatever ended it, and it does what is missing. An exit
status of 0 says that every picture has its result, 1 that one has not.
"""

GROUPS = {
    "The run": (
        *("engine", "address", "workers", "threads", "gpus", "timeout", "column", "retry_failed"),
        *("status", "list_failures", "max_input_pixels", "max_output_pixels"),
    ),
    "Size": ("scale", "width", "height", "fit", "stretch"),
    "Fidelity or texture": ("model", "detail", "repair", "consistent", "ensemble", "seamless"),
    "Results": ("suffix", "format", "quality", "compression", "strip", "no_provenance", "overwrite"),
    "The network": ("runtime", "precision", "tile", "memory"),
}

EVERY = 60.0
"""Seconds after which a line says how far it is, where no bar does."""


@click.command(cls=Grouped, groups=GROUPS, epilog=EPILOG)
@click.argument("places", nargs=-1, metavar="SOURCE DESTINATION")
@click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="This machine, or Ray."
)
@click.option("--address", metavar="HOST:PORT", help="Of a Ray cluster. Default: one is started here.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Networks that run at once, each with pictures read and written beside it. Default: one for each processor"
    " that may be used, of the machine or of the cluster, or one for each of --gpus.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Of each worker's network. Default: 1.")
@click.option("--gpus", type=click.IntRange(min=1), metavar="N", help="How many the workers share. Default: none.")
@click.option(
    "--timeout",
    type=click.IntRange(1, 1_000_000),
    metavar="SECONDS",
    help="End a worker that tells of no picture for so long, and reads on in no tar or table; what it had is done one"
    " by one, and what takes longer then has failed, until the next run. Default: none.",
)
@click.option("--column", metavar="NAME", help="Of Parquet, with paths or pictures. Default: the one that looks so.")
@click.option("--retry-failed", is_flag=True, help="Try pictures again that could not be decoded and have not changed.")
@click.option("--status", is_flag=True, help="Say what the manifest in DESTINATION tells, and do nothing.")
@click.option("--failures", "list_failures", is_flag=True, help="List what failed, a tab, and why; and do nothing.")
@options(RESULTS, SIZE, TEXTURE, NETWORK, LIMITS)
@debug_option
@pass_settings
def bulk(
    settings: Settings,
    /,
    places: tuple[str, ...],
    engine: str,
    address: str | None,
    workers: int | None,
    threads: int | None,
    gpus: int | None,
    timeout: int | None,
    column: str | None,
    retry_failed: bool,
    status: bool,
    list_failures: bool,
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
    model: str,
    max_input_pixels: int | None,
    max_output_pixels: int | None,
    **how: Any,
) -> int:
    """Upscale a great many pictures, each exactly once.

    SOURCE is a folder or a URL (s3://, gs://, abfs://, hdfs://, and others by fsspec) with pictures in it, tars of
    pictures or Parquet files; or one of these files, or a .txt with a path or URL in each line. DESTINATION is a folder
    or a URL. What became of each picture is recorded there, in _srgan/manifest.
    """
    start = time.perf_counter()
    if status or list_failures:
        if len(places) != 1:
            raise ArgumentError("--status and --failures are of one DESTINATION")
        manifest = Manifest(open_place(places[0]))
        for line in failures(manifest) if list_failures else lines_of(status_of(manifest)):
            click.echo(line)
        return 0
    if len(places) != 2:
        raise ArgumentError("SOURCE and DESTINATION: two places")
    source, destination = places
    making = plan_making(
        model,
        size_of(scale, width, height, fit, stretch),
        WriteOptions(format, quality, compression, strip, not no_provenance),
        open_place(destination),
        how | {"threads": threads or (None if gpus else 1)},
        Limits(max_input_pixels or Limits.input_pixels, max_output_pixels or Limits.output_pixels),
        overwrite=overwrite,
        suffix=suffix,
    )
    runner: Engine
    if engine == "ray":
        if timeout is not None:
            raise ArgumentError("--timeout is of --engine local")
        from srgan.bulk.ray import RayEngine

        runner = RayEngine(address, workers, threads or 1, gpus)
    else:
        if address is not None:
            raise ArgumentError("--address is of --engine ray")
        workers = workers or gpus or processors()
        runner = LocalEngine(workers, gpu_environments(workers, gpus) if gpus else [], timeout)
    with PictureBar(debug=settings.debug, every=EVERY) as bar:
        total = done = 0

        def planned(plan: Plan) -> None:
            nonlocal total, done
            total, done = plan.total, plan.done + plan.failed.total()
            for error in plan.errors:
                bar.error(error)
            bar.update(done, total)

        def tell(record: Record) -> None:
            nonlocal total, done
            if record.status == "failed":
                bar.error(PictureError(f"{record.source}: {record.error}"))
            if record.archive:
                total = max(total, done + 1)
            done += record.status != "listed"
            bar.update(done, max(done, total))

        with _ended_by_signals():
            outcome = run_bulk(
                source, making, runner, column=column, retry_failed=retry_failed, on_plan=planned, on_record=tell
            )
    click.echo(f"{in_words(outcome.counts)} in {time.perf_counter() - start:.1f} s")
    if outcome.counts["failed"] > len(outcome.errors):  # folders that cannot be searched are no pictures
        click.echo(f"srgan bulk --failures {shlex.quote(destination)} lists what failed, and why", err=True)
    return 1 if outcome.counts["failed"] else 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, by which machines are taken away, and SIGHUP do what Ctrl-C does: what is done is recorded first."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup's
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
