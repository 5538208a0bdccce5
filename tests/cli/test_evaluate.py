"""srgan evaluate as a user runs it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runs import photographs
from srgan import evaluation
from srgan.cli import main
from srgan.cli.evaluate import evaluate
from srgan.evaluation import SetScores


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return photographs(tmp_path / "Set2", count=2)


def test_everything_at_once(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--json", str(tmp_path / "scores.json"), "--report", str(tmp_path / "report")]
    arguments = ["bicubic", "--sr", str(folder), "--data", str(folder), "--pictures", "--profile", *files]
    assert main(["evaluate", *arguments]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Set2: 2 pictures, lr by imresize\n")
    for part in ("\n01.png\n", "\nProtocol\n", "\nTime\n", f"Report: {tmp_path}/report/index.html"):
        assert part in out
    perceptual = tmp_path / "cache" / "srgan" / "perceptual"
    assert f"srgan: lpips is left out: no lpips_alex.safetensors in {perceptual}; srgan fetch" in err
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [(r["model"], r["set"]) for r in scores["results"]] == [("bicubic", "Set2"), (str(folder), "Set2")]
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000


def test_some_metrics(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "bicubic", "--data", str(folder), "--metrics", "psnr_y, ssim_y"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == ["psnr_y", "ssim_y"]
    assert err == ""


def test_another_border_is_said_with_the_scores(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.json"
    measured = {}
    for border in ("4", "10"):
        arguments = ["bicubic", "--data", str(folder), "--metrics", "psnr_rgb,ssim_rgb", "--json", str(scores)]
        assert main(["evaluate", *arguments, "--border", border]) == 0
        assert f"\n  border     {border} pixels a side\n" in capsys.readouterr().out
        (result,) = json.loads(scores.read_text())["results"]
        assert result["border"] == int(border)
        measured[border] = result["mean"]
    assert measured["4"] != measured["10"]
    assert main(["evaluate", "bicubic", "--data", str(folder), "--border", "-1"]) == 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["bicubic", "--metrics", "fid"], "no metric 'fid': psnr_y, ssim_y, "),
        ([], "nothing to measure: name a model, or a folder of results with --sr"),
        (["bicubic", "bicubic"], "a model is given twice"),
    ],
)
def test_wrong_usage_is_one_line(
    folder: Path, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments, "--data", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"srgan: error: {line}")


def test_what_is_measured_before_an_error_is_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = photographs(tmp_path / "small", count=1, size=(12, 12))
    files = ["--json", str(tmp_path / "scores.json"), "--report", str(tmp_path / "report")]
    data = ["--data", str(folder), "--data", str(small), "--metrics", "psnr_y"]
    assert main(["evaluate", "bicubic", *data, *files]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("Set2: 2 pictures, lr by imresize\n")
    assert err == f"srgan: error: {small}/00.png: 12x12, a side under 20 pixels cannot be measured\n"
    assert [r["set"] for r in json.loads((tmp_path / "scores.json").read_text())["results"]] == ["Set2"]
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.parametrize(("option", "reason"), [("--json", "File exists"), ("--report", "Not a directory")])
def test_where_results_cannot_be_written_is_said_before_the_work(
    option: str, reason: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["evaluate", "bicubic", "--data", str(folder), option, str(tmp_path / "file" / "x")]) == 1
    out, err = capsys.readouterr()
    end = "/index.html" if option == "--report" else ""
    assert err == f"srgan: error: {tmp_path}/file/x{end}: cannot be written: {reason}\n"
    assert out == ""


def test_help_says_that_a_report_is_a_folder() -> None:
    result = CliRunner().invoke(evaluate, ["--help"])
    assert result.exit_code == 0
    assert "--report DIRECTORY" in result.output


def test_a_metric_that_is_named_and_lacks_its_weights_is_an_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "bicubic", "--data", str(folder), "--metrics", "psnr_y,dists"]) == 1
    out, err = capsys.readouterr()
    perceptual = tmp_path / "cache" / "srgan" / "perceptual"
    assert err.startswith(f"srgan: error: {perceptual}: no lpips_vgg.safetensors, which dists needs; srgan fetch lpips")
    assert out == "", "before the work"


def test_a_metric_that_no_picture_is_large_enough_for_is_said_and_an_error_where_it_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = photographs(tmp_path / "large", count=1, size=(104, 200))
    data = ["evaluate", "bicubic", "--data", str(folder), "--data", str(large)]
    line = "niqe is left out of Set2: every picture is too small for it, or without texture\n"
    assert main(data) == 0
    assert capsys.readouterr().err.endswith(f"\nsrgan: {line}")
    scores = tmp_path / "scores.json"
    assert main([*data, "--metrics", "psnr_y,niqe", "--json", str(scores)]) == 1
    out, err = capsys.readouterr()
    assert err == f"srgan: error: {line}"
    assert [list(r["mean"]) for r in json.loads(scores.read_text())["results"]] == [["psnr_y"], ["psnr_y", "niqe"]]
    assert "\nProtocol\n" in out


def test_what_is_measured_before_ctrl_c_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = evaluation.evaluate

    def interrupted(*what: Any, **how: Any) -> Iterator[SetScores]:
        yield from measured(*what, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr("srgan.evaluation.evaluate", interrupted)
    scores = tmp_path / "scores.json"
    assert main(["evaluate", "bicubic", "--data", str(folder), "--metrics", "psnr_y", "--json", str(scores)]) == 130
    assert capsys.readouterr().out.startswith("Set2: 2 pictures, lr by imresize\n")
    assert [r["set"] for r in json.loads(scores.read_text())["results"]] == ["Set2"]


def test_every_option_reaches_the_evaluation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def measured(*_: Any, **how: Any) -> Iterator[SetScores]:
        seen.append(how)
        return iter(())

    monkeypatch.setattr("srgan.evaluation.evaluate", measured)
    options = ["--lr", "small", "--sr", "theirs", "--precision", "bf16", "--threads", "3"]
    assert main(["evaluate", "srgan", "--data", str(folder), *options]) == 0
    wanted = {"lr": Path("small"), "made": (Path("theirs"),), "precision": "bf16", "threads": 3}
    assert {name: seen[0][name] for name in wanted} == wanted
