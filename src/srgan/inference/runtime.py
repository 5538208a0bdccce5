"""How a network is loaded: a runtime is one module beside this one, imported only when it is chosen."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from srgan.errors import ArgumentError, RuntimeMissingError, WeightsError
from srgan.inference.network import Network
from srgan.weights import SHARP, Choice, WeightsFiles, choose, find_weights

RUNTIMES = ("openvino", "onnxruntime", "torch")
PRECISIONS = ("auto", "bf16", "fp32")


def load_network(
    model: str | Path = SHARP,
    *,
    detail: float | None = None,
    repair: float | None = None,
    ensemble: bool = False,
    runtime: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Network:
    """Return a network by its shipped name, or from an .onnx or .safetensors file, ready to run.

    detail     how far from srresnet's weights, 0, to srgan-plus's, 1; for the model srgan-plus alone
    repair     how far from srgan-plus's weights, 0, over srgan-photo's, 1, to srgan-deblur's, 2; likewise, not both.
               For srgan-fast from its own over srgan-fast-photo's to srgan-fast-deblur's
    ensemble   the mean of eight orientations, at eight times the work: see `srgan.inference.ensemble`
    runtime    one of RUNTIMES; auto takes torch where there is CUDA, else openvino, else onnxruntime
    precision  bf16 or fp32; auto is bf16 where the device has it in hardware
    threads    how many processors to use; by default all that the process is allowed

    Raises ArgumentError, WeightsError, or RuntimeMissingError where the runtime is not installed.
    """
    if precision not in PRECISIONS:
        raise ArgumentError(f"no precision {precision!r}: {', '.join(PRECISIONS)}")
    if runtime not in ("auto", *RUNTIMES):
        raise ArgumentError(f"no runtime {runtime!r}: auto, {', '.join(RUNTIMES)}")
    if threads is not None and threads < 1:
        raise ArgumentError(f"{threads} threads cannot compute: at least 1")
    choice = choose(model, detail, repair)
    files = find_weights(choice.between[0])
    if runtime == "auto":
        runtime = choose_runtime(files)
    path = files.safetensors if runtime == "torch" else files.onnx
    if path is None:
        kind, other = (".safetensors", "openvino") if runtime == "torch" else (".onnx", "torch")
        raise WeightsError(f"{model}: the runtime {runtime} needs a {kind} file; {other} can run this one")
    try:
        network = _open(path, choice, runtime, precision, threads)
    except ImportError as error:
        extra = "srgan" if runtime == "openvino" else f"srgan[{runtime}]"
        raise RuntimeMissingError(
            f"the runtime {runtime} is not installed, or not completely ({error}): pip install '{extra}'"
        ) from error
    if ensemble:
        from srgan.inference.ensemble import Ensemble

        network = Ensemble(network)
    return network


def _open(path: Path, choice: Choice, runtime: str, precision: str, threads: int | None) -> Network:
    """Load a network's file, its weights moved towards those of another as is chosen. Raises ImportError too."""
    network: Network
    _, other, share = choice.between
    towards = None if other is None else find_weights(other)
    if runtime == "torch":
        from srgan.inference.torch import TorchNetwork

        end = None
        if towards is not None:
            assert towards.safetensors is not None
            end = towards.safetensors, share
        network = TorchNetwork(path, precision=precision, threads=threads, towards=end)
    else:
        model: Path | bytes = path
        if towards is not None:
            from srgan.weights.onnx import blend_onnx

            assert towards.onnx is not None
            model = blend_onnx(path.read_bytes(), towards.onnx.read_bytes(), share)
        if runtime == "openvino":
            from srgan.inference.openvino import OpenVinoNetwork

            network = OpenVinoNetwork(model, precision=precision, threads=threads)
        else:
            from srgan.inference.onnxruntime import OnnxRuntimeNetwork

            network = OnnxRuntimeNetwork(model, precision=precision, threads=threads)
    for way, value in (("detail", choice.detail), ("repair", choice.repair)):
        if value is not None:
            network.card = network.card | {"name": f"{choice.model}, {way} {value:g}"}
    return network


def choose_runtime(files: WeightsFiles) -> str:
    """Return the runtime that `auto` means for these files on this machine."""
    if files.safetensors is not None and (files.onnx is None or _torch_has_cuda()):
        return "torch"
    return "onnxruntime" if not _installed("openvino") and _installed("onnxruntime") else "openvino"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _torch_has_cuda() -> bool:
    """Ask torch only where a device of NVIDIA's is in sight: the import alone takes seconds."""
    in_sight = any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()
    if not in_sight or not _installed("torch") or not _installed("safetensors"):
        return False
    import torch

    return torch.cuda.is_available()
