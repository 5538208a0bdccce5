import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
from srgan.image.colour import to_network
from srgan.inference import compiled, runtime
from srgan.inference.network import Network, NotFiniteError, levels_by_floats
from srgan.inference.onnxruntime import PROVIDER_VARIABLE, OnnxRuntimeNetwork
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.runtime import RUNTIMES, choose_runtime, load_network
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


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_pixel_of_the_compact_network_takes_a_fifth_of_the_memory(runtime: str) -> None:
    compact, usual = (load_network(name, runtime=runtime, precision="fp32") for name in ("srgan-fast", "srgan-plus"))
    assert compact.card["network"] == "srresnet_compact_x4"
    assert 5 * compact.pixel_bytes == usual.pixel_bytes


@pytest.mark.skipif(not HAS_BF16, reason="a processor with bf16")
def test_openvino_in_bf16_is_near_and_has_a_twin_in_fp32(tiny_onnx: Path, expected: NDArray[np.float32]) -> None:
    network = OpenVinoNetwork(tiny_onnx.read_bytes())
    assert network.precision == "bf16"
    difference = np.abs(network(LR) - expected).max()
    assert 1e-4 < difference < 0.03, "bf16 is what computes"
    twin = network.in_fp32()
    assert twin.precision == "fp32"
    assert twin.pixel_bytes > network.pixel_bytes
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
    assert network._levels.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1


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


def levels_of(network: Network, lr: NDArray[np.uint8]) -> NDArray[np.int64]:
    sr = network.levels(lr)
    assert sr.dtype == np.uint8
    assert sr.shape == (lr.shape[0] * 4, lr.shape[1] * 4, 3)
    return sr.astype(np.int64)


@pytest.mark.parametrize("size", [(1, 1), (1, 23), (19, 31)])
def test_levels_are_the_clipped_and_rounded_floats(
    paper_onnx: Path, paper_safetensors: Path, size: tuple[int, int]
) -> None:
    lr = np.random.default_rng(7).integers(0, 256, (*size, 3), dtype=np.uint8)
    for name, path in (("openvino", paper_onnx), ("onnxruntime", paper_onnx), ("torch", paper_safetensors)):
        network = load_network(path, runtime=name, precision="fp32")
        values = network(to_network(lr))[0].transpose(1, 2, 0)
        assert values.min() < 0 or size != (19, 31), "clipping is looked at"
        expected = np.floor(values.clip(0, 1) * 255 + 0.5)
        difference = np.abs(levels_of(network, lr) - expected)
        assert difference.max() <= 1
        assert difference.mean() < 0.01, "next to .5 alone may they differ"


@pytest.mark.skipif(not HAS_BF16, reason="a processor with bf16")
def test_levels_in_bf16_are_nearer_to_fp32_than_the_rounded_floats_are(paper_onnx: Path) -> None:
    """The last rounding is of float32, not of a bf16 number, whose steps near white are a whole level."""
    lr = np.random.default_rng(8).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    half, full = (OpenVinoNetwork(paper_onnx, precision=precision) for precision in ("bf16", "fp32"))
    floats = levels_by_floats(half, lr).astype(np.int64)
    exact = levels_of(full, lr)
    assert np.square(levels_of(half, lr) - exact).mean() < np.square(floats - exact).mean()


def test_weights_that_are_not_finite_are_an_error(tmp_path: Path, tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    tensor = next(t for t in model.graph.initializer if t.name == "tail.weight")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[7] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"net\.onnx: holds weights that are not finite$"):
        OpenVinoNetwork(path)
    network = OnnxRuntimeNetwork(path)
    with pytest.raises(NotFiniteError):
        network.levels(np.zeros((20, 20, 3), dtype=np.uint8))


