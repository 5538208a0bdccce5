"""What a loaded network is to the rest of the program, and how one is loaded.

A runtime is one module beside this one, imported only when it is chosen.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from srgan.errors import ArgumentError, InferenceError, RuntimeMissingError, WeightsError
from srgan.weights import FAITHFUL, REPAIRING, SHARP, Card, Choice, WeightsFiles, choose, find_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RUNTIMES = ("openvino", "onnxruntime", "torch")
PRECISIONS = ("auto", "bf16", "fp32")


class NotFiniteError(InferenceError):
    """A network gave values that are not finite."""


class Network(Protocol):
    """A network that is ready to run. One caller at a time."""

    @property
    def runtime(self) -> str:
        """One of RUNTIMES."""

    @property
    def device(self) -> str:
        """What computes, for people to read."""

    @property
    def precision(self) -> str:
        """bf16 or fp32: what the arithmetic is done in."""

    card: Card
    """What the weights file says of the network."""

    @property
    def checksum(self) -> str:
        """The SHA-256 of the weights file, in hex."""

    @property
    def scale(self) -> int:
        """How many times the size the result has."""

    @property
    def halo(self) -> int:
        """How many lr pixels away an input pixel can still change an output pixel."""

    @property
    def pixel_bytes(self) -> int:
        """How many bytes of memory a call needs for each lr pixel of its window, as measured."""

    @property
    def own_bytes(self) -> int:
        """How many bytes it needs beside that; on a GPU those of the device count, on a CPU the process's."""

    @property
    def memory(self) -> int:
        """How many bytes it takes in all where nobody says otherwise."""

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr (N, 3, sH, sW) for lr (N, 3, H, W); float32 RGB, [0, 1] in, the same not clamped out."""

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sr (sH, sW, 3) for lr (H, W, 3), both uint8 RGB: clipped and rounded where the network computes.

        Raises NotFiniteError where it gives values that are not finite.
        """

    def in_fp32(self) -> Network:
        """Return the same network computing in fp32: itself where it does."""

    def rest(self) -> None:
        """Let go of the memory that is kept from one call to the next, which may be as much as a call needs."""


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
    repair     how far from srgan-plus's weights, 0, to srgan-photo's, 1; likewise, and not both
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
    files = find_weights(choice.model)
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
    towards, share, said = None, 0.0, ""
    if choice.detail is not None:
        towards, share, said = find_weights(FAITHFUL), 1 - choice.detail, f", detail {choice.detail:g}"
    elif choice.repair is not None:
        towards, share, said = find_weights(REPAIRING), choice.repair, f", repair {choice.repair:g}"
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
    if said:
        network.card = network.card | {"name": SHARP + said}
    return network


def levels_by_floats(network: Network, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Do what `Network.levels` promises with a network's floats, for a runtime that has no better way."""
    from srgan.image.colour import to_network, to_uint8

    return to_uint8(require_finite(network(to_network(lr)))[0].transpose(1, 2, 0))


def require_finite(sr: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a network gave. Raises NotFiniteError where that is not finite."""
    import numpy as np

    if not np.isfinite(sr).all():
        raise NotFiniteError("the network gives values that are not finite")
    return sr


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
