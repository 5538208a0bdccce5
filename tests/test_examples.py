"""The programs in examples/: what they refuse, and what they leave out; and a peer of benchmarks/."""

import json
import math
import re
import runpy
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from made import as_jpeg
from runs import photographs
from srgan.data.degradation import Degradation, with_blur, with_noise
from srgan.data.folders import TestFolder
from srgan.data.store import prepare_store
from srgan.export import export
from srgan.image import flaws
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.models.tensors import load_generator
from srgan.weights import find_weights

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def logged(run: Path, *scores: dict[str, float]) -> Path:
    run.mkdir()
    lines = [{"kind": "train", "patches": 1}]
    lines += [{"kind": "validation", "patches": 100 * n, **values} for n, values in enumerate(scores, 1)]
    (run / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return run


@pytest.mark.parametrize(
    ("scores", "titles"),
    [
        ([{"psnr_y": 25.0}, {"psnr_y": 26.0}], ["PSNR-Y"]),
        ([{"psnr_y": 25.0}, {"psnr_y": 26.0, "lpips": 0.3}], ["PSNR-Y", "LPIPS-Alex"]),
    ],
)
def test_a_curve_is_of_the_scores_that_there_are(
    tmp_path: Path, scores: list[dict[str, float]], titles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "curve.py", logged(tmp_path / "run", *scores), "-o", tmp_path / "c.svg")
    svg = ElementTree.parse(tmp_path / "c.svg").getroot()
    assert svg.attrib["width"] == str(480 * len(titles) - 20)
    texts = [text.text or "" for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert [text.split()[0].rstrip(",") for text in texts if "validated on" in text] == titles


def test_a_run_without_scores_has_no_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "curve.py", logged(tmp_path / "run"), "-o", tmp_path / "c.svg")
    assert capsys.readouterr().err.endswith("run has no scores yet\n")
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "curve.py", tmp_path / "none", "-o", tmp_path / "c.svg")
    assert capsys.readouterr().err.endswith("none is no run: it has no log.jsonl\n")


def test_a_curve_without_a_folder_to_lie_in_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^curve: .*No such file or directory"):
        run(monkeypatch, "curve.py", logged(tmp_path / "run", {"psnr_y": 25.0}), "-o", tmp_path / "none/c.svg")


@pytest.mark.parametrize("crop", ["60,0,10,10", "0,40,10,10", "0,0,0,10", "1,2,3", "a,b,c,d"])
def test_a_crop_that_shows_nothing_is_wrong_usage(
    tmp_path: Path, crop: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = photographs(tmp_path, count=1) / "00.png"
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "before_after.py", picture, "--crop", crop, "-o", tmp_path / "out")
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_picture_of_which_shrinking_leaves_nothing_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = photographs(tmp_path, count=1, size=(3, 3)) / "00.png"
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "before_after.py", picture, "--crop", "0,0,3,3", "--original", "-o", tmp_path / "out")
    assert "which has 3x3 pixels" in capsys.readouterr().err


def test_a_picture_that_cannot_be_shown_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for name, model, line in [
        ("none.png", "srgan", "none.png: no such file"),
        ("text.png", "srgan", "not a picture"),
        ("00.png", "nothing", "nothing: no model of this name"),
    ]:
        picture = photographs(tmp_path, count=1) / name
        with pytest.raises(SystemExit, match=f"^before_after: .*{line}"):
            run(monkeypatch, "before_after.py", picture, "--crop", "0,0,9,9", "--models", model, "-o", tmp_path / "out")


@pytest.mark.usefixtures("shipped")
def test_a_photograph_is_shown_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (24, 16)).save(tmp_path / "turned.jpg", exif=turned)
    run(monkeypatch, "before_after.py", tmp_path / "turned.jpg", "--crop", "0,20,16,4", "-o", tmp_path / "out")
    with Image.open(tmp_path / "out/turned_srgan-plus_x4.png") as image:
        assert image.size == (64, 96)


@pytest.mark.usefixtures("shipped")
def test_the_smallest_crop_is_shown(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = photographs(tmp_path, count=1) / "00.png"
    smallest = (picture, "--crop", "63,47,1,1", "-o", tmp_path / "out", "--models")
    run(monkeypatch, "before_after.py", *smallest, "srgan", tiny_onnx)
    with Image.open(tmp_path / "out/00_before_after.png") as image:
        assert image.size == (3 * 4 + 2 * 6, 4 + 26)
    assert (tmp_path / f"out/00_{tiny_onnx.stem}_x4.png").is_file()
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "before_after.py", *smallest, tiny_onnx, tiny_onnx)
    assert capsys.readouterr().err.endswith("--models: two of a name\n")


