"""Networks run by OpenVINO on the processor: the runtime of a plain installation."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srgan.errors import ArgumentError, WeightsError
from srgan.inference import compiled
from srgan.inference.network import pixel_bytes
from srgan.inference.quiet import openvino, ops
from srgan.threads import thread_limit
from srgan.weights import METADATA_KEY, Card, checksum, parse_card

# measured with srresnet_x4, see `pixel_bytes`
_PIXEL_BYTES = {"bf16": 3_100, "fp32": 5_700}

_cores: dict[int, openvino.Core] = {}  # of this process, by its number, and of those that it was forked from
_left_behind: list[object] = []
"""What a forked process has of its parent's: to free it would wait for threads that are not here."""


class OpenVinoNetwork:
    """An ONNX network on the CPU; see `srgan.inference.network.Network`."""

    runtime = "openvino"
    own_bytes = 250_000_000
    memory = 1_200_000_000

    def __init__(self, model: bytes | Path, precision: str = "auto", threads: int | None = None) -> None:
        """Load and compile a network from an ONNX file or its bytes. What is compiled is kept.

        precision  bf16 or fp32; auto is bf16 where the processor has instructions for it
        threads    how many to compute with; by default what the process is allowed

        Raises WeightsError for a damaged model or one without a card, ArgumentError for bf16 without hardware.
        """
        self._where = "the model" if isinstance(model, bytes) else str(model)
        try:
            self._content = model if isinstance(model, bytes) else model.read_bytes()
        except OSError as error:
            raise WeightsError(f"{model!s}: cannot be read: {error.strerror}") from error
        self.checksum = checksum(self._content)
        self._process = os.getpid()
        self.device: str = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise ArgumentError(f"this processor ({self.device}) has no bf16: use fp32")
        self.precision = "bf16" if has_bf16 and precision != "fp32" else "fp32"
        self._source, self._threads = model, threads
        self._properties: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            # else it keeps 0.9 MB for every new shape of a window, for ever; what it keeps saves no time
            "CPU_RUNTIME_CACHE_CAPACITY": 0,
        }
        if (limit := thread_limit(threads)) is not None:
            self._properties["INFERENCE_NUM_THREADS"] = limit
            # else every process of the machine that is held to one thread has it on the same, the first, processor
            self._properties["ENABLE_CPU_PINNING"] = False
        self.card, self._levels = self._compile("levels", _between_levels)
        self.scale: int = self.card["scale"]
        self.halo: int = self.card["halo"]
        self.pixel_bytes = pixel_bytes(self.card, _PIXEL_BYTES[self.precision])

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr for lr, see `Network`."""
        self._follow_fork()
        sr: NDArray[np.float32] = _infer(self._floats, lr).copy()
        return sr

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sr for lr in levels, see `Network`.

        Clipped inside, values that are not finite go unseen. As the weights are finite, it takes a network of another
        program, with divisions or logarithms, to give some.
        """
        self._follow_fork()
        sr: NDArray[np.uint8] = _infer(self._levels, np.ascontiguousarray(lr)[np.newaxis])[0].copy()
        return sr

    def in_fp32(self) -> "OpenVinoNetwork":
        """Return the same network computing in fp32."""
        return self if self.precision == "fp32" else self._fp32

    def rest(self) -> None:
        """Let go of memory, see `Network`."""
        if self._process != os.getpid():
            return
        made = vars(self)  # what is made when it is first needed is not needed for this
        if "_fp32" in made:
            self._fp32.rest()
        for request in (self._levels, *([self._floats] if "_floats" in made else [])):
            request.get_compiled_model().release_memory()

    def _follow_fork(self) -> None:
        """Load the network anew in a process that was forked from its own: OpenVINO's threads did not come along."""
        if self._process == os.getpid():
            return
        made = vars(self)
        _left_behind.append([made.pop(name, None) for name in ("_levels", "_floats")])
        self._process = os.getpid()
        self._levels = self._compile("levels", _between_levels)[1]

    @property
    def _core(self) -> openvino.Core:
        """What all networks of a process share, and what never ends.

        OpenVINO's plugin gives the thread that loads it another stack for signals. Of two plugins that end in the order
        in which they began the second one gives back the first one's, which is gone: the next Ctrl-C would end the
        process by a segmentation fault.
        """
        return _cores.get(self._process) or _cores.setdefault(self._process, openvino.Core())

    @cached_property
    def _fp32(self) -> "OpenVinoNetwork":
        return OpenVinoNetwork(self._source, "fp32", self._threads)

    @cached_property
    def _floats(self) -> openvino.InferRequest:
        return self._compile("floats", lambda network: network)[1]

    def _compile(
        self, kind: str, form: Callable[[openvino.Model], openvino.Model]
    ) -> tuple[Card, openvino.InferRequest]:
        """Return the card, and the network in a form ready to run: as it was kept, or compiled now."""
        circumstances = [self.checksum, kind, openvino.__version__, self.device, self._properties]
        key = hashlib.sha256(json.dumps(circumstances).encode()).hexdigest()
        if (found := compiled.recall(key)) is not None:
            text, blob = found
            try:
                network = self._core.import_model(blob, "CPU", self._properties)
                return parse_card(text, self._where), network.create_infer_request()
            except RuntimeError:  # of another build of OpenVINO, say: compiled anew below
                pass
        try:
            model = self._core.read_model(self._content)
        except RuntimeError as error:
            raise WeightsError(f"{self._where}: damaged, or not an ONNX model") from error
        place = ["framework", METADATA_KEY]
        card = parse_card(model.get_rt_info(place).value if model.has_rt_info(place) else None, self._where)
        for node in model.get_ops():
            if node.get_type_name() == "Constant" and not np.isfinite(node.data).all():
                raise WeightsError(f"{self._where}: holds weights that are not finite")
        try:
            network = self._core.compile_model(form(model), "CPU", self._properties)
        except RuntimeError as error:
            raise WeightsError(f"{self._where}: OpenVINO cannot compile this network") from error
        compiled.keep(key, json.dumps(card), network.export_model().getvalue())
        return card, network.create_infer_request()


