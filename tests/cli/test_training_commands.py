"""srgan train, evaluate and export, one after the other as a user runs them."""

import json
import runpy
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import runs
from srgan.cli import main
from srgan.data.store import open_store
from srgan.errors import SrganError
from srgan.weights import read_card

RECIPE = {
    "name": "by hand",
    "network": "tiny_x4",
    "data": {"patch_size": 32, "held_out": 1, "held_out_crop": 32},
    "optimiser": {"patches": 24, "batch_size": 4},
    "loss": {"pixel": 1.0},
    "run": {"checkpoint_every": 8},
}


pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def train(tmp_path: Path) -> list[str]:
    (tmp_path / "recipe.toml").write_text(runs.toml(RECIPE))
    folder = runs.photographs(tmp_path / "photographs")
    return ["train", str(tmp_path / "recipe.toml"), "--data", str(folder), "--out", str(tmp_path / "run")]


def test_train_then_export_then_evaluate(train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*train, "--set", "optimiser.patches=16"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/run/checkpoints/000000000016.pt\n"
    assert main([*train, "--resume"]) == 0
    last = capsys.readouterr().out.strip()
    assert last == f"{tmp_path}/run/checkpoints/000000000024.pt"

    made = [str(tmp_path / "a.onnx"), str(tmp_path / "a.safetensors")]
    assert main(["export", last, "-o", made[0], "-o", made[1], "--name", "mine", "--summary", "a try"]) == 0
    assert capsys.readouterr().out.startswith(f"{made[0]}, {made[1]}: within ")

    scores = tmp_path / "scores.json"
    arguments = ["--data", str(tmp_path / "photographs"), "--json", str(scores), "--threads", "1"]
    assert main(["evaluate", "bicubic", made[0], *arguments]) == 0
    first = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert first[0] == "photographs:"
    assert "bicubic" in first
    assert {r["model"] for r in json.loads(scores.read_text())["results"]} == {"bicubic", made[0]}


def test_originals_are_trained_on_beside_the_photographs(train: list[str], tmp_path: Path) -> None:
    grain = runs.photographs(tmp_path / "grain", count=2)
    sizes = ["--set", "data.sizes=[0.75]", "--set", "optimiser.patches=8"]
    assert main([*train, *sizes, "--originals", str(grain)]) == 0
    (store,) = (tmp_path / "cache" / "srgan" / "stores").iterdir()
    inside, _ = open_store(store).split(1, [0.75])
    assert [(e.height, e.width) for e in inside] == [(36, 48)] * 3 + [(48, 64)] * 2


def test_lr_of_its_own_is_learned_from(train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Black pictures, of which bicubic's score is that of black, and held out ones are validated with their own too."""
    lr = tmp_path / "lr"
    lr.mkdir()
    for path in (tmp_path / "photographs").iterdir():
        Image.new("RGB", (16, 12), (0, 0, 9)).save(lr / path.name)
    assert main([*train, "--lr", str(lr), "--set", "optimiser.patches=4"]) == 0
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (bicubic,) = (line for line in logged if line["kind"] == "bicubic")
    assert bicubic["psnr_y"] < 10
    assert bicubic["lr_psnr"] is None or bicubic["lr_psnr"] > 90
    last = capsys.readouterr().out.strip()
    assert main(["export", last, "-o", str(tmp_path / "a.onnx"), "--name", "mine"]) == 0
    assert read_card(tmp_path / "a.onnx")["training"]["lr"] == "pictures of their own"
    grain = ["--set", "data.grain=2", "--out", str(tmp_path / "other")]
    assert main([*train, "--lr", str(lr), *grain]) == 1
    assert f"{lr}: data.grain needs lr that is made of the grainy hr" in capsys.readouterr().err.splitlines()[-1]


def test_a_test_folder_is_validated_on_as_evaluate_measures_it(
    train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One picture has an lr of its own, which is not bicubic's, one is gray; neither is a multiple of 4 wide."""
    folder = runs.photographs(tmp_path / "Set2", count=1, size=(50, 71))
    Image.fromarray(runs.scene(61, 50, seed=7)[..., 0]).save(folder / "gray.png")
    (folder / "LRx4").mkdir()
    Image.fromarray(runs.scene(12, 17, seed=8)).save(folder / "LRx4" / "00.png")
    Image.fromarray(runs.scene(15, 12, seed=9)[..., 0]).save(folder / "LRx4" / "gray.png")
    assert main([*train, "--validate", str(folder)]) == 0
    last = capsys.readouterr().out.strip()
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert main(["export", last, "-o", str(tmp_path / "a.onnx"), "--name", "mine"]) == 0
    card = read_card(tmp_path / "a.onnx")["training"]
    assert card["pictures"] == 4
    assert card["validated on"] == "a test folder, no picture held out"
    scores = ["--metrics", "psnr_y,ssim_y,lr_psnr", "--json", str(tmp_path / "scores.json"), "--threads", "1"]
    assert main(["evaluate", "bicubic", str(tmp_path / "a.onnx"), "--data", str(folder), *scores]) == 0
    bicubic, network = json.loads((tmp_path / "scores.json").read_text())["results"]
    for line, result in ((logged[0], bicubic), (logged[-1], network)):
        assert {name: line[name] for name in result["mean"]} == pytest.approx(result["mean"], abs=2e-3)
    with Image.open(tmp_path / "run" / "strips" / "01.png") as strip:
        assert (strip.mode, strip.size) == ("L", (4 * 32, 32))  # the middle, as large as data.held_out_crop

    longer = [*train, "--resume", "--validate", str(folder), "--set"]
    capsys.readouterr()
    assert main([*longer, "optimiser.patches=28"]) == 0
    assert "validated on others" not in capsys.readouterr().err
    Image.fromarray(runs.scene(12, 17, seed=10)).save(folder / "LRx4" / "00.png")
    assert main([*longer, "optimiser.patches=32"]) == 0
    assert "validated on others: its best score counts no more" in capsys.readouterr().err
    assert main([*train, "--resume", "--set", "optimiser.patches=36"]) == 0
    assert "validated on others: its best score counts no more" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run" / "strips").iterdir()] == ["00.png"]
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["patches"] for line in logged if line["kind"] == "bicubic"] == [0, 28, 32]


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (None, "Set1: no such folder"),
        ((0, 0), "Set1: no pictures in this folder"),
        ((40, 31), "00.png: 28x40, a side under 32 pixels cannot be validated on"),
        ((16, 40), "00.png: 40x16, a side under 20 pixels cannot be measured"),
    ],
)
def test_a_test_folder_that_cannot_be_is_said_before_photographs_are_decoded(
    train: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    size: tuple[int, int] | None,
    line: str,
) -> None:
    if size:
        runs.photographs(tmp_path / "Set1", count=min(size[0], 1), size=size)
    assert main([*train, "--validate", str(tmp_path / "Set1")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith(line)
    assert not (tmp_path / "cache" / "srgan" / "stores").exists()


def test_nothing_is_decoded_for_a_run_that_cannot_begin(train: list[str], tmp_path: Path) -> None:
    for more in (["--set", "initial=nothing"], ["--set", "initial=runs/none.pt"], ["--resume"]):
        assert main([*train, *more]) == 1
    assert main([*train, "--set", "initial=srresnet", "--set", 'shift=["srgan", "nothing"]']) == 1
    assert not (tmp_path / "cache" / "srgan" / "stores").exists()
    assert main([*train, "--set", "optimiser.patches=4"]) == 0
    photographs = tmp_path / "photographs"
    runs.photographs(photographs, count=5)
    assert main(train) == 1
    assert main([*train, "--resume", "--set", "data.patch_size=36"]) == 1
    assert len([*(tmp_path / "cache" / "srgan" / "stores").iterdir()]) == 1


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--set", "optimiser.batchsize=2"], "unknown key optimiser.batchsize; did you mean batch_size?"),
        (["--resume"], "no checkpoint to resume from"),
        (["--set", "loss.content=1"], "no VGG19 weights"),
        (["--set", "initial=nothing"], "nothing: no model of this name"),
        (["--set", "data.patch_size=64"], "every picture has a side under 64 pixels"),
        (["--set", "data.patch_size=30"], "data.patch_size: 30 is not a multiple of the scale, 4"),
        (["--set", "data.held_out=4"], "4 pictures cannot be held out of 4"),
        (["--originals", "grain.png"], "grain.png: no such file, folder or pattern"),
    ],
)
def test_what_is_wrong_is_one_line(
    train: list[str], more: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*train, *more]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("srgan: error: ")
    assert line in error


