import json
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from conftest import card_of
from srgan.errors import ArgumentError, RuntimeMissingError, WeightsError
from srgan.inference import runtime
from srgan.inference.onnxruntime import PROVIDER_VARIABLE, OnnxRuntimeNetwork
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.runtime import choose_runtime, load_network
from srgan.inference.torch import TorchNetwork
from srgan.models.generator import Generator
from srgan.models.tensors import save_generator
from srgan.weights import WeightsFiles

HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
LR: NDArray[np.float32] = np.random.default_rng(1).random((2, 3, 19, 31), dtype=np.float32)


def run(generator: Generator) -> NDArray[np.float32]:
    with torch.inference_mode():
        sr: NDArray[np.float32] = generator(torch.from_numpy(LR)).numpy()
    return sr


@pytest.fixture(scope="module")
def expected(tiny: Generator) -> NDArray[np.float32]:
    return run(tiny)


def test_the_test_network_says_something(expected: NDArray[np.float32]) -> None:
    assert expected.shape == (2, 3, 76, 124)
    assert expected.std() > 0.05


def test_openvino_in_fp32_is_the_generator(tiny_onnx: Path, expected: NDArray[np.float32]) -> None:
    network = OpenVinoNetwork(tiny_onnx, precision="fp32")
    assert (network.runtime, network.precision, network.scale, network.halo) == ("openvino", "fp32", 4, 12)
    assert network.card["name"] == "tiny"
    assert network.device
    assert network.in_fp32() is network
    sr = network(LR)
    assert sr.dtype == np.float32
    np.testing.assert_allclose(sr, expected, atol=2e-5)


@pytest.mark.skipif(not HAS_BF16, reason="a processor with bf16")
def test_openvino_in_bf16_is_near_and_has_a_twin_in_fp32(tiny_onnx: Path, expected: NDArray[np.float32]) -> None:
    network = OpenVinoNetwork(tiny_onnx.read_bytes())
    assert network.precision == "bf16"
    difference = np.abs(network(LR) - expected).max()
    assert 1e-4 < difference < 0.03, "bf16 is what computes"
    twin = network.in_fp32()
    assert twin.precision == "fp32"
    assert twin.tile_pixels < network.tile_pixels
    assert network.in_fp32() is twin
    np.testing.assert_allclose(twin(LR), expected, atol=2e-5)


@pytest.mark.skipif(HAS_BF16, reason="a processor without bf16")
def test_openvino_refuses_bf16_without_hardware(tiny_onnx: Path) -> None:
    assert OpenVinoNetwork(tiny_onnx).precision == "fp32"
    with pytest.raises(ArgumentError, match="has no bf16: use fp32"):
        OpenVinoNetwork(tiny_onnx, precision="bf16")


def test_an_openvino_result_is_not_overwritten_by_the_next(tiny_onnx: Path, expected: NDArray[np.float32]) -> None:
    network = OpenVinoNetwork(tiny_onnx, precision="fp32")
    first = network(LR)
    network(np.zeros_like(LR))
    np.testing.assert_allclose(first, expected, atol=2e-5)


def test_openvino_takes_as_many_threads_as_it_is_told(tiny_onnx: Path) -> None:
    network = OpenVinoNetwork(tiny_onnx, threads=1)
    assert network._request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1


def test_onnxruntime_is_the_generator(tiny_onnx: Path, expected: NDArray[np.float32]) -> None:
    network = OnnxRuntimeNetwork(tiny_onnx, provider="CPUExecutionProvider")
    assert (network.runtime, network.precision, network.scale, network.halo) == ("onnxruntime", "fp32", 4, 12)
    assert network.device == "CPUExecutionProvider"
    assert network.card["name"] == "tiny"
    assert network.in_fp32() is network
    np.testing.assert_allclose(network(LR), expected, atol=2e-5)


def test_onnxruntime_refuses_bf16_and_unknown_providers(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="onnxruntime computes in fp32 only"):
        OnnxRuntimeNetwork(tiny_onnx, precision="bf16")
    monkeypatch.setenv(PROVIDER_VARIABLE, "AbacusExecutionProvider")
    with pytest.raises(ArgumentError, match=r"has no AbacusExecutionProvider: .*CPUExecutionProvider"):
        OnnxRuntimeNetwork(tiny_onnx)


def test_torch_is_the_generator(paper: Generator, paper_safetensors: Path) -> None:
    network = TorchNetwork(paper_safetensors, precision="fp32")
    assert (network.runtime, network.precision, network.scale, network.halo) == ("torch", "fp32", 4, 40)
    assert network.card["name"] == "paper"
    assert network.in_fp32() is network
    expected = run(paper)
    atol = 1e-5 if network.device == "CPU" else 1e-4
    np.testing.assert_allclose(network(LR), expected, atol=atol)
    half = TorchNetwork(paper_safetensors, precision="bf16")
    assert 1e-4 < np.abs(half(LR) - expected).max() < 0.1
    np.testing.assert_allclose(half.in_fp32()(LR), expected, atol=atol)


