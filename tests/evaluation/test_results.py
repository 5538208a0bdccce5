import json
import math
from pathlib import Path

import numpy as np
import pytest

from srgan.evaluation import METRICS, Score, SetScores, as_json, left_out, tables, write_json
from srgan.evaluation.protocol import PROTOCOL
from srgan.evaluation.results import differences
from srgan.evaluation.statistics import interval
from srgan.evaluation.tables import labels, number

SCORES = (
    SetScores("bicubic", "Set5", "numpy", (Score("a", {"psnr_y": 28.0}), Score("b", {"psnr_y": 29.0}))),
    SetScores("srgan", "Set5", "OpenVINO fp32", (Score("a", {"psnr_y": math.inf}), Score("b", {"psnr_y": 29.0}))),
)


def test_the_interval_of_a_mean_is_near_the_normal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    found = interval(values.tolist())
    assert found is not None
    half = 1.96 * values.std() / 20
    assert list(found) == pytest.approx([values.mean() - half, values.mean() + half], abs=0.02)
    assert interval(values.tolist()) == found
    monkeypatch.setattr("srgan.evaluation.statistics._AT_ONCE", 7 * len(values))
    assert interval(values.tolist()) == found, "however many are drawn together"


def test_the_interval_of_two_values_by_hand() -> None:
    """A quarter of the samples has one of them twice."""
    assert interval([1.0, 3.0]) == (1.0, 3.0)
    assert interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.inf], [1.0, math.nan]])
def test_means_without_an_interval(values: list[float]) -> None:
    assert interval(values) is None


def test_a_metric_that_some_pictures_lack_is_the_mean_of_the_others() -> None:
    scores = SetScores("m", "s", "d", (Score("a", {"x": 1.0, "niqe": 4.0}), Score("b", {"x": 2.0})))
    assert scores.mean() == {"x": 1.5, "niqe": 4.0}


def test_differences_are_of_pairs() -> None:
    """A model that is always 1 better has no doubt in its difference, however far the pictures are apart."""
    a = SetScores("a", "Set5", "", tuple(Score(str(i), {"psnr_y": float(i * i)}) for i in range(5)))
    b = SetScores("b", "Set5", "", tuple(Score(str(i), {"psnr_y": float(i * i + 1)}) for i in range(5)))
    other = SetScores("c", "Set14", "", b.scores)
    (difference,) = differences([a, b, other])
    assert (difference.model, difference.baseline, difference.folder) == ("b", "a", "Set5")
    assert difference.mean == {"psnr_y": 1.0}
    assert difference.interval == {"psnr_y": (1.0, 1.0)}
    (equal,) = differences([SCORES[1], SCORES[1]])
    assert equal.mean == {"psnr_y": 0.0}


@pytest.mark.filterwarnings("error")
def test_two_models_that_are_each_without_error_once_have_no_mean_difference() -> None:
    exact = {"psnr_y": math.inf, "ssim_y": 1.0}, {"psnr_y": 30.0, "ssim_y": 0.5}
    one, two = (
        SetScores(name, "Set5", "", tuple(Score(*both) for both in zip("ab", order, strict=True)))
        for name, order in (("one", exact), ("two", exact[::-1]))
    )
    (difference,) = differences([one, two])
    assert difference.mean == {"ssim_y": 0.0}
    assert difference.interval.keys() == {"ssim_y"}


