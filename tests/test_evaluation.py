import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runs import photographs, scene
from srgan.errors import DataError, PictureError
from srgan.evaluation import PROTOCOL, Score, SetScores, as_json, evaluate, table, write_json
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.metrics import LPIPS, luma, psnr, ssim


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them gray and neither of a size that is a multiple of four."""
    folder = photographs(tmp_path / "Set2", count=1, size=(47, 66))
    Image.fromarray(scene(41, 50, seed=5)[..., 0]).save(folder / "gray.png")
    return folder


def test_the_protocol_step_by_step(folder: Path, shipped: Path) -> None:  # noqa: ARG001
    """Crop to a multiple of four, downsample, upscale, cut four pixels off each side, measure Y."""
    (result,) = evaluate(["srgan"], [folder])
    hr = scene(47, 66, seed=0)[:44, :64]
    sr = Upscaler("srgan", precision="fp32").upscale(imresize(hr, scale=0.25))
    a, b = (luma(picture)[4:-4, 4:-4] for picture in (sr, hr))
    assert [score.picture for score in result.scores] == ["00.png", "gray.png"]
    assert result.scores[0].values == {"psnr_y": psnr(a, b), "ssim_y": ssim(a, b)}
    assert (result.model, result.folder) == ("srgan", "Set2")
    assert "fp32" in result.device
    for name, value in result.mean().items():
        assert value == pytest.approx(sum(score.values[name] for score in result.scores) / 2)


def test_bicubic_is_matlabs_both_ways(folder: Path) -> None:
    (result,) = evaluate(["bicubic"], [folder])
    gray = scene(41, 50, seed=5)[:40, :48, 0]
    sr = imresize(imresize(gray, scale=0.25), scale=4.0)
    expected = psnr(*(picture.astype(np.float64)[4:-4, 4:-4] for picture in (sr, gray)))
    assert result.scores[1].values["psnr_y"] == expected


def test_published_lr_pictures_are_taken_where_they_are(folder: Path) -> None:
    beside = folder / "LRx4"
    beside.mkdir()
    Image.fromarray(np.zeros((11, 16, 3), np.uint8)).save(beside / "00.png")
    (result,) = evaluate(["bicubic"], [folder])
    assert result.scores[0].values["psnr_y"] < 15
    assert result.scores[1].values["psnr_y"] > 15
    Image.fromarray(np.zeros((11, 17, 3), np.uint8)).save(beside / "00.png")
    with pytest.raises(DataError, match=r"LRx4/00\.png: 17x11 is not a quarter of 64x44"):
        list(evaluate(["bicubic"], [folder]))


def test_a_perfect_result_is_infinitely_good(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    Image.new("RGB", (32, 32), (9, 99, 199)).save(flat / "a.png")
    (result,) = evaluate(["bicubic"], [flat])
    assert result.scores[0].values == {"psnr_y": math.inf, "ssim_y": 1.0}


def test_lpips_where_its_weights_are_at_hand(folder: Path) -> None:
    (result,) = evaluate(["bicubic"], [photographs(folder, count=1, size=(80, 72))], lpips=LPIPS())
    assert result.scores[0].values.keys() == {"psnr_y", "ssim_y", "lpips"}


def test_every_model_on_every_folder(folder: Path, tmp_path: Path, shipped: Path) -> None:  # noqa: ARG001
    other = photographs(tmp_path / "Set1", count=1)
    results = list(evaluate(["bicubic", "srresnet"], [folder, other]))
    assert [(r.model, r.folder) for r in results] == [
        ("bicubic", "Set2"),
        ("bicubic", "Set1"),
        ("srresnet", "Set2"),
        ("srresnet", "Set1"),
    ]


def test_folders_that_cannot_be_measured_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no pictures in this folder"):
        list(evaluate(["bicubic"], [tmp_path / "nowhere"]))
    with pytest.raises(DataError, match=r"tiny/00\.png: 19x19, a side under 20 pixels cannot be measured"):
        list(evaluate(["bicubic"], [photographs(tmp_path / "tiny", count=1, size=(19, 19))]))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"a\.png: not a picture"):
        list(evaluate(["bicubic"], [tmp_path / "broken"]))


SCORES = (
    SetScores("bicubic", "Set5", "numpy", (Score("a", {"psnr_y": 28.0}), Score("b", {"psnr_y": 29.0}))),
    SetScores("srgan", "Set5", "OpenVINO fp32", (Score("a", {"psnr_y": math.inf}), Score("b", {"psnr_y": 29.0}))),
)


def test_the_table_has_a_line_for_each(folder: Path) -> None:
    results = list(evaluate(["bicubic"], [folder]))
    head, line = table(results).splitlines()
    assert head.split() == ["model", "set", "pictures", "psnr_y", "ssim_y"]
    assert line.split()[:3] == ["bicubic", "Set2", "2"]
    assert float(line.split()[3]) == pytest.approx(results[0].mean()["psnr_y"], abs=0.005)


def test_scores_are_written_with_their_protocol(tmp_path: Path) -> None:
    write_json(SCORES, tmp_path / "scores.json")
    text = (tmp_path / "scores.json").read_text()
    written = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert written == as_json(SCORES)
    assert written["protocol"] == PROTOCOL
    assert written["versions"].keys() == {"srgan", "numpy", "torch", "openvino"}
    assert written["results"][0]["mean"] == {"psnr_y": 28.5}
    assert written["results"][1]["pictures"] == {"a": {"psnr_y": None}, "b": {"psnr_y": 29.0}}