def _between_levels(network: openvino.Model) -> openvino.Model:
    """Return the network from uint8 (1, H, W, 3) to uint8 (1, sH, sW, 3), scaled, clipped and rounded inside.

    All of that is done to the last convolution's results before they are shuffled into place: there it is part
    of the convolution, in float32, where the network's own float output is rounded to bf16.
    """
    lr = ops.parameter([1, -1, -1, 3], np.uint8, name="lr")
    values = ops.multiply(ops.convert(ops.transpose(lr, [0, 3, 1, 2]), "f32"), np.float32(1 / 255))
    for place in network.get_parameters()[0].output(0).get_target_inputs():
        place.replace_source_output(values.output(0))
    sr = network.get_results()[0].input_value(0)
    last = sr.get_node()
    shuffled = last.get_type_name() == "DepthToSpace"
    scaled = ops.add(ops.multiply(last.input_value(0) if shuffled else sr, np.float32(255)), np.float32(0.5))
    levels = ops.convert(ops.clamp(scaled, 0.0, 255.5), "u8")
    if shuffled:
        attributes = last.get_attributes()
        levels = ops.depth_to_space(levels, attributes["mode"], attributes["block_size"])
    return openvino.Model([ops.transpose(levels, [0, 2, 3, 1])], [lr])


def _infer(request: openvino.InferRequest, values: NDArray[Any]) -> NDArray[Any]:
    """Return what a network makes of an array: valid until the next call."""
    request.start_async([values])
    try:
        while not request.wait_for(100):  # in short waits, so that Ctrl-C is heard
            pass
    except BaseException:
        request.cancel()
        raise
    result: NDArray[Any] = request.get_output_tensor(0).data
    return result