def test_the_tables_by_hand() -> None:
    a = SetScores(
        "bicubic", "Set5", "numpy", (Score("a", {"psnr_y": 28.0, "lpips": 0.3}), Score("b", {"psnr_y": 28.0}))
    )
    b = SetScores("srgan", "Set5", "openvino", (Score("a", {"psnr_y": 29.0}), Score("b", {"psnr_y": 29.5})), "f" * 64)
    lines = tables([a, b], pictures=True, checksums={"lpips_alex.safetensors": "e" * 64}).splitlines()
    cells = [line.split() for line in lines]
    assert lines[0] == "Set5: 2 pictures, lpips of 1, lr by imresize"
    assert cells[1:5] == [
        ["psnr_y", "lpips"],
        ["bicubic", "28.00", "0.3000"],
        ["95", "%", "from", "28.00", "-"],
        ["to", "28.00", "-"],
    ]
    difference = cells.index(["srgan", "-", "bicubic", "+1.25", "-"])
    assert cells[difference + 1 : difference + 3] == [["95", "%", "from", "+1.00", "-"], ["to", "+1.50", "-"]]
    assert cells[cells.index(["b"]) + 2] == ["srgan", "29.50", "-"]
    assert not [line for line in cells if line[:1] == ["ssim_y"]]
    assert "  model      srgan: openvino, SHA-256 " + "f" * 64 in lines
    assert "  weights    lpips_alex.safetensors: SHA-256 " + "e" * 64 in lines


def test_models_with_long_names_are_told_apart_by_their_ends() -> None:
    first, second = (f"runs/{name}/weights/srresnet-x4-finetuned.onnx" for name in ("first", "second"))
    assert labels(["bicubic", first]) == {"bicubic": "bicubic", first: ".../srresnet-x4-finetuned.onnx"}
    shown = labels([first, "bicubic", second])
    assert list(shown.values()) == [
        "...t/weights/srresnet-x4-finetuned.onnx",
        "bicubic",
        "...d/weights/srresnet-x4-finetuned.onnx",
    ]
    assert labels([]) == {}
    score = (Score("1.png", {"psnr_y": 30.0}),)
    table = tables([SetScores(model, "Set", "", score) for model in (first, second)])
    assert "...d/weights/srresnet-x4-finetuned.onnx - ...t/weights/srresnet-x4-finetuned.onnx" in table


def test_a_value_has_the_digits_that_its_metric_is_read_with() -> None:
    two = {"psnr_y", "psnr_rgb", "lr_psnr", "niqe", "grid"}
    assert {name: number(name, 1.23456) for name in METRICS} == {
        name: "1.23" if name in two else "1.2346" for name in METRICS
    }
    assert number("grid", 1.234, signed=True) == "+1.23"
    assert number("lpips", -0.5, signed=True) == "-0.5000"


def test_scores_are_written_with_their_protocol(tmp_path: Path) -> None:
    write_json(SCORES, tmp_path / "scores.json", {"a.safetensors": "0"})
    text = (tmp_path / "scores.json").read_text()
    written = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert written == json.loads(json.dumps(as_json(SCORES, {"a.safetensors": "0"})))
    assert written["protocol"] == PROTOCOL
    assert written["versions"].keys() == {"srgan", "numpy", "torch", "openvino", "pillow"}
    assert written["weights"] == {"a.safetensors": "0"}
    assert written["results"][0]["mean"] == {"psnr_y": 28.5}
    assert written["results"][0]["interval"] == {"psnr_y": [28.0, 29.0]}
    assert written["results"][1]["pictures"] == {"a": {"psnr_y": None}, "b": {"psnr_y": 29.0}}
    assert written["differences"][0] == {
        "set": "Set5",
        "model": "srgan",
        "baseline": "bicubic",
        "mean": {"psnr_y": None},
        "interval": {"psnr_y": None},
    }


def test_what_no_picture_of_a_folder_has_is_left_out_of_it() -> None:
    small, large = (SetScores("m", name, "d", (Score("a", {"x": 1.0}), Score("b", {"x": 1.0}))) for name in "sl")
    one = SetScores("m", "l", "d", (Score("a", {"x": 1.0, "niqe": 4.0}), Score("b", {"x": 2.0})))
    assert left_out([small, one], ["x", "niqe"]) == [("niqe", "s")]
    assert left_out([small, large, one], ["x", "grid"]) == [("grid", "s"), ("grid", "l")]
