import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from srgan.cli import main
from srgan.cli.models import _details, _row
from srgan.weights import NAMES


def test_what_is_shipped_is_listed(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    size = f"{(shipped / 'srgan.onnx').stat().st_size / 1e6:.1f} MB"
    rest = ["11,571", size, "-", "-", "Apache-2.0", "random numbers, for tests"]
    assert [re.split("  +", line) for line in lines] == [
        ["model", "parameters", "size", "Set14 psnr_y", "Set14 lpips", "licence", "summary"],
        *([name, *rest] for name in NAMES),
    ]


def test_what_a_network_is_is_told_in_full(shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(shipped / "srresnet.onnx", tmp_path / "mine.onnx")
    assert main(["models", "srgan-plus", str(tmp_path / "mine.onnx")]) == 0
    told = [
        "  summary     random numbers, for tests",
        "  network     tiny_x4",
        "  parameters  11,571",
        "  scale       4",
        "  licence     Apache-2.0",
        "  training    data: none",
        "  training    patches: 16,000",
        "  scores      Set5: psnr_y 12.5, ssim_y 0.4",
    ]
    lines = capsys.readouterr().out.splitlines()
    theirs, mine = ["  name        srgan-plus", *told], ["  name        srresnet", *told]
    assert lines == ["srgan-plus", *theirs, "", str(tmp_path / "mine.onnx"), *mine]
    assert main(["models", "SRGAN"]) == 1
    assert capsys.readouterr().err.startswith("srgan: error: SRGAN: no model of this name (srgan-plus, srgan-photo, ")


def test_a_line_of_the_list_has_the_scores_of_a_set_in_the_middle() -> None:
    card = {"name": "mine", "parameters": 1_500_000, "licence": "MIT", "summary": "a test"}
    scores = {"Set5": {"psnr_y": 32.1, "lpips": 0.2}, "Set14": {"psnr_y": 28.456, "lpips": 0.12346}}
    row = ("mine", "1,500,000", "3.0 MB", "28.46", "0.1235", "MIT", "a test")
    assert _row(card | {"scores": scores}, 3_000_000) == row


def test_what_is_told_of_a_network_is_in_lines_of_100_characters() -> None:
    told = list(_details({"summary": "nine more " * 12, "training": {"seconds": 1234.5}}))
    assert told == [
        f"summary     {'nine more ' * 8}nine",
        f"{'':12}more nine more nine more nine more",
        "training    seconds: 1234.5",
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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a system without /dev/full")  # noqa: PTH110
def test_an_output_without_room_is_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "srgan", "models"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "srgan: error: standard output: cannot be written: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "srgan", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (1, "")
