import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import runs
from srgan.export import build_onnx
from srgan.models.generator import GENERATORS, Generator, srresnet_x4
from srgan.models.tensors import new_card, save_generator
from srgan.weights import NAMES, Card


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in the place of ~/.cache, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C has its meaning, here and in what is started, also where a shell's `&` has had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def held_by_permissions() -> Iterator[Path]:
    """A folder of a user whom permissions hold, as whom the test runs: root, whom they do not, is nobody meanwhile."""
    user, folder = os.geteuid(), Path(tempfile.mkdtemp())
    if user == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)


def randomised(generator: Generator, seed: int) -> Generator:
    """Give every parameter and statistic a random value, with results spread around 0.5 by 0.2."""
    random = torch.Generator().manual_seed(seed)
    for name, values in generator.state_dict().items():
        if name.endswith("running_var") or (name.endswith("weight") and "bn" in name):
            values.uniform_(0.5, 1, generator=random)
        elif values.ndim == 4:
            values.normal_(0, values[0].numel() ** -0.5, generator=random)
        elif values.is_floating_point():
            values.uniform_(-0.1, 0.1, generator=random)
    generator.eval()
    with torch.inference_mode():
        sr = generator(torch.rand(1, 3, 32, 32, generator=random)) * 2 - 1
        std, mean = torch.std_mean(sr)
        for tensor in (generator.tail.weight, generator.tail.bias):
            assert tensor is not None
            tensor.mul_(0.4 / std)
        generator.tail.bias.sub_(mean * 0.4 / std)  # type: ignore[union-attr]
    return generator


def card_of(generator: Generator, name: str, network: str) -> Card:
    card = new_card(name, network, generator, {"data": "none", "patches": 16_000, "recipe": {"seed": 0}})
    return card | {"summary": "random numbers, for tests", "scores": {"Set5": {"psnr_y": 12.5, "ssim_y": 0.4}}}


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes, checkpoints and weights may name the small generators, and the paper's discriminator is a small one."""
    for name, build in runs.SMALL.items():
        monkeypatch.setitem(GENERATORS, name, build)
    monkeypatch.setattr("srgan.training.steps.srgan_discriminator", runs.small_discriminator)


@pytest.fixture(scope="session")
def tiny() -> Generator:
    """A generator with the paper's parts, but small: four times the size, halo 12."""
    return randomised(runs.tiny_x4(), seed=0)


@pytest.fixture(scope="session")
def tiny_onnx(tiny: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny generator as an ONNX file with float32 weights."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    model = build_onnx(tiny, card_of(tiny, "tiny", "tiny_x4"), half=False)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="session")
def paper() -> Generator:
    """The paper's generator with random weights."""
    return randomised(srresnet_x4(), seed=1)


@pytest.fixture(scope="session")
def paper_onnx(paper: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paper") / "paper.onnx"
    model = build_onnx(paper, card_of(paper, "paper", "srresnet_x4"), half=False)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="session")
def paper_safetensors(paper: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paper") / "paper.safetensors"
    save_generator(paper, path, card_of(paper, "paper", "srresnet_x4"), half=False)
    return path


@pytest.fixture(scope="session")
def tiny_weights(tiny: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny network by the names of the shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        card = card_of(tiny, name, "tiny_x4")
        (folder / f"{name}.onnx").write_bytes(build_onnx(tiny, card, half=False).SerializeToString())
        save_generator(tiny, folder / f"{name}.safetensors", card)
    return folder


@pytest.fixture
def shipped(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own with the tiny network in the place of the shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(tiny_weights, folder, dirs_exist_ok=True)
    monkeypatch.setattr("srgan.weights._FOLDER", folder)
    return folder


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    """A picture of 13x17 pixels with every level as likely."""
    return np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs the rights of root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