def test_no_pictures_is_one_line(train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    train[3] = str(tmp_path / "empty")
    assert main(train) == 1
    assert capsys.readouterr().err == f"srgan: error: {tmp_path}/empty: no pictures in this folder\n"


def test_errors_of_evaluate_and_export_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "bicubic", "--data", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"srgan: error: {tmp_path}/none: no such folder\n"
    assert main(["export", str(tmp_path / "none.pt"), "-o", str(tmp_path / "a.onnx")]) == 1
    assert capsys.readouterr().err == f"srgan: error: {tmp_path}/none.pt: no such checkpoint\n"


def reproduce(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    script = str(Path(__file__).parents[2] / "recipes" / "reproduce.py")
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    status: int = runpy.run_path(script)["main"]()
    return status


def test_recipes_that_cannot_be_done_are_said_before_any_is(
    tmp_path: Path, train: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = train[1], tmp_path / "out"
    how = ["--data", str(tmp_path / "photographs"), "--out", str(out)]
    with pytest.raises(SrganError, match="none: no such folder"):
        reproduce(monkeypatch, recipe, *how, "--test", str(tmp_path / "none"))
    with pytest.raises(SrganError, match="No such file or directory"):
        reproduce(monkeypatch, recipe, str(tmp_path / "none.toml"), *how)
    with pytest.raises(SystemExit, match="2"):
        reproduce(monkeypatch, recipe, recipe, *how)
    assert not out.exists()


def test_recipes_one_after_the_other(
    tmp_path: Path, train: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = RECIPE | {"name": "second", "initial": "runs/recipe/checkpoints/best.pt"}
    (tmp_path / "second.toml").write_text(runs.toml(second))
    recipes = [train[1], str(tmp_path / "second.toml")]
    photographs, out = str(tmp_path / "photographs"), tmp_path / "out"
    how = ["--data", photographs, "--out", str(out)]
    assert reproduce(monkeypatch, *recipes, *how, "--set", "optimiser.patches=8") == 0
    assert reproduce(monkeypatch, *recipes, *how, "--test", photographs) == 0

    assert {path.name for path in (out / "weights").iterdir()} == {
        f"{name}.{suffix}" for name in ("recipe", "second") for suffix in ("onnx", "safetensors")
    }
    assert set(read_card(out / "weights" / "second.onnx")["scores"]) == {"photographs"}
    assert [line for line in capsys.readouterr().out.splitlines() if line.endswith(" patches")] == [
        f"{out}/recipe: 0 of 8 patches",
        f"{out}/second: 0 of 8 patches",
        f"{out}/recipe: 8 of 24 patches",
        f"{out}/second: 8 of 24 patches",
    ]


def test_a_schedule_that_the_run_does_not_reach_is_said(train: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*train, "--set", "optimiser.patches=4", "--set", "optimiser.warmup=8"]) == 0
    assert "srgan: the run ends after 4 patches, before optimiser.warmup 8\n" in capsys.readouterr().err


def test_gray_photographs_are_left_out_where_the_recipe_says_so(
    train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "photographs" / "gray.png")
    assert main([*train, "--set", "data.gray=skip", "--set", "optimiser.patches=4"]) == 0
    assert f"left out: {tmp_path}/photographs/gray.png: gray" in capsys.readouterr().err


def test_a_run_that_was_stopped_has_failed_and_says_from_where_it_goes_on(
    train: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("srgan.training.loop.stop_signals", lambda: nullcontext([signal.SIGTERM]))
    assert main(train) == 1
    last = tmp_path / "run" / "checkpoints" / "000000000004.pt"
    assert capsys.readouterr().err.endswith(f"srgan: error: stopped; --resume goes on from {last}\n")


def test_every_option_reaches_the_training_and_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []

    def see(*what: Any, **how: Any) -> float:
        seen.append((what, how))
        return 0.0

    monkeypatch.setattr("srgan.training.run.run", see)
    monkeypatch.setattr("srgan.export.export", see)
    places = [
        "--originals",
        "grain",
        "--lr",
        "small",
        "--validate",
        "test",
        "--perceptual",
        "weights",
        "--cache",
        "stores",
    ]
    assert main(["train", "a.toml", "--data", "in", "--out", "run", "--set", "a=1", "--resume", *places]) == 0
    said = [
        "--name",
        "mine",
        "--summary",
        "a try",
        "--trained-on",
        "noise",
        "--scores",
        "s.json",
        "--blend",
        "b.pt",
        "0.5",
    ]
    assert main(["export", "a.pt", "-o", "a.onnx", *said]) == 0
    train, export = seen
    folders = {"lr": Path("small"), "validation": Path("test"), "perceptual": Path("weights"), "cache": Path("stores")}
    assert train[0] == (Path("a.toml"), ("in",), Path("run"))
    assert train[1] == {"originals": ("grain",), "settings": ("a=1",), "resume": True, **folders}
    card = {"name": "mine", "summary": "a try", "trained_on": "noise"}
    assert export[0] == (Path("a.pt"), (Path("a.onnx"),))
    assert export[1] == {**card, "scores": Path("s.json"), "blend": (Path("b.pt"), 0.5)}
