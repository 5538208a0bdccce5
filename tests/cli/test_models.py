import os
import subprocess
import sys
from pathlib import Path

import pytest

from srgan.cli import main


@pytest.mark.usefixtures("shipped")
def test_what_is_shipped_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "parameters", "size", "licence"]
    assert lines[1].split()[0] == "srgan"
    assert lines[2].split()[0] == "srresnet"
    assert lines[1].split()[-1] == "Apache-2.0"
    assert "srgan: random numbers, for tests" in lines
    assert "  training: steps 0" in lines
    assert "  scores: Set5 psnr_y 12.5" in lines


def test_weights_that_are_not_there_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("srgan.weights._FOLDER", tmp_path)
    assert main(["models"]) == 1
    assert capsys.readouterr().err == "srgan: error: srgan: this installation lacks srgan.onnx and srgan.safetensors\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "srgan", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert result.stderr == ""
