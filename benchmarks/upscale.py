"""How long a picture takes: srgan and what else a user would run, side by side, in turns, with the same weights; and
srgan-fast, which has its own.

    python benchmarks/upscale.py --out benchmarks/results/upscale-MACHINE.md
    python benchmarks/upscale.py --sizes 320x240 --rounds 3 --data Set5

"network": from the decoded picture to the decoded result, uint8 to uint8, in one process, after a first call that
is not counted. "whole process": from the shell to the written file, every start anew. Each figure is the median
over the rounds; a ratio is the median of the rounds' ratios to srgan's, so that a machine whose speed drifts does
not count. Arithmetic is counted on the network as the paper draws it (PyTorch's counter), "of peak" against the
fastest matrix product measured here, in bf16 or in fp32. "off fp32" is the PSNR against PyTorch's float32 result: 50 dB
is an error of 0.8 levels. With --data, what precision costs in PSNR-Y on test pictures is measured as well.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from given import positive, shape
from plain import PlainGenerator, device_name, matrix_peaks, synchronise
from srgan.errors import SrganError
from srgan.evaluation.meters import Meters
from srgan.evaluation.run import evaluate
from srgan.export import build_onnx
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.models.generator import Generator
from srgan.models.tensors import load_generator
from srgan.training.ranks import Ranks
from srgan.weights import FAST, NAMES, find_weights, read_card

Pixels = NDArray[np.uint8]
Way = Callable[[Pixels], Pixels]

PEERS = Path(__file__).parent / "peers"
PICTURE = Path(__file__).parents[1] / "examples" / "pictures" / "friends.jpg"
OURS = "srgan"


@dataclass
class Times:
    """The seconds that each contestant took, round by round, and the most memory that one took, in bytes."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str) -> float:
        """Return how many times as long as srgan it took: the median over the rounds."""
        return statistics.median(a / b for a, b in zip(self.seconds[name], self.seconds[OURS], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cuda = torch.cuda.is_available()
    papers = [name for name in NAMES if read_card(find_weights(name).one)["network"] == "srresnet_plain_x4"]
    parser.add_argument("--model", default="srgan", choices=papers, help="a shipped one that is the paper's generator")
    parser.add_argument(
        "--sizes", type=shape, nargs="+", default=["480x270", "960x540"] if cuda else ["320x240", "1020x678"]
    )
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--data", nargs="*", action="extend", default=[], help="folders of test pictures")
    parser.add_argument("--out", type=Path, help="Markdown file for the results")
    options = parser.parse_args()
    device = Ranks().device
    peak, fastest = max((peak, name) for name, peak in matrix_peaks(device).items())
    lines = [
        f"{device_name(device)}; {platform.system()}, Python {platform.python_version()}, PyTorch {torch.__version__},"
        f" OpenVINO {openvino.__version__.split('-')[0]}, ONNX Runtime {onnxruntime.__version__}",
        "",
        f"Matrix products in {fastest}: {peak / 1e12:.3f} TFLOP/s. Medians of {options.rounds} rounds,"
        f" `{options.model}`.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        plain = write_plain_onnx(options.model, Path(folder))
        for size in options.sizes:
            picture = test_picture(size)
            processes = process_table(options.model, picture, options.rounds, Path(folder))
            lines += ["", f"## {size} to {picture.shape[1] * 4}x{picture.shape[0] * 4}", ""]
            lines += network_table(options.model, picture, options.rounds, peak, device, plain)
            lines += ["", *processes]
    if options.data:
        lines += ["", *precision_table(options.model, options.data)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(f"# benchmarks/upscale.py\n\n{text}")


def test_picture(size: str) -> Pixels:
    """Return a part of a photograph, or of one enlarged, of WIDTHxHEIGHT pixels."""
    width, height = (int(side) for side in size.split("x"))
    picture = np.asarray(Image.open(PICTURE).convert("RGB"))
    scale = max(height / picture.shape[0], width / picture.shape[1])
    if scale > 1:
        picture = imresize(picture, scale=float(scale) + 0.01)
    return np.ascontiguousarray(picture[:height, :width])


def network_table(
    model: str, picture: Pixels, rounds: int, peak: float, device: torch.device, plain: Path
) -> list[str]:
    """Time every way through the network, in turns."""
    ways = dict(network_ways(model, device, plain))
    work = dict.fromkeys(ways, floating_point_operations(model, picture))
    work[FAST] = floating_point_operations(FAST, picture)
    results = {name: way(picture) for name, way in tqdm(ways.items(), desc="first calls", leave=False)}
    times = Times()
    for _ in tqdm(range(rounds), desc="network", leave=False):
        for name, way in ways.items():
            start = time.perf_counter()
            way(picture)
            times.add(name, time.perf_counter() - start)
    exact = results["PyTorch eager, fp32"].astype(float)
    lines = ["| network | s | as long as srgan | GFLOP/s | of peak | off fp32 |", "|---|---|---|---|---|---|"]
    for name in ways:
        speed = work[name] / times.median(name)
        error = 0.0 if name == FAST else np.square(results[name] - exact).mean()
        off = "-" if not error else f"{10 * np.log10(255**2 / error):.1f} dB"
        lines.append(
            f"| {name} | {times.median(name):.3f} | {times.ratio(name):.2f} | {speed / 1e9:.0f} |"
            f" {speed / peak:.0%} | {off} |"
        )
    return lines


def network_ways(model: str, device: torch.device, onnx: Path) -> Iterator[tuple[str, Way]]:
    """Give every contestant a name and a function from picture to result."""
    ours = Upscaler(model)
    yield OURS, ours.upscale
    yield FAST, Upscaler(FAST).upscale
    plain = PlainGenerator(load_shipped(model)).to(device)

    def eagerly(lr: Pixels) -> Pixels:
        with torch.inference_mode():
            x = torch.from_numpy(lr).to(device).permute(2, 0, 1)[None].float() / 255
            sr = plain(x)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
            synchronise(device)
        return np.ascontiguousarray(sr)

    yield "PyTorch eager, fp32", eagerly
    session = onnxruntime.InferenceSession(onnx)
    yield "ONNX Runtime, CPU", by_floats(lambda lr: session.run(None, {"lr": lr})[0])
    for precision in ("f32", "bf16"):
        network = openvino.compile_model(
            onnx, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        )
        yield f"OpenVINO, the paper's graph, {precision}", by_floats(lambda lr, network=network: network(lr)[0])  # type: ignore[misc]


def load_shipped(model: str) -> Generator:
    """Return a shipped network's generator in float32."""
    files = find_weights(model)
    assert files.safetensors is not None
    return load_generator(files.safetensors)[0].float().eval()


def write_plain_onnx(model: str, folder: Path) -> Path:
    """Write the network as ONNX as the paper draws it, in float32, and return the file."""
    path = folder / "plain.onnx"
    card = read_card(find_weights(model).one)
    path.write_bytes(build_onnx(load_shipped(model), card, half=False, rewrite=False).SerializeToString())
    return path


def by_floats(run: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Way:
    """Return the way through a network of floats (1, 3, H, W), with NumPy before and after it."""

    def way(lr: Pixels) -> Pixels:
        sr = run(np.ascontiguousarray(lr.astype(np.float32).transpose(2, 0, 1)[None] / 255))[0]
        return (sr.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)

    return way


def floating_point_operations(model: str, picture: Pixels) -> float:
    """Return what the network as the paper draws it costs for a picture: counted on a small one, it is proportional."""
    plain = PlainGenerator(load_shipped(model))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        plain(torch.zeros(1, 3, 32, 32))
    return counter.get_total_flops() / 32**2 * picture.shape[0] * picture.shape[1]


def process_table(model: str, picture: Pixels, rounds: int, folder: Path) -> list[str]:
    """Time whole commands, from the shell to the written file, in turns."""
    source, result = folder / "picture.png", folder / "result.png"
    Image.fromarray(picture).save(source)
    files, plain = find_weights(model), folder / "plain.onnx"
    program = str(Path(sys.executable).with_name("srgan"))
    commands: dict[str, Sequence[str | Path | None]] = {
        OURS: [program, "upscale", source, "-o", result, "--overwrite", "--model", model],
        FAST: [program, "upscale", source, "-o", result, "--overwrite", "--model", FAST],
        "shortest PyTorch script": [sys.executable, PEERS / "with_pytorch.py", files.safetensors, source, result],
        "shortest ONNX Runtime script": [sys.executable, PEERS / "with_onnxruntime.py", plain, source, result],
        "shortest OpenVINO script": [sys.executable, PEERS / "with_openvino.py", plain, source, result],
    }
    times = Times()
    for number in tqdm(range(rounds + 1), desc="whole process", leave=False):
        for name, command in commands.items():
            seconds, memory = run([str(part) for part in command])
            if number:  # the first one warms the disk's cache
                times.add(name, seconds)
                times.memory[name] = max(memory, times.memory.get(name, 0))
    lines = ["| whole process | s | as long as srgan | peak memory, MB |", "|---|---|---|---|"]
    for name in commands:
        memory = times.memory[name] / 1e6
        lines.append(f"| {name} | {times.median(name):.2f} | {times.ratio(name):.2f} | {memory:.0f} |")
    return [*lines, "", *stages(commands[OURS], times.median(OURS), folder)]


# a process's peak memory counts what the process that started it held: hence a small one between
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def run(command: Sequence[str]) -> tuple[float, int]:
    """Run a command and return its seconds and its peak memory in bytes."""
    whole = [sys.executable, "-S", "-c", LAUNCHER, *command]
    compiled = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}  # like an installed program, from the second run on
    launched = subprocess.run(whole, capture_output=True, text=True, check=True, env=compiled)
    seconds, memory, status = launched.stdout.split()
    if status != "0":
        raise SystemExit(f"{' '.join(command)}: {launched.stderr}")
    return float(seconds), int(memory) * (1 if sys.platform == "darwin" else 1024)


def stages(command: Sequence[str | Path | None], whole: float, folder: Path) -> list[str]:
    """Return where the time of srgan's command goes, by its own log; the rest is starting and ending."""
    log = folder / "log.jsonl"
    log.unlink(missing_ok=True)
    run([*(str(part) for part in command), "--log", str(log)])
    seconds = json.loads(log.read_text().splitlines()[-1])["seconds"]
    parts = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in seconds.items())
    return [f"srgan's command: {parts}; the rest of {1000 * whole:.0f} ms is starting, loading and ending."]


def precision_table(model: str, data: Sequence[str]) -> list[str]:
    """Return what the default precision costs on test pictures."""
    lines = ["| PSNR-Y, dB | fp32 | as it runs | cost |", "|---|---|---|---|"]
    folders, meters = [Path(folder) for folder in data], Meters(metrics=["psnr_y"])
    scores = [evaluate([model], folders, meters=meters, precision=precision) for precision in ("fp32", "auto")]
    for exact, ours in zip(*scores, strict=True):
        values = [result.mean()["psnr_y"] for result in (exact, ours)]
        lines.append(f"| {exact.folder} | {values[0]:.3f} | {values[1]:.3f} | {values[0] - values[1]:.3f} |")
    return lines


if __name__ == "__main__":
    try:
        main()
    except SrganError as error:
        sys.exit(f"upscale: {error}")
