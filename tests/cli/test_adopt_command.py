"""srgan adopt as a user runs it."""

from pathlib import Path

import onnx
import pytest
from PIL import Image

from srgan.cli import main


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
    assert main(["adopt", adopted, "-o", str(tmp_path / "again.onnx")]) == 1
    assert capsys.readouterr().err == f"srgan: error: {adopted}: has a card already, of Theirs\n"
