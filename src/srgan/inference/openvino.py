"""Networks run by OpenVINO on the processor: the runtime of a plain installation."""

from functools import cached_property
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from srgan.errors import ArgumentError, WeightsError
from srgan.inference.threads import thread_limit
from srgan.weights import METADATA_KEY, checksum, parse_card

# measured with srresnet_x4: about 3.1 kB of memory for an lr pixel in bf16, 5.7 kB in fp32
_TILE_PIXELS = {"bf16": 512 * 512, "fp32": 448 * 448}


class OpenVinoNetwork:
    """An ONNX network on the CPU; see `srgan.inference.runtime.Network`."""

    runtime = "openvino"

    def __init__(self, model: bytes | Path, precision: str = "auto", threads: int | None = None) -> None:
        """Load and compile a network from an ONNX file or its bytes.

        precision  bf16 or fp32; auto is bf16 where the processor has instructions for it
        threads    how many to compute with; by default what the process is allowed

        Raises WeightsError for a damaged model or one without a card, ArgumentError for bf16 without hardware.
        """
        where = "the model" if isinstance(model, bytes) else str(model)
        core = openvino.Core()
        try:
            content = model if isinstance(model, bytes) else model.read_bytes()
            self.checksum = checksum(content)
            network = core.read_model(content)
        except OSError as error:
            raise WeightsError(f"{where}: cannot be read: {error.strerror}") from error
        except RuntimeError as error:
            raise WeightsError(f"{where}: damaged, or not an ONNX model") from error
        place = ["framework", METADATA_KEY]
        card = network.get_rt_info(place).value if network.has_rt_info(place) else None
        self.card = parse_card(card, where)
        self.scale: int = self.card["scale"]
        self.halo: int = self.card["halo"]
        self.device: str = core.get_property("CPU", "FULL_DEVICE_NAME")
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise ArgumentError(f"this processor ({self.device}) has no bf16: use fp32")
        self.precision = "bf16" if has_bf16 and precision != "fp32" else "fp32"
        self.tile_pixels = _TILE_PIXELS[self.precision]
        self._source, self._threads = model, threads
        properties: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if (limit := thread_limit(threads)) is not None:
            properties["INFERENCE_NUM_THREADS"] = limit
        try:
            self._request = core.compile_model(network, "CPU", properties).create_infer_request()
        except RuntimeError as error:
            raise WeightsError(f"{where}: OpenVINO cannot compile this network") from error

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr for lr, see `Network`."""
        self._request.start_async([lr])
        try:
            while not self._request.wait_for(100):  # in short waits, so that Ctrl-C is heard
                pass
        except BaseException:
            self._request.cancel()
            raise
        sr: NDArray[np.float32] = self._request.get_output_tensor(0).data.copy()
        return sr

    def in_fp32(self) -> "OpenVinoNetwork":
        """Return the same network computing in fp32."""
        return self if self.precision == "fp32" else self._fp32

    @cached_property
    def _fp32(self) -> "OpenVinoNetwork":
        return OpenVinoNetwork(self._source, "fp32", self._threads)
