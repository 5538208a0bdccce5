import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from srgan.cli import main


def test_what_is_shipped_is_listed(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    size = f"{(shipped / 'srgan.onnx').stat().st_size / 1e6:.1f} MB"
    assert [re.split("  +", line) for line in lines[:5]] == [
        ["model", "parameters", "size", "licence", "summary"],
        ["srgan-plus", "11,571", size, "Apache-2.0", "random numbers, for tests"],
        ["srgan-photo", "11,571", size, "Apache-2.0", "random numbers, for tests"],
        ["srgan", "11,571", size, "Apache-2.0", "random numbers, for tests"],
        ["srresnet", "11,571", size, "Apache-2.0", "random numbers, for tests"],
    ]
    assert lines[5:11] == [
        "",
        "srgan-plus",
        "  training  data: none",
        "  training  patches: 16,000",
        "  scores    Set5: psnr_y 12.5, ssim_y 0.4",
        "",
    ]


def test_weights_that_are_not_there_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("srgan.weights._FOLDER", tmp_path)
    assert main(["models"]) == 1
    assert (
        capsys.readouterr().err
        == "srgan: error: srgan-plus: this installation lacks srgan-plus.onnx and srgan-plus.safetensors\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "srgan", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert result.stderr == ""
