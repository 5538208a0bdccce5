"""What srgan bulk costs: workers side by side, seconds of each stage, a manifest of a million rows.

    python benchmarks/bulk.py --out benchmarks/results/bulk-MACHINE.json
    python benchmarks/bulk.py --only workers --rounds 3

"workers": the same pictures from shell to the last result with one worker and with two, in turns; a worker is a process
with one network thread, and threads that read and write beside it. "once loaded" is from the first result to the last.
The ratios are the medians of the rounds' ratios.
"stages": what the manifest says of one worker alone on the machine, medians; JPEGs in, sized as cut from a photograph.
"batches": the network on several pictures of one size at once against one after the other.
"manifest": a run over a source whose every picture is done, and --status, of so many rows.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from given import positive, shape
from srgan.bulk.manifest import SCHEMA, Manifest, Record, Run
from srgan.bulk.places import File, open_place
from srgan.bulk.run import plan_bulk
from srgan.bulk.sources import Listing, _of_pictures
from srgan.bulk.stages import Making, plan_making
from srgan.bulk.status import status_of
from srgan.errors import SrganError
from srgan.image.colour import to_network
from srgan.image.picture import Limits
from srgan.image.size import Size
from srgan.image.writing import FORMATS, WriteOptions
from srgan.inference.runtime import load_network

PICTURE = Path(__file__).parents[1] / "examples" / "pictures" / "friends.jpg"
STAGES = ("read", "decode", "network", "encode", "write")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["workers", "stages", "batches", "manifest"])
    parser.add_argument("--size", type=shape, default="320x240", help="of the pictures for workers")
    parser.add_argument("--pictures", type=positive, default=20)
    parser.add_argument("--rounds", type=positive, default=2)
    parser.add_argument(
        "--sizes", type=shape, nargs="+", default=["320x240", "640x480"], help="of the pictures for stages"
    )
    parser.add_argument("--formats", choices=FORMATS, nargs="+", default=["png", "jpeg"])
    parser.add_argument("--rows", type=positive, default=1_000_000)
    parser.add_argument("--model", default="srgan")
    parser.add_argument("--out", type=Path, help="JSON file for the results, to which others are added")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    if arguments.out is not None and arguments.out.exists():
        try:
            found = dict(json.loads(arguments.out.read_text()))
        except (ValueError, TypeError) as error:
            parser.error(f"--out {arguments.out}: is there, and holds no results: {error}")
    found["machine"] = f"{load_network(arguments.model).device}, {os.cpu_count()} cores, {platform.platform()}"
    parts: dict[str, Callable[[argparse.Namespace, Path], Any]] = {
        "workers": workers,
        "stages": stages,
        "batches": batches,
        "manifest": manifest,
    }
    for name, measure in parts.items():
        if arguments.only is None or name in arguments.only:
            with tempfile.TemporaryDirectory() as folder:
                found[name] = measure(arguments, Path(folder))
            print(json.dumps({name: found[name]}, indent=1), flush=True)
            if arguments.out is not None:
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def cut(folder: Path, size: str, count: int) -> Path:
    """Cut JPEGs of a size from a photograph, each at another place."""
    folder.mkdir(parents=True)
    width, height = map(int, size.split("x"))
    with Image.open(PICTURE) as image:
        whole = image.convert("RGB")
    whole = whole.resize((max(width + 64, whole.width), max(height + 64, whole.height)))
    random = np.random.default_rng(0)
    for number in range(count):
        x, y = int(random.integers(whole.width - width)), int(random.integers(whole.height - height))
        whole.crop((x, y, x + width, y + height)).save(folder / f"{number:04}.jpg", quality=90)
    return folder


def run(source: Path, target: Path, model: str, workers: int, *options: str) -> float:
    """Return the seconds of a command from the shell to its end."""
    command = [sys.executable, "-m", "srgan", "bulk", str(source), str(target), "--model", model, *options]
    start = time.perf_counter()
    subprocess.run([*command, "--workers", str(workers)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def workers(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = cut(folder / "in", arguments.size, arguments.pictures)
    run(cut(folder / "warm", arguments.size, 1), folder / "warmed", arguments.model, 1)  # compiled, and kept
    seconds: dict[int, list[float]] = {1: [], 2: []}
    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(arguments.rounds):
        for count in (1, 2) if number % 2 == 0 else (2, 1):
            target = folder / f"out-{number}-{count}"
            seconds[count].append(run(source, target, arguments.model, count))
            table, _ = Manifest(open_place(str(target))).read(["time"])
            ended = sorted(when.timestamp() for when in table["time"].to_pylist())
            rates[count].append((len(ended) - count) / (ended[-1] - ended[0]))  # as many first ones as workers
    return {
        "size": arguments.size,
        "pictures": arguments.pictures,
        "seconds": seconds,
        "pictures a second once loaded": rates,
        "ratio": statistics.median(one / two for one, two in zip(seconds[1], seconds[2], strict=True)),
        "ratio once loaded": statistics.median(two / one for one, two in zip(rates[1], rates[2], strict=True)),
    }


def stages(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    found = []
    for size in arguments.sizes:
        for format in arguments.formats:  # noqa: A001
            source, target = cut(folder / f"in-{size}-{format}", size, 6), folder / f"out-{size}-{format}"
            run(source, target, arguments.model, 1, "--format", format)
            table, _ = Manifest(open_place(str(target))).read()
            rows = table.to_pylist()[1:]  # the first loads the network
            found.append(
                {"size": size, "format": format}
                | {name: statistics.median(row[f"{name}_s"] for row in rows) for name in STAGES}
                | {name: statistics.mean(row[name] for row in rows) for name in ("bytes_in", "bytes_out")}
            )
    return found


def batches(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG001
    network = load_network(arguments.model, threads=1)
    found = []
    for side in (32, 64, 128):
        pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        one = to_network(pixels)
        eight = np.concatenate([one] * 8)
        ratios = []
        for number in range(4):
            start = time.perf_counter()
            for _ in range(8):
                network(one)
            middle = time.perf_counter()
            network(eight)
            if number:  # the first is not counted
                ratios.append((middle - start) / (time.perf_counter() - middle))
        found.append({"side": side, "eight at once": statistics.median(ratios)})
    return found


def manifest(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure what a rerun takes that has nothing to do, without the listing of files that are not there."""
    place = open_place(str(folder / "out"))
    made: Making = plan_making(arguments.model, Size(scale=4), WriteOptions(), place, {}, Limits())
    source = open_place("/photographs")
    names = [f"{number % 1000:03}/{number:07}.jpg" for number in range(arguments.rows)]
    written = Manifest(place)
    start = time.perf_counter()
    written.begin(Run("/photographs", arguments.rows))
    for name in names:
        target = name.replace(".jpg", "_x4.png")
        written.add(Record(f"/photographs/{name}", target, settings=made.mark, version="100-1", identity="0" * 32))
    written.flush()
    wrote = time.perf_counter()
    tasks = _of_pictures([File(name, "100-1") for name in names], source, made.ending)
    listed = time.perf_counter()
    present = [File(task.target, "") for task in tasks]
    there = Path.is_dir(folder / "out")
    assert there
    object.__setattr__(place, "files", lambda _: iter(present))
    read = Manifest(open_place(str(folder / "out")))
    planning = time.perf_counter()
    plan = plan_bulk(Listing("/photographs", tasks, [], source), made, read)
    planned = time.perf_counter()
    assert (plan.done, plan.tasks) == (arguments.rows, [])
    status = status_of(read)
    assert status.done == arguments.rows
    ended = time.perf_counter()
    files = list((folder / "out/_srgan/manifest").iterdir())
    return {
        "rows": arguments.rows,
        "columns": len(SCHEMA),
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "write": wrote - start,
        "name results": listed - wrote,
        "plan": planned - planning,
        "status": ended - planned,
        "peak memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    try:
        main()
    except (OSError, SrganError) as error:
        sys.exit(f"bulk: {error}")
