"""From a trained generator to an ONNX file that any runtime can run, checked against the generator itself.

The graph is the generator with two exact rewrites. Batch norms are folded into their convolutions. And the
end of the network, PixelShuffle, PReLU, conv 9x9 (64 to 3) at four times the size, becomes PReLU, conv 5x5
(256 to 12), PixelShuffle at twice the size: the same sums with the taps in another place, so the arithmetic
stays on wide channels that a vector unit can fill (see `tail_before_shuffle`). The network's own step from
[-1, 1] to [0, 1] goes into the last convolution.
"""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from srgan.errors import ExportError
from srgan.atomic import written_whole
from srgan.models.generator import Generator, Upsample, fold_batch_norm

METADATA_KEY = "srgan"
OPSET = 17
PARITY_SIZES = ((24, 24), (1, 1), (1, 37), (23, 5), (31, 47))
"""Heights and widths on which an exported network must equal the generator."""


class _Graph:
    """Nodes and initializers as they come, each output named after its place."""

    def __init__(self, dtype: type[np.floating]) -> None:
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, values: Tensor) -> str:
        """Store values in the graph's storage type; they are float32 to whoever reads the name returned."""
        stored = values.detach().cpu().numpy().astype(self.dtype)
        if self.dtype == np.float32:
            self.initializers.append(numpy_helper.from_array(stored, name))
            return name
        self.initializers.append(numpy_helper.from_array(stored, f"{name}.stored"))
        return self.add("Cast", [f"{name}.stored"], name, to=TensorProto.FLOAT)

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x: str, name: str, weight: Tensor, bias: Tensor) -> str:
        pad = weight.shape[-1] // 2
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Conv", inputs, name, kernel_shape=list(weight.shape[2:]), pads=[pad] * 4)

    def prelu(self, x: str, name: str, slope: Tensor) -> str:
        return self.add("PRelu", [x, self.constant(f"{name}.slope", slope.view(-1, 1, 1))], name)

    def shuffle(self, x: str, name: str) -> str:
        return self.add("DepthToSpace", [x], name, blocksize=2, mode="CRD")


def tail_before_shuffle(weight: Tensor) -> Tensor:
    """Rearrange a convolution after PixelShuffle(2) into the one before it that gives the same values.

    Takes weight (O, C, K, K), K odd, that follows `shuffle(x)`, where x has 4C channels; returns the weight
    (4O, 4C, K', K') of the convolution of x whose PixelShuffle(2) is the same picture, zero padding included.
    Output row 2Y + a and tap d meet row 2Y + a + d of the shuffled picture, which is row Y + (a + d) // 2 of
    x, in the channel of phase (a + d) % 2.
    """
    outputs, channels, size, _ = weight.shape
    reach = size // 2
    wide = (reach + 1) // 2
    result = weight.new_zeros(outputs, 2, 2, channels, 2, 2, 2 * wide + 1, 2 * wide + 1)
    for a in range(2):
        for b in range(2):
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    (y, p), (x, q) = divmod(a + dy, 2), divmod(b + dx, 2)
                    result[:, a, b, :, p, q, y + wide, x + wide] = weight[:, :, dy + reach, dx + reach]
    return result.reshape(4 * outputs, 4 * channels, 2 * wide + 1, 2 * wide + 1)


def build_onnx(
    generator: Generator, metadata: dict[str, object], *, half: bool = True, rewrite_tail: bool = True
) -> onnx.ModelProto:
    """Return the generator as an ONNX model: "lr" (N, 3, H, W) to "sr" (N, 3, 4H, 4W), float32 in [0, 1].

    With `half` the weights are stored as float16 (computing stays float32). `metadata` goes into the file as
    JSON. `rewrite_tail=False` leaves the end as the paper draws it, to measure against.
    """
    graph = _Graph(np.float16 if half else np.float32)
    x = graph.conv("lr", "head", generator.head.weight, _bias(generator.head))
    first = x = graph.prelu(x, "head_act", generator.head_act.weight)
    for i, block in enumerate(generator.blocks):
        name = f"blocks.{i}"
        y = graph.conv(x, f"{name}.conv1", *fold_batch_norm(block.conv1, block.bn1))
        y = graph.prelu(y, f"{name}.act", block.act.weight)
        y = graph.conv(y, f"{name}.conv2", *fold_batch_norm(block.conv2, block.bn2))
        x = graph.add("Add", [x, y], name)
    x = graph.conv(x, "trunk", *fold_batch_norm(generator.trunk_conv, generator.trunk_bn))
    x = graph.add("Add", [first, x], "trunk_sum")
    stages = list(generator.upsample)
    for i, stage in enumerate(stages):
        assert isinstance(stage, Upsample)
        name = f"upsample.{i}"
        x = graph.conv(x, f"{name}.conv", stage.conv.weight, _bias(stage.conv))
        if rewrite_tail and stage is stages[-1]:
            x = graph.prelu(x, f"{name}.act", stage.act.weight.repeat_interleave(4))
        else:
            x = graph.shuffle(x, f"{name}.shuffle")
            x = graph.prelu(x, f"{name}.act", stage.act.weight)
    weight, bias = generator.tail.weight / 2, (_bias(generator.tail) + 1) / 2
    if rewrite_tail:
        x = graph.conv(x, "tail", tail_before_shuffle(weight), bias.repeat_interleave(4))
        graph.shuffle(x, "sr")
    else:
        graph.conv(x, "tail", weight, bias)
        graph.add("Identity", ["tail"], "sr")
    shape = ["n", 3, "height", "width"]
    sr_shape = ["n", 3, f"{generator.scale}*height", f"{generator.scale}*width"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "generator",
            [helper.make_tensor_value_info("lr", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("sr", TensorProto.FLOAT, sr_shape)],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="srgan",
        ir_version=8,
    )
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def parity(model: onnx.ModelProto, generator: Generator) -> float:
    """Return the largest difference between the ONNX model, run by OpenVINO in fp32, and the generator.

    Both run on pictures of uniform noise in [0, 1] of every size in PARITY_SIZES.
    """
    from srgan.inference.openvino import OpenVinoNetwork

    network = OpenVinoNetwork(model.SerializeToString(), precision="fp32")
    generator = generator.float().eval()
    random = np.random.default_rng(0)
    worst = 0.0
    for height, width in PARITY_SIZES:
        lr: NDArray[np.float32] = random.random((1, 3, height, width), dtype=np.float32)
        with torch.inference_mode():
            expected = generator(torch.from_numpy(lr)).numpy()
        worst = max(worst, float(np.abs(network(lr) - expected).max()))
    return worst


def export(
    generator: Generator, path: Path, metadata: dict[str, object], *, half: bool = True, tolerance: float = 2e-3
) -> float:
    """Write the generator to `path` as ONNX and return the largest difference that the parity check found.

    `tolerance` is in units of the picture's range [0, 1]: half a level of 255 by default. Raises ExportError
    and writes nothing where the exported network differs by more.
    """
    model = build_onnx(generator, metadata, half=half)
    difference = parity(model, generator)
    if not difference <= tolerance:
        raise ExportError(
            f"{os.fspath(path)} not written: the exported network differs by {difference:.2g} from the"
            f" checkpoint's, more than {tolerance:.2g}"
        )
    with written_whole(path) as file:
        file.write(model.SerializeToString())
    return difference


def _bias(conv: torch.nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