@pytest.mark.usefixtures("shipped")
def test_what_was_put_out_of_focus_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = np.zeros((24, 24, 3), dtype=np.uint8)
    edge[:, 12:] = 255
    Image.fromarray(edge).save(tmp_path / "edge.png")
    rows = []
    for blur in (0, 2):
        how = ("--crop", "0,0,24,24", "--blur", blur, "-o", tmp_path / "out")
        run(monkeypatch, "before_after.py", tmp_path / "edge.png", *how)
        with Image.open(tmp_path / "out/edge_before_after.png") as image:
            rows.append(np.asarray(image)[26 + 48, : 24 * 4, 0].astype(int))  # of the bicubic, below its name
    steepest = [np.diff(row).max() for row in rows]
    assert steepest[0] > 255 / 4
    assert steepest[1] == pytest.approx(255 / 4 / (2 * math.sqrt(2 * math.pi)), abs=1)  # of an edge under a Gaussian


@pytest.mark.usefixtures("shipped")
def test_what_was_taken_in_little_light_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photograph,) = (np.asarray(Image.open(file)) for file in photographs(tmp_path / "one", 1).iterdir())
    how = ("--crop", "0,0,16,16", "--noise", 9, "-o", tmp_path / "out")
    run(monkeypatch, "before_after.py", tmp_path / "one/00.png", *how)
    with Image.open(tmp_path / "out/00_before_after.png") as image:
        bicubic = np.asarray(image)[26:, : 16 * 4]
    noisy = with_noise(photograph, 9, np.random.default_rng(0))
    assert np.array_equal(bicubic, imresize(noisy, scale=4.0)[: 16 * 4, : 16 * 4])


@pytest.mark.parametrize(
    ("option", "wrong", "line"),
    [
        ("--quality", 0, "--quality goes from 1 to 100, not 0"),
        ("--quality", 101, "--quality goes from 1 to 100, not 101"),
        ("--blur", -1, "--blur goes from 0 to 15 pixels, not -1"),
        ("--blur", 16, "--blur goes from 0 to 15 pixels, not 16"),
        ("--noise", -1, "--noise goes from 0 to 255 levels, not -1"),
        ("--noise", 256, "--noise goes from 0 to 255 levels, not 256"),
    ],
)
def test_a_quality_is_one_of_jpeg_blur_some_pixels_and_noise_some_levels(
    tmp_path: Path,
    option: str,
    wrong: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = photographs(tmp_path, 1) / "00.png"
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "before_after.py", picture, "--crop", "0,0,16,16", option, wrong, "-o", tmp_path / "out")
    assert capsys.readouterr().err.endswith(f"{line}\n")
    assert not (tmp_path / "out").exists()


def test_a_degraded_folder_is_measured_as_the_one_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs(tmp_path / "Set2", 2)
    (clean, *_), again = TestFolder(tmp_path / "Set2"), tmp_path / "again"
    run(monkeypatch, "degraded.py", tmp_path / "Set2", "-o", tmp_path / "Set2-q60", "--quality", 60, "--noise", 4)
    pair, *_ = TestFolder(tmp_path / "Set2-q60")
    assert np.array_equal(pair.hr, clean.hr)
    noisy = clean.lr + np.random.default_rng(0).normal(0, 4, clean.lr.shape)
    file = BytesIO()
    Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8)).save(file, "JPEG", quality=60)
    assert np.array_equal(pair.lr, np.asarray(Image.open(file)))
    run(monkeypatch, "degraded.py", tmp_path / "Set2", "-o", tmp_path / "Set2-q60q95", "--quality", 60, 95)
    twice = as_jpeg(as_jpeg(clean.lr, 60), 95)
    assert np.array_equal(next(iter(TestFolder(tmp_path / "Set2-q60q95"))).lr, twice)
    run(monkeypatch, "degraded.py", tmp_path / "Set2", "-o", tmp_path / "Set2-webp", "--quality", 60, "--codec", "webp")
    file = BytesIO()
    Image.fromarray(clean.lr).save(file, "WEBP", quality=60)
    assert np.array_equal(next(iter(TestFolder(tmp_path / "Set2-webp"))).lr, np.asarray(Image.open(file)))
    run(monkeypatch, "degraded.py", tmp_path / "Set2", "-o", tmp_path / "Set2-b1", "--blur", 1)
    pair, *_ = TestFolder(tmp_path / "Set2-b1")
    assert np.array_equal(pair.lr, with_blur(clean.lr, 1.0))
    Image.new("L", (64, 64)).save(tmp_path / "Set2/01.png")
    wrongs: list[tuple[list[Any], str]] = [
        (["--quality", 60, 0], "--quality goes from 1 to 100, not 0"),
        (["--codec", "avif"], "--codec needs --quality"),
        (["--codec", "webp", "--quality", 60], f"{tmp_path / 'Set2' / '01.png'}: gray, which WebP has not"),
        (["--blur", 16], "--blur goes from 0 to 15 pixels, not 16"),
        (["--noise", -1], "--noise goes from 0 to 255 levels, not -1"),
        ([], f"{tmp_path / 'empty'}: no such folder"),
    ]
    for wrong, message in wrongs:
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, "degraded.py", tmp_path / ("Set2" if wrong else "empty"), "-o", again, *wrong)
        assert capsys.readouterr().err.endswith(f"{message}\n")
        assert not again.exists()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/00.png").write_text("no picture")
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "degraded.py", tmp_path / "damaged", "-o", again)
    assert "00.png: not a picture" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "degraded.py", tmp_path / "Set2", "-o", tmp_path / "Set2-q60")
    assert "Set2-q60 is there already" in capsys.readouterr().err


