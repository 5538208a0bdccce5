"""From a trained generator to an ONNX file that any runtime can run, checked against the generator itself.

Batch norms are folded into their convolutions, the network's own step from [-1, 1] to [0, 1] goes into the
last one, and the tail stands before the last PixelShuffle, as `srgan.models.generator` explains.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from srgan.atomic import written_whole
from srgan.errors import ExportError, SrganError
from srgan.models.generator import (
    Generator,
    ResidualBlock,
    Upsample,
    fold_batch_norm,
    folded,
    tail_before_shuffle,
)
from srgan.models.tensors import load_generator, new_card, save_generator
from srgan.training import checkpoint
from srgan.weights import METADATA_KEY, Card, checksum, read_card

OPSET = 17
PARITY_SIZES = ((24, 24), (1, 1), (1, 37), (23, 5), (31, 47))
"""Heights and widths on which an exported network must equal the generator."""

TOLERANCE = 2e-3
"""How far an exported network may be from the generator, in units of the range [0, 1]: half a level."""


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

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x: str, name: str, weight: Tensor, bias: Tensor) -> str:
        pad = weight.shape[-1] // 2
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Conv", inputs, name, kernel_shape=list(weight.shape[2:]), pads=[pad] * 4)

    def prelu(self, x: str, name: str, slope: Tensor) -> str:
        return self.add("PRelu", [x, self.constant(f"{name}.slope", slope.view(-1, 1, 1))], name)

    def shuffle(self, x: str, name: str, factor: int = 2) -> str:
        return self.add("DepthToSpace", [x], name, blocksize=factor, mode="CRD")


def build_onnx(generator: Generator, card: Card, *, half: bool = True, rewrite: bool = True) -> onnx.ModelProto:
    """Return the generator as an ONNX model: "lr" (N, 3, H, W) to "sr" (N, 3, 4H, 4W), float32 in [0, 1].

    With `half` the weights are stored as float16 (computing stays float32). `card` goes into the file as
    JSON. `rewrite=False` leaves PReLU and the last convolution behind PixelShuffle, as the paper
    draws them, to measure against.
    """
    graph = _Graph(np.float16 if half else np.float32)
    x = graph.conv("lr", "head", generator.head.weight, _bias(generator.head))
    first = x = graph.prelu(x, "head_act", generator.head_act.weight)
    for i, block in enumerate(generator.blocks):
        assert isinstance(block, ResidualBlock)
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
        if rewrite:
            x = graph.prelu(x, f"{name}.act", stage.act.weight.repeat_interleave(4))
        if not rewrite or stage is not stages[-1]:
            x = graph.shuffle(x, f"{name}.shuffle")
        if not rewrite:
            x = graph.prelu(x, f"{name}.act", stage.act.weight)
    weight, bias = generator.tail.weight / 2, (_bias(generator.tail) + 1) / 2
    factor = generator.shuffle
    if rewrite and stages:
        weight, bias, factor = tail_before_shuffle(weight), bias.repeat_interleave(4), 2
    x = graph.conv(x, "tail", weight, bias)
    if factor > 1:
        graph.shuffle(x, "sr", factor)
    else:
        graph.add("Identity", [x], "sr")
    shape: list[str | int | None] = ["n", 3, "height", "width"]
    sr_shape: list[str | int | None] = ["n", 3, f"{generator.scale}*height", f"{generator.scale}*width"]
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
    entry.key, entry.value = METADATA_KEY, json.dumps(card)
    onnx.checker.check_model(model, full_check=True)
    return model


def parity(model: onnx.ModelProto, generator: Generator) -> float:
    """Return the largest difference between the ONNX model, run by OpenVINO in fp32, and the generator.

    Both run on pictures of uniform noise in [0, 1] of every size in PARITY_SIZES. The difference is infinite
    where one of them gives a value that is not finite.
    """
    from srgan.inference.openvino import OpenVinoNetwork

    generator = generator.float().eval()
    random = np.random.default_rng(0)
    pictures = [random.random((1, 3, height, width), dtype=np.float32) for height, width in PARITY_SIZES]
    with torch.inference_mode():
        expected = [generator(torch.from_numpy(lr)).numpy() for lr in pictures]
    if not all(np.isfinite(sr).all() for sr in expected):
        return math.inf
    network = OpenVinoNetwork(model.SerializeToString(), precision="fp32")
    worst = 0.0
    for lr, sr in zip(pictures, expected, strict=True):
        difference = float(np.abs(network(lr) - sr).max())
        worst = max(worst, difference if math.isfinite(difference) else math.inf)
    return worst


def export(
    source: str | Path,
    outputs: Sequence[str | Path],
    *,
    name: str | None = None,
    summary: str | None = None,
    trained_on: str | None = None,
    scores: Path | None = None,
    blend: tuple[Path, float] | None = None,
) -> float:
    """Write a trained generator as .onnx or .safetensors files, all with the same weights and the same card.

    source     a checkpoint, of which the averaged generator is taken, or a .safetensors file
    outputs    where to write; the suffix says what
    name, summary, trained_on   for the card; trained_on says in words what the data were, and their licences
    scores     a file of `srgan evaluate --json`; its entries for the bytes of `source` or of one of `outputs` count,
               where there are none for their paths, and else for `name`; not for an output with another network
    blend      another generator of the same network, whose batch norm is folded where this one has none, and its
               share, in [0, 1], of each weight (network interpolation, Wang et al. 2018, section 3.4)

    The weights are rounded to float16, which is how they are stored. Returns the largest difference from the network
    so rounded that `parity` found. Raises ExportError where it is over TOLERANCE, or float16 has no such number, and
    writes nothing then; CheckpointError or WeightsError for what is no generator of ours, OutputError where a file
    cannot be written.
    """
    source, files = Path(source), [Path(path) for path in outputs]
    if not files:
        raise ExportError("no file to write")
    for path in files:
        if path.suffix.lower() not in (".onnx", ".safetensors"):
            raise ExportError(f"{path}: written are .onnx and .safetensors")
    generator, card = _read(source)
    if blend is not None:
        _blend(generator, card, *blend)
    card["name"] = name or card["name"]
    card["summary"] = summary or card.get("summary", "")
    if trained_on is not None:
        card["training"] = card.get("training", {}) | {"data": trained_on}
    for key, tensor in generator.state_dict().items():
        if tensor.is_floating_point():
            rounded = tensor.half()
            if tensor.isfinite().all() and not rounded.isfinite().all():
                raise ExportError(f"{files[0]}: not written: {key} has {tensor.abs().max():.3g}, too much for float16")
            tensor.copy_(rounded)
    if scores is not None:
        ours = [] if blend else [source]
        called = None if blend and name is None else card["name"]  # a blend is not called so yet
        card["scores"] = _scores(scores, card, [*ours, *(path for path in files if _may_be(path, generator))], called)
    model = build_onnx(generator, card)
    difference = parity(model, generator)
    if difference == math.inf:
        raise ExportError(f"{files[0]}: not written: the network gives values that are not finite")
    if difference > TOLERANCE:
        raise ExportError(
            f"{files[0]}: not written: the exported network differs by {difference:.2g} from the trained one in"
            f" float16, more than {TOLERANCE:.2g}"
        )
    for path in files:
        if path.suffix.lower() == ".safetensors":
            save_generator(generator, path, card)
        else:
            with written_whole(path) as file:
                file.write(model.SerializeToString())
    return difference


def _read(source: Path) -> tuple[Generator, Card]:
    """Return the generator of a checkpoint or a safetensors file, and its card as far as it is known."""
    if source.suffix.lower() == ".safetensors":
        return load_generator(source)
    if source.suffix.lower() == ".onnx":
        raise ExportError(f"{source}: an ONNX file is not exported again: take its .safetensors, or the checkpoint")
    generator, recipe, state = checkpoint.trained(source)
    training = {
        "patches": state["patches"],
        "hours": round(state["seconds"] / 3600, 2),
        **state["origin"],
        "recipe": asdict(recipe),
    }
    return generator, new_card(recipe.name, recipe.network, generator, training)


def _blend(generator: Generator, card: Card, other: Path, share: float) -> None:
    """Move every weight and statistic of the generator towards those of another, and say so in the card."""
    if not 0 <= share <= 1:
        raise ExportError(f"{other}: a blend takes a share in [0, 1] of it, not {share:g}")
    theirs, their_card = _read(other)
    if generator.plain:
        theirs = folded(theirs)
    if (theirs.plain, theirs.shape) != (generator.plain, generator.shape):
        raise ExportError(f"{other}: a {card['network']} is blended with another, not with a {their_card['network']}")
    state = theirs.state_dict()
    for key, tensor in generator.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(state[key], share)
    training = card.get("training", {})
    steps = [training["blend"]] if "blend" in training else []
    blend = ", then ".join([*steps, f"{share:g} of each weight from {their_card['name']}"])
    card |= {"training": training | {"blend": blend}, "scores": {}, "summary": ""}  # which are of other weights


def _may_be(path: Path, generator: Generator) -> bool:
    """Return whether there is nothing at a path yet, or a file with just these weights."""
    if not path.exists():
        return True
    try:
        if path.suffix.lower() == ".safetensors":
            there, ours = load_generator(path)[0].state_dict(), generator.state_dict()
            return there.keys() == ours.keys() and all(torch.equal(there[key], ours[key]) for key in ours)
        return path.read_bytes() == bytes(build_onnx(generator, read_card(path)).SerializeToString())
    except (SrganError, OSError):
        return False


def _scores(path: Path, card: Card, files: Sequence[Path], called: str | None) -> dict[str, dict[str, float]]:
    """Return the mean scores by set that a file of `srgan evaluate --json` holds for a model.

    Those of `files`, which have its weights, by their checksums count, where there are none by their paths, and else by
    what it is `called`. Raises ExportError where there are none, a set has two, or other pixels were cut off the
    borders than cards have it.
    """
    checksums = {checksum(file) for file in files if file.is_file()}
    try:
        results = json.loads(path.read_text())["results"]
        ways = (("weights", checksums), ("model", {*map(str, files)}), ("model", {called} - {None}))
        ours = next(filter(None, ([r for r in results if r.get(key) in known] for key, known in ways)), [])
        found = {r["set"]: {k: round(v, 4) for k, v in r["mean"].items() if v is not None} for r in ours}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"{path}: not a file of scores: {error}") from error
    if not found:
        raise ExportError(f"{path}: no scores of {' or '.join([called or card['name'], *map(str, files)])}")
    if len(found) < len(ours):
        raise ExportError(f"{path}: two results of {' and '.join(sorted({r['model'] for r in ours}))} for one set")
    scale = card["scale"]
    if borders := {r.get("border", scale) for r in ours} - {scale}:
        raise ExportError(f"{path}: scores of a border of {borders.pop()} pixels, where those of cards have {scale}")
    return found


def _bias(conv: torch.nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
