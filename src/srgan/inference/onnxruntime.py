"""Networks run by ONNX Runtime, on whatever execution provider it was built with."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from srgan.errors import ArgumentError, WeightsError
from srgan.inference.network import levels_by_floats, pixel_bytes
from srgan.threads import thread_limit
from srgan.weights import METADATA_KEY, checksum, parse_card

PROVIDER_VARIABLE = "SRGAN_ONNXRUNTIME_PROVIDER"
"""The environment variable that names the execution provider, such as CUDAExecutionProvider."""

_PREFERRED = (
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
    "CPUExecutionProvider",
)
_OPTIONS: dict[str, dict[str, Any]] = {"CUDAExecutionProvider": {"use_tf32": 0}}  # fp32 is to mean fp32


class OnnxRuntimeNetwork:
    """An ONNX network in fp32; see `srgan.inference.network.Network`."""

    runtime = "onnxruntime"
    precision = "fp32"
    own_bytes = 150_000_000
    memory = 1_200_000_000

    def __init__(
        self, model: bytes | Path, precision: str = "auto", threads: int | None = None, provider: str | None = None
    ) -> None:
        """Load a network from an ONNX file or its bytes.

        precision  fp32, which auto means here
        threads    how many to compute with on the CPU; by default what the process is allowed
        provider   an execution provider; by default what PROVIDER_VARIABLE names, else the best there is

        Raises WeightsError for a damaged model or one without a card, ArgumentError for bf16 and for a
        provider that this ONNX Runtime lacks or cannot start.
        """
        if precision == "bf16":
            raise ArgumentError("the runtime onnxruntime computes in fp32 only")
        where = "the model" if isinstance(model, bytes) else str(model)
        available = onnxruntime.get_available_providers()
        wanted = provider or os.environ.get(PROVIDER_VARIABLE)
        if wanted is not None and wanted not in available:
            raise ArgumentError(f"this ONNX Runtime has no {wanted}: {', '.join(available)}")
        chosen = [wanted] if wanted else [name for name in _PREFERRED if name in available]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_limit(threads) or 0
        options.enable_cpu_mem_arena = False  # an arena keeps twice the memory and saves no time here
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else model.read_bytes(),
                options,
                providers=[(name, _OPTIONS.get(name, {})) for name in chosen],
            )
        except OSError as error:
            raise WeightsError(f"{where}: cannot be read: {error.strerror}") from error
        except Exception as error:  # ONNX Runtime's own, which share no base class
            raise WeightsError(f"{where}: damaged, or not an ONNX model") from error
        self.device: str = self._session.get_providers()[0]
        if wanted is not None and self.device != wanted:
            raise ArgumentError(f"ONNX Runtime could not start {wanted}")
        self.card = parse_card(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), where)
        self.checksum = checksum(model)
        self.scale: int = self.card["scale"]
        self.halo: int = self.card["halo"]
        self.pixel_bytes = pixel_bytes(self.card, 10_000)  # measured on the CPU
        self._input: str = self._session.get_inputs()[0].name

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr for lr, see `Network`."""
        sr: NDArray[np.float32] = self._session.run(None, {self._input: lr})[0]
        return sr

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sr for lr in levels, see `Network`."""
        return levels_by_floats(self, lr)

    def in_fp32(self) -> "OnnxRuntimeNetwork":
        """Return itself."""
        return self

    def rest(self) -> None:
        """Keep what is kept: without an arena that is nothing."""
