"""srgan evaluate."""

from pathlib import Path

import click

from srgan.cli import FILE, FOLDER, debug_option
from srgan.errors import DataError, SrganError
from srgan.inference.runtime import PRECISIONS

EPILOG = """\b
Examples:
  srgan evaluate bicubic srgan --data Set5 --data Set14
  srgan evaluate srgan --sr theirs --data Set5 --report report
  srgan evaluate srgan --data DIV2K_valid_HR --lr DIV2K_valid_LR_bicubic/X4
  srgan evaluate srgan --data Set5 --metrics psnr_y,ssim_y --json scores.json
\b
The learned metrics need weights, srgan fetch lpips lpips-vgg;
without them they are left out, unless --metrics names them.
"""


@click.command(epilog=EPILOG)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--data",
    "folders",
    multiple=True,
    required=True,
    type=FOLDER,
    help="Folder of HR pictures, with their LR in LRx4 inside it or made by bicubic; repeatable.",
)
@click.option(
    "--lr",
    type=FOLDER,
    help="Folder of LR pictures instead, named like the HR pictures, in folders named like those of --data or not.",
)
@click.option(
    "--sr",
    "made",
    multiple=True,
    type=FOLDER,
    help="Folder of results that another program made, named like the HR pictures, whatever stands behind; repeatable.",
)
@click.option("--json", "json_file", type=FILE, help="Write every score here.")
@click.option(
    "--report",
    type=FOLDER,
    help="Write index.html with tables, plots and crops here.",
)
@click.option("--pictures", is_flag=True, help="Print the scores of each picture as well.")
@click.option("--metrics", metavar="NAMES", help="Measure only these, with commas between them. Default: all.")
@click.option(
    "--border",
    type=click.IntRange(min=0),
    metavar="N",
    default=4,
    show_default=True,
    help="Pixels to cut off each side for PSNR, SSIM and NIQE.",
)
@click.option("--profile", "profiled", is_flag=True, help="Print where the time went.")
@click.option("--perceptual", type=FOLDER, help="Folder with the learned metrics' weights.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Arithmetic of the networks; auto: bf16 where the hardware has it.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="How many processors to use.")
@debug_option
def evaluate(
    models: tuple[str, ...],
    folders: tuple[Path, ...],
    lr: Path | None,
    made: tuple[Path, ...],
    json_file: Path | None,
    report: Path | None,
    pictures: bool,
    metrics: str | None,
    border: int,
    profiled: bool,
    perceptual: Path | None,
    precision: str,
    threads: int | None,
) -> None:
    """Measure networks on folders of test pictures.

    MODEL is bicubic, a shipped name, auto or auto-fast, which choose for each LR, or an .onnx or .safetensors file.
    """
    from tqdm import tqdm  # here, so that --help needs none of this

    from srgan import evaluation
    from srgan.atomic import check_place
    from srgan.evaluation.report import Report
    from srgan.perceptual import default_folder

    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    index = None if report is None else report / "index.html"
    for place in filter(None, (json_file, index)):
        check_place(place)
    weights = perceptual or default_folder()
    meters = evaluation.Meters(weights, metrics=names, border=border)
    profile, page = evaluation.Profile(), Report() if index else None
    results: list[evaluation.SetScores] = []

    def tell() -> None:
        click.echo(evaluation.tables(results, pictures=pictures, checksums=meters.checksums))
        if json_file is not None:
            evaluation.write_json(results, json_file, meters.checksums)
        if index is not None and page is not None:
            page.write(index, results, meters.checksums)
            click.echo(f"Report: {index}")
        if profiled:
            click.echo("\n".join(["Time", *(f"  {line}" for line in profile.lines())]))

    with tqdm(unit=" pictures", disable=None, leave=False) as bar:

        def watch(shot: evaluation.Shot) -> None:
            bar.update()
            if page is not None:
                with profile("report"):
                    page.add(shot)

        try:
            for found in evaluation.evaluate(
                models,
                folders,
                made=made,
                lr=lr,
                meters=meters,
                precision=precision,
                threads=threads,
                profile=profile,
                watch=watch,
            ):
                results.append(found)  # noqa: PERF402 - those of the folders before an error stay
        except (SrganError, KeyboardInterrupt):
            if results:
                tell()
            raise
    for name, file in meters.missing.items():
        click.echo(f"srgan: {name} is left out: no {file} in {weights}; srgan fetch lpips lpips-vgg gets it", err=True)
    unmeasured = [
        f"{name} is left out of {folder}: every picture is too small for it, or without texture"
        for name, folder in evaluation.left_out(results, meters.metrics)
    ]
    if metrics is None:
        for line in unmeasured:
            click.echo(f"srgan: {line}", err=True)
    tell()
    if metrics is not None and unmeasured:
        raise DataError("; ".join(unmeasured))
