"""srgan adopt as a user runs it."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from PIL import Image

from srgan.cli import main
from srgan.weights import read_card


def test_a_network_of_another_program_upscales(
    tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(tiny_onnx)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "theirs.onnx")
    theirs, adopted, picture = str(tmp_path / "theirs.onnx"), str(tmp_path / "mine.onnx"), str(tmp_path / "a.png")
    Image.new("RGB", (9, 7), (30, 90, 200)).save(picture)
    assert main(["upscale", picture, "--model", theirs]) == 1
    assert main(["adopt", theirs, "-o", adopted, "--halo", "12", "--name", "Theirs", "--licence", "MIT"]) == 0
    assert capsys.readouterr().out.startswith(f"{adopted}: 4 times the size; windows are within ")
    assert main(["upscale", picture, "--model", adopted]) == 0
    assert "with Theirs, openvino" in capsys.readouterr().out
    with Image.open(tmp_path / "a_x4.png") as large:
        assert large.size == (36, 28)
    assert main(["models", adopted]) == 0
    assert "  licence     MIT" in capsys.readouterr().out.splitlines()
    assert main(["adopt", theirs, "-o", str(tmp_path / "plain.onnx"), "--summary", "of others"]) == 0
    card = read_card(tmp_path / "plain.onnx")
    assert [card[key] for key in ("name", "halo", "licence", "summary")] == ["theirs", 32, "not stated", "of others"]
    assert main(["adopt", adopted, "-o", str(tmp_path / "again.onnx")]) == 1
    assert capsys.readouterr().err == f"srgan: error: {adopted}: has a card already, of Theirs\n"


def test_what_was_measured_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def adopting(*_: Path, halo: int, **__: Any) -> tuple[dict[str, Any], float]:
        return {"scale": 2}, 0.0123 + halo

    monkeypatch.setattr("srgan.inference.adopt.adopt", adopting)
    assert main(["adopt", "theirs.onnx", "-o", str(tmp_path / "a.onnx"), "--halo", "0"]) == 0
    told = f"{tmp_path}/a.onnx: 2 times the size; windows are within 0.012 levels of the whole picture\n"
    assert capsys.readouterr().out == told