def test_results_with_a_column_missing_are_not_put_into_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "Set2", count=1)
    page = tmp_path / "results.md"
    text = "<!-- table Set2 -->\n| psnr_y | niqe |\n<!-- end -->\n"
    page.write_text(text)
    how = [page, "--models", "bicubic", "--data", folder, "--perceptual", tmp_path]
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "results.py", *how, "--metrics", "psnr_y,niqe")
    assert capsys.readouterr().err.endswith("no picture of Set2 has niqe: --metrics without it\n")
    with pytest.raises(SystemExit, match=r"^results: .*which lpips needs"):
        run(monkeypatch, "results.py", *how)
    assert page.read_text() == text
    for wrong, line in [
        (["none.md", *how[1:]], "none.md: no such page"),
        ([*how, "--crop", "Set2/00:1,2"], "'Set2/00:1,2'"),
        ([*how, "--metrics", "psnr_rgb"], "psnr_y, ssim_y, lpips, lpips_vgg, dists, niqe, lr_psnr, grid"),
        ([*how, "--models", "a/x.onnx", "b/x.onnx"], "two models would both be x in the table"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, "results.py", *wrong)
        assert capsys.readouterr().err.endswith(f"{line}\n")
    run(monkeypatch, "results.py", *how, "--metrics", "psnr_y", "--crop", "Set2/00:0,0,9,9")
    assert (tmp_path / "pictures/results-Set2-00.webp").exists()
    assert "| bicubic | **" in page.read_text()


def test_results_of_a_linked_folder_are_those_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is called as `srgan evaluate` calls it; a crop of no picture in it is an error, and a plot stays."""
    (tmp_path / "link").symlink_to(photographs(tmp_path / "Set2", count=1))
    page, plot = tmp_path / "results.md", tmp_path / "pictures/results-Set2.svg"
    page.write_text("<!-- table Set2 -->\n<!-- end -->\n")
    plot.parent.mkdir()
    plot.write_text("<svg/>")
    how = [page, "--models", "bicubic", "--data", tmp_path / "link", "--metrics", "psnr_y"]
    run(monkeypatch, "results.py", *how)
    assert "| bicubic | **" in page.read_text()
    assert plot.read_text() == "<svg/>"  # LPIPS was not measured
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "results.py", *how, "--crop", "Set2/01:0,0,9,9")
    assert capsys.readouterr().err.endswith("no picture Set2/01 for --crop in Set2\n")


def test_a_loss_of_ones_own_makes_weights_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = photographs(tmp_path / "photographs", count=4, size=(64, 72))
    mine = tmp_path / "mine.safetensors"
    for how, line in (
        (("--data", folder, "-o", tmp_path / "mine.pt"), "-o is a .safetensors file, and --steps at least one\n"),
        (("--data", tmp_path / "none", "-o", mine), "none: no such file, folder or pattern\n"),
        (("--data", folder, "-o", folder / "00.png" / mine.name), "mine.safetensors: cannot be written: File exists\n"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, "own_loss.py", *how)
        assert capsys.readouterr().err.endswith(line)
    with torch.random.fork_rng():
        run(monkeypatch, "own_loss.py", "--data", folder, "-o", mine, "--steps", 3)
    assert capsys.readouterr().out.splitlines()[0].startswith("psnr_y ")
    generator, card = load_generator(mine)
    assert (card["name"], card["halo"], card["training"]) == ("mine", generator.halo, {"patches": 24})
    assert export(mine, [tmp_path / "mine.onnx"]) < 2e-3


def test_the_shortest_pytorch_script_takes_the_shipped_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photographs(tmp_path, count=1, size=(16, 24)) / "00.png"
    weights, result = find_weights("srgan").safetensors, tmp_path / "large.png"
    monkeypatch.setattr(sys, "argv", ["with_pytorch.py", str(weights), str(picture), str(result)])
    runpy.run_path(str(EXAMPLES.parent / "benchmarks/peers/with_pytorch.py"))
    with Image.open(picture) as lr, Image.open(result) as sr:
        assert sr.size == (4 * lr.width, 4 * lr.height)


@pytest.mark.usefixtures("shipped")
def test_what_a_network_makes_of_photographs_is_there_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each size that was asked for, lr of whole pixels, and the pair is one that a run takes."""
    data = photographs(tmp_path / "photographs", count=2, size=(131, 160))
    told = ("--data", data, "--sizes", 1, 0.5, "-o", tmp_path / "taught")
    run(monkeypatch, "teach.py", *told)
    lr, sr = (
        [np.asarray(Image.open(path)) for path in sorted((tmp_path / "taught" / name).iterdir())]
        for name in ("lr", "sr")
    )
    assert sorted(picture.shape for picture in lr) == [(16, 20, 3)] * 2 + [(32, 40, 3)] * 2
    with Image.open(data / "00.png") as image:
        whole = imresize(np.asarray(image)[:128], size=(32, 40))
    assert any(np.array_equal(whole, picture) for picture in lr)
    upscaler = Upscaler("srgan-plus")
    assert all(np.array_equal(upscaler.upscale(small), large) for small, large in zip(lr, sr, strict=True))
    pairs = prepare_store([str(tmp_path / "taught/sr")], tmp_path / "cache", min_side=64, lr=tmp_path / "taught/lr")
    assert len(pairs.entries) == 4
    more = photographs(tmp_path / "more", count=1, size=(131, 160))
    run(monkeypatch, "teach.py", *told[:-1], tmp_path / "both", "--data", more)
    assert len([*(tmp_path / "both/sr").iterdir()]) == 6
    run(monkeypatch, "teach.py", *told[:-1], tmp_path / "repaired", "--noise", 6, "--jpeg", 40, 95)
    degradation = Degradation((40, 95), 6.0)
    for number, clean in enumerate(lr):
        poor, large = (np.asarray(Image.open(tmp_path / f"repaired/{name}/{number:06d}.png")) for name in ("lr", "sr"))
        np.testing.assert_array_equal(poor, degradation(clean, np.random.default_rng(number)))
        np.testing.assert_array_equal(large, upscaler.upscale(poor))
    for wrong, message in (
        (told, "taught is there already"),
        ((*told[:3], 2, "-o", tmp_path / "other"), "at most 1, not [2.0]"),
        ((*told[:-1], tmp_path / "other", "--noise", 256), "from 0 to 255 levels, not 256"),
        ((*told[:-1], tmp_path / "other", "--jpeg", 95, 40), "quality of 1 to 100, not [95, 40]"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, "teach.py", *wrong)
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "teach.py", "--data", tmp_path / "none", "-o", tmp_path / "other")
    assert capsys.readouterr().err.endswith("none: no such file, folder or pattern\n")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("flaw", ["noise", "blur"])
def test_the_networks_of_noise_and_blur_are_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flaw: str
) -> None:
    folder, weights = tmp_path / "photographs", tmp_path / f"{flaw}.npz"
    folder.mkdir()
    few = (flaw, "--data", folder, "-o", weights, "--each", 8, "--steps", 4)
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "flaws.py", *few)
    assert capsys.readouterr().err.endswith(f"no photograph in {folder} has 176 pixels a side\n")
    for number in range(2):
        picture = np.random.default_rng(number).integers(256, size=(40, 50, 3), dtype=np.uint8)
        Image.fromarray(picture).resize((220, 180)).save(folder / f"{number}.png")
    run(monkeypatch, "flaws.py", *few)
    assert re.search(
        r"^0 to 0.001 is taken for \(5, 25, 50, 75, 95 % of \d\): +\d", capsys.readouterr().out, re.MULTILINE
    )
    shipped = next(path for path in flaws.WEIGHTS if path.name == weights.name)
    monkeypatch.setattr(flaws, "WEIGHTS", (weights, weights))
    assert flaws.flaws_in(picture).noise is not None
    with np.load(weights) as made, np.load(shipped) as others:
        assert {name: made[name].shape for name in made} == {name: others[name].shape for name in others}
    (folder / "2.jpg").write_text("no picture")
    with pytest.raises(SystemExit, match=r"flaws: .*2\.jpg: not a picture"):
        run(monkeypatch, "flaws.py", *few)
