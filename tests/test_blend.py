"""Networks between two: the ONNX file's bytes, and PyTorch's generator."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from conftest import card_of, randomised
from srgan.errors import ArgumentError, WeightsError
from srgan.export import build_onnx
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.runtime import load_network
from srgan.models.generator import Generator, blend_folded, folded
from srgan.weights.onnx import blend_onnx

LR = np.random.default_rng(0).random((1, 3, 9, 11), dtype=np.float32)


def other(seed: int = 5) -> Generator:
    return randomised(Generator(channels=8, blocks=2, stages=2, end_kernel=9), seed=seed)


@pytest.mark.parametrize("half", [False, True])
def test_a_blended_file_holds_the_mean_of_the_weights(tiny: Generator, half: bool) -> None:
    card = card_of(tiny, "tiny", "tiny_x4")
    first, second = (build_onnx(network, card, half=half) for network in (tiny, other()))
    blended = onnx.load_from_string(blend_onnx(first.SerializeToString(), second.SerializeToString(), 0.25))
    onnx.checker.check_model(blended)
    assert blended.metadata_props == first.metadata_props
    count = 0
    for a, b, result in zip(first.graph.initializer, second.graph.initializer, blended.graph.initializer, strict=True):
        x, y, z = (onnx.numpy_helper.to_array(tensor).astype(np.float64) for tensor in (a, b, result))
        np.testing.assert_allclose(z, 0.75 * x + 0.25 * y, rtol=1e-3 if half else 1e-6, atol=1e-3 if half else 1e-6)
        count += 1
    assert count > 10


@pytest.mark.parametrize("plain", [False, True])
def test_a_blended_generator_is_the_blended_file(tiny: Generator, plain: bool) -> None:
    """And the two that it lies between stay as they are, whether they have batch norm or not."""
    card = card_of(tiny, "tiny", "tiny_x4")
    first, second = (build_onnx(net, card, half=False).SerializeToString() for net in (tiny, other()))
    expected = OpenVinoNetwork(blend_onnx(first, second, 0.4), precision="fp32")(LR)
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    generator = blend_folded(tiny, folded(other()) if plain else other(), 0.4)
    assert all(torch.equal(value, before[key]) for key, value in tiny.state_dict().items())
    with torch.inference_mode():
        found = generator(torch.from_numpy(LR)).numpy()
    assert np.abs(expected - OpenVinoNetwork(first, precision="fp32")(LR)).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_two_networks_of_other_shapes_have_nothing_between_them(tiny_onnx: Path, paper_onnx: Path) -> None:
    with pytest.raises(WeightsError, match="two different networks"):
        blend_onnx(tiny_onnx.read_bytes(), paper_onnx.read_bytes(), 0.5)
    narrow = randomised(Generator(channels=6, blocks=2, stages=2, end_kernel=9), seed=5)
    content = build_onnx(narrow, card_of(narrow, "narrow", "tiny_x4"), half=False).SerializeToString()
    with pytest.raises(WeightsError, match="two different networks"):
        blend_onnx(tiny_onnx.read_bytes(), content, 0.5)
    with pytest.raises(WeightsError, match=r"not an ONNX model|two different networks"):
        blend_onnx(b"garbage", b"garbage", 0.5)
    with pytest.raises(WeightsError, match="damaged"):
        blend_onnx(tiny_onnx.read_bytes()[:3000], tiny_onnx.read_bytes(), 0.5)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
@pytest.mark.parametrize(
    ("way", "start", "ends"),
    [
        ("detail", 0, ("srresnet", "srgan-plus")),
        ("repair", 0, ("srgan-plus", "srgan-photo")),
        ("repair", 1, ("srgan-photo", "srgan-deblur")),
    ],
)
def test_detail_and_repair_go_from_one_network_to_another(
    runtime: str, way: str, start: int, ends: tuple[str, str]
) -> None:
    lr = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    how: dict[str, Any] = {"runtime": runtime, "precision": "fp32"}
    plain = [load_network(name, **how).levels(lr).astype(int) for name in ends]
    between = [load_network("srgan-plus", **how, **{way: start + share}) for share in (0, 0.5, 1)]  # type: ignore[arg-type]
    results = [network.levels(lr).astype(int) for network in between]
    assert np.abs(results[0] - plain[0]).max() <= 1
    assert np.abs(results[2] - plain[1]).max() <= 1
    assert min(np.abs(results[1] - end).max() for end in plain) > 1
    assert between[1].card["name"] == f"srgan-plus, {way} {start + 0.5}"


@pytest.mark.parametrize(
    ("model", "detail"), [("srresnet", 0.5), ("srgan", 0.5), ("srgan-plus", 1.5), ("srgan-plus", -0.1)]
)
def test_detail_is_the_default_networks_and_from_0_to_1(model: str, detail: float) -> None:
    with pytest.raises(ArgumentError, match="detail goes from 0, srresnet, to 1, srgan-plus; not"):
        load_network(model, detail=detail)