def test_every_runtime_gives_the_same(paper_onnx: Path, paper_safetensors: Path) -> None:
    results = [
        load_network(path, runtime=name, precision="fp32")(LR)
        for name, path in (("openvino", paper_onnx), ("onnxruntime", paper_onnx), ("torch", paper_safetensors))
    ]
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)
    np.testing.assert_allclose(results[0], results[2], atol=1e-4)


@pytest.mark.parametrize("loader", [OpenVinoNetwork, OnnxRuntimeNetwork])
@pytest.mark.parametrize("damage", ["empty", "garbage", "truncated"])
def test_a_damaged_onnx_file_is_an_error(tmp_path: Path, tiny_onnx: Path, loader: type, damage: str) -> None:
    whole = tiny_onnx.read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes({"empty": b"", "garbage": b"garbage" * 99, "truncated": whole[: len(whole) // 2]}[damage])
    with pytest.raises(WeightsError, match=r"net\.onnx: damaged, or not an ONNX model$"):
        loader(path)


@pytest.mark.parametrize("loader", [OpenVinoNetwork, OnnxRuntimeNetwork])
def test_an_onnx_file_without_a_card_is_not_ours(tmp_path: Path, tiny_onnx: Path, loader: type) -> None:
    model = onnx.load(tiny_onnx)
    del model.metadata_props[:]
    path = tmp_path / "foreign.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"foreign\.onnx: holds no card"):
        loader(path)


def test_a_safetensors_file_of_another_network_is_an_error(tmp_path: Path, tiny: Generator) -> None:
    path = tmp_path / "net.safetensors"
    save_generator(tiny, path, card_of(tiny, "tiny", "tiny_x4"))
    with pytest.raises(WeightsError, match=r"net\.safetensors: .*'tiny_x4'"):
        TorchNetwork(path)
    card = card_of(tiny, "tiny", "srresnet_x4")
    save_file({"head.weight": torch.zeros(1)}, path, {"srgan": json.dumps(card)})
    with pytest.raises(WeightsError, match=r"net\.safetensors: .*srresnet_x4"):
        TorchNetwork(path)


def test_a_truncated_safetensors_file_is_an_error(tmp_path: Path, paper_safetensors: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(paper_safetensors.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match=r"net\.safetensors: "):
        TorchNetwork(path)


def test_auto_is_what_can_run_the_file(tiny_onnx: Path, paper_safetensors: Path) -> None:
    assert load_network(tiny_onnx).runtime == "openvino"
    assert load_network(paper_safetensors).runtime == "torch"


@pytest.mark.parametrize(
    ("installed", "cuda", "choice"),
    [
        ({"openvino", "onnxruntime", "torch"}, True, "torch"),
        ({"openvino", "onnxruntime", "torch"}, False, "openvino"),
        ({"onnxruntime"}, False, "onnxruntime"),
        (set(), False, "openvino"),
    ],
)
def test_auto_is_the_best_that_is_there(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], cuda: bool, choice: str
) -> None:
    monkeypatch.setattr(runtime, "_installed", installed.__contains__)
    monkeypatch.setattr(runtime, "_torch_has_cuda", lambda: cuda)
    assert choose_runtime(WeightsFiles(Path("a.onnx"), Path("a.safetensors"))) == choice


def test_a_file_for_another_runtime_is_an_error(tiny_onnx: Path, paper_safetensors: Path) -> None:
    with pytest.raises(WeightsError, match=r"the runtime torch needs a \.safetensors file; openvino can run this one"):
        load_network(tiny_onnx, runtime="torch")
    with pytest.raises(WeightsError, match=r"the runtime onnxruntime needs a \.onnx file; torch can run this one"):
        load_network(paper_safetensors, runtime="onnxruntime")


def test_a_missing_runtime_says_what_to_install(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "srgan.inference.onnxruntime")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError, match=r"onnxruntime is not installed.*pip install 'srgan\[onnxruntime\]'"):
        load_network(tiny_onnx, runtime="onnxruntime")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runtime": "abacus"}, "no runtime 'abacus': auto, openvino, onnxruntime, torch"),
        ({"precision": "int8"}, "no precision 'int8': auto, bf16, fp32"),
        ({"threads": 0}, "0 threads cannot compute"),
    ],
)
def test_arguments_that_cannot_be_are_refused(tiny_onnx: Path, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        load_network(tiny_onnx, **arguments)  # type: ignore[arg-type]