def test_a_compiled_network_is_kept_and_used_again(
    tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lr = np.random.default_rng(9).integers(0, 256, (19, 31, 3), dtype=np.uint8)
    first = OpenVinoNetwork(tiny_onnx)
    expected = levels_of(first, lr)
    (kept,) = compiled.folder().iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(openvino.Core, "compile_model", None)
        again = OpenVinoNetwork(tiny_onnx)
        assert again.card == first.card
        assert np.array_equal(levels_of(again, lr), expected)
        with pytest.raises(TypeError):
            OpenVinoNetwork(tiny_onnx, threads=1)
    for damage in (b"", b"garbage", kept.read_bytes()[:-10], kept.read_bytes()[:9000] + b"\0" * 9000):
        kept.write_bytes(damage)
        assert np.array_equal(levels_of(OpenVinoNetwork(tiny_onnx), lr), expected)


def test_no_more_than_a_few_compiled_networks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for number in range(compiled.KEPT + 3):
        compiled.keep(f"key{number}", "{}", b"blob")
        os.utime(compiled.folder() / f"key{number}", (number, number))
    assert compiled.recall("key0") is None
    assert compiled.recall("key10") == ("{}", b"blob")
    assert len(list(compiled.folder().iterdir())) == compiled.KEPT
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compiled.keep("key", "{}", b"blob")
    assert compiled.recall("key") is None


def test_a_compiled_network_of_which_a_byte_is_another_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.keep("key", "{}", b"the\nblob")
    assert compiled.recall("key") == ("{}", b"the\nblob")
    path = compiled.folder() / "key"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert compiled.recall("key") is None
    path.write_bytes(whole)
    assert compiled.recall("key") == ("{}", b"the\nblob")


def test_torch_takes_as_many_threads_as_it_is_told_whoever_loaded_it(paper_safetensors: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("for the processor")
    before = torch.get_num_threads()
    told = before + 1
    with ThreadPoolExecutor(1) as pool:
        network = pool.submit(TorchNetwork, paper_safetensors, threads=told).result()
    try:
        network(np.zeros((1, 3, 4, 4), np.float32))
        assert torch.get_num_threads() == told
    finally:
        torch.set_num_threads(before)


def test_a_network_that_has_rested_computes_the_same(tiny_onnx: Path, paper_safetensors: Path) -> None:
    networks: list[Network] = [OpenVinoNetwork(tiny_onnx), OnnxRuntimeNetwork(tiny_onnx)]
    networks.append(TorchNetwork(paper_safetensors))
    lr = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for network in networks:
        before, floats = network.levels(lr), network.in_fp32()(LR)
        network.rest()
        np.testing.assert_array_equal(network.levels(lr), before)
        np.testing.assert_array_equal(network.in_fp32()(LR), floats)


def test_nobody_is_told_that_a_network_was_loaded(tmp_path: Path) -> None:
    """OpenVINO's converter reports its import to Google Analytics, unless its telemetry cannot be imported."""
    program = """if True:
        import socket, sys
        asked = []
        socket.getaddrinfo = lambda *what, **how: asked.append(what) or []
        import numpy, srgan
        srgan.upscale(numpy.zeros((2, 2, 3), numpy.uint8), "srresnet")
        import openvino_telemetry, openvino.tools.ovc, time
        assert openvino.convert_model  # for those who want it
        time.sleep(0.2)
        assert asked == [], asked
        """
    environment = {key: value for key, value in os.environ.items() if key != "CI"} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert not (tmp_path / "intel").exists()


def test_a_compiled_network_that_is_used_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for number in range(compiled.KEPT):
        compiled.keep(f"key{number}", "{}", b"blob")
        os.utime(compiled.folder() / f"key{number}", (number, number))
    assert compiled.recall("key0") is not None
    compiled.keep("another", "{}", b"blob")
    assert compiled.recall("key0") is not None
    assert compiled.recall("key1") is None


def test_a_compiled_network_of_another_openvino_is_compiled_anew(
    tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lr = np.random.default_rng(9).integers(0, 256, (19, 31, 3), dtype=np.uint8)
    first = OpenVinoNetwork(tiny_onnx)
    expected = first.levels(lr)
    (kept,) = compiled.folder().iterdir()
    compiled.keep(kept.name, json.dumps(first.card), b"what this OpenVINO cannot import")
    assert np.array_equal(OpenVinoNetwork(tiny_onnx).levels(lr), expected)
    monkeypatch.setattr(openvino, "__version__", "another")
    OpenVinoNetwork(tiny_onnx)
    assert len(list(compiled.folder().iterdir())) == 2
