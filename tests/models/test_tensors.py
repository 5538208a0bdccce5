import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from conftest import card_of
from srgan.errors import WeightsError
from srgan.models.generator import Generator
from srgan.models.tensors import load_generator, load_tensors, save_generator

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.mark.parametrize("suffix", [".safetensors", ".SafeTensors"])
def test_a_generator_comes_back_with_its_card(tiny: Generator, tmp_path: Path, suffix: str) -> None:
    path, card = tmp_path / f"tiny{suffix}", card_of(tiny, "tiny", "tiny_x4")
    save_generator(tiny, path, card, half=False)
    generator, read = load_generator(path)
    assert read == card
    assert not generator.training
    for key, value in tiny.state_dict().items():
        assert torch.equal(generator.state_dict()[key], value), key


def test_half_precision_halves_the_file(tiny: Generator, tmp_path: Path) -> None:
    for half in (False, True):
        save_generator(tiny, tmp_path / f"{half}.safetensors", card_of(tiny, "tiny", "tiny_x4"), half=half)
    header = 5000
    whole, halved = ((tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True))
    assert abs(halved - whole / 2) < header
    generator, _ = load_generator(tmp_path / "True.safetensors")
    torch.testing.assert_close(generator.head.weight, tiny.head.weight, rtol=1e-3, atol=1e-4)


def test_tensors_of_another_network_are_refused(tiny: Generator, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_generator(tiny, path, card_of(tiny, "tiny", "srresnet_x4"))
    with pytest.raises(WeightsError, match=r"tiny\.safetensors: not the tensors of a srresnet_x4"):
        load_generator(path)
    save_generator(tiny, path, card_of(tiny, "tiny", "rrdb_x4"))
    with pytest.raises(WeightsError, match="of an unknown network, 'rrdb_x4'"):
        load_generator(path)


def test_a_file_without_a_card_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="holds no card"):
        load_generator(tmp_path / "foreign.safetensors")


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code that ran",))


def test_no_code_in_a_file_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Malicious()}, tmp_path / "bad.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Malicious(), protocol=2))
    for name in ("bad.pth", "pickle.pth"):
        with pytest.raises(WeightsError, match="not readable weights"):
            load_tensors(tmp_path / name)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_missing_and_damaged_files_are_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load_tensors(tmp_path / name)
    for content in (b"", b"PK\x03\x04 and no more", b"\x00" * 100, b"<html>Not Found</html>"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="not readable weights") as caught:
            load_tensors(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert "weights_only" not in str(caught.value)  # how PyTorch would run it


def test_only_a_state_dict_is_taken(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weights": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="more than a state dict's tensors"):
        load_tensors(tmp_path / "a.pth")
