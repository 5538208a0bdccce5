import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import made
from fakes import Box
from references import TEST_SETS, with_test_sets
from runs import photographs, scene
from srgan.errors import ArgumentError, DataError, PictureError, WeightsError
from srgan.evaluation import Meters, Profile, Shot, evaluate
from srgan.evaluation.meters import HIGHER_IS_BETTER, METRICS, _distances
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.metrics import DISTS, LPIPS, as_tensor, grid, load_dists, lr_psnr, luma, niqe, psnr, ssim
from srgan.weights import find_weights, involved

PIXELS = {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lr_psnr", "grid"}


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
    rgb = [picture[4:-4, 4:-4].astype(np.float64) for picture in (sr, hr)]
    assert result.scores[0].values == {
        "psnr_y": psnr(a, b),
        "ssim_y": pytest.approx(ssim(a, b), rel=1e-12),
        "psnr_rgb": psnr(*rgb),
        "ssim_rgb": pytest.approx(sum(ssim(rgb[0][..., i], rgb[1][..., i]) for i in range(3)) / 3, rel=1e-12),
        "lr_psnr": lr_psnr(sr, imresize(hr, scale=0.25)),
        "grid": grid(sr, hr),
    }
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
    with pytest.raises(DataError, match=r"LRx4: no picture for gray\.png"):
        list(evaluate(["bicubic"], [folder]))
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(beside / "grayx4.png")
    (result,) = evaluate(["bicubic"], [folder])
    assert all(score.values["psnr_y"] < 15 for score in result.scores)
    assert result.lr == "LRx4"
    Image.fromarray(np.zeros((11, 16), np.uint8)).save(beside / "00.png")
    with pytest.raises(DataError, match=r"LRx4/00\.png: gray where 00\.png has colours, or the other way round"):
        list(evaluate(["bicubic"], [folder]))
    Image.fromarray(np.zeros((11, 17, 3), np.uint8)).save(beside / "00.png")
    with pytest.raises(DataError, match=r"LRx4/00\.png: 17x11 is not a quarter of 64x44"):
        list(evaluate(["bicubic"], [folder]))


def test_a_perfect_result_is_infinitely_good(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    Image.new("RGB", (32, 32), (9, 99, 199)).save(flat / "a.png")
    (result,) = evaluate(["bicubic"], [flat])
    assert result.scores[0].values == {
        "psnr_y": math.inf,
        "ssim_y": pytest.approx(1),
        "psnr_rgb": math.inf,
        "ssim_rgb": pytest.approx(1),
        "lr_psnr": math.inf,
        "grid": 0.0,
    }


def test_the_border_that_is_cut_is_ones_own_and_goes_with_the_scores(tmp_path: Path) -> None:
    """A ring of 4 x 31 pixels is 10 levels wrong: 37.30 dB of all 32 x 32, and nothing wrong inside it."""
    hr = np.full((32, 32), 100, np.uint8)
    sr = np.pad(hr[1:-1, 1:-1], 1, constant_values=110)
    for name, picture in (("flat", hr), ("ringed", sr)):
        (tmp_path / name).mkdir()
        Image.fromarray(picture).save(tmp_path / name / "a.png")
    whole = 10 * math.log10(255**2 / (4 * 31 * 10**2 / 32**2))
    for border, decibels in ((0, whole), (1, math.inf)):
        meters = Meters(metrics=["psnr_y", "psnr_rgb"], border=border)
        (result,) = evaluate([], [tmp_path / "flat"], made=[tmp_path / "ringed"], meters=meters)
        assert result.scores[0].values == {"psnr_y": pytest.approx(decibels), "psnr_rgb": pytest.approx(decibels)}
        assert result.border == border
    with pytest.raises(DataError, match=r"a\.png: a border of 16 pixels leaves nothing of a picture of 32x32"):
        list(evaluate(["bicubic"], [tmp_path / "flat"], meters=Meters(metrics=["ssim_rgb"], border=16)))
    with pytest.raises(ArgumentError, match="a border of -1 pixels cannot be cut off"):
        Meters(border=-1)


def test_ssim_rgb_is_the_mean_of_three_planes() -> None:
    """Of flat planes only the means count: (2ab + c1) / (a^2 + b^2 + c1), c1 = (0.01 x 255)^2."""
    hr, sr = (np.full((24, 24, 3), colour, np.uint8) for colour in ((100, 100, 200), (100, 50, 200)))
    (scores,) = Meters(metrics=["ssim_rgb"]).measure([sr], hr, hr[::4, ::4], Profile())
    green = (2 * 50 * 100 + 6.5025) / (50**2 + 100**2 + 6.5025)
    assert scores == {"ssim_rgb": pytest.approx((1 + green + 1) / 3)}
    (gray,) = Meters(metrics=["ssim_rgb"]).measure([sr[..., 1]], hr[..., 1], hr[::4, ::4, 1], Profile())
    assert gray == {"ssim_rgb": pytest.approx(green)}


@pytest.fixture
def perceptual(tmp_path: Path) -> Path:
    """A folder with weights of the right shapes."""
    folder = tmp_path / "perceptual"
    folder.mkdir()
    torch.manual_seed(0)
    for name in ("alex", "vgg"):
        ones = {f"lin.{i}": torch.ones_like(lin) for i, lin in enumerate(LPIPS(name).lin)}
        save_file(LPIPS(name).state_dict() | ones, folder / f"lpips_{name}.safetensors")
    return folder


def test_learned_metrics_where_their_weights_are_at_hand(folder: Path, perceptual: Path) -> None:
    photographs(folder, count=1, size=(80, 72))
    (folder / "gray.png").unlink()
    meters = Meters(perceptual)
    assert meters.missing == {}
    assert meters.checksums.keys() == {"lpips_alex.safetensors", "lpips_vgg.safetensors"}
    (result,) = evaluate(["bicubic"], [folder], meters=meters)
    assert result.scores[0].values.keys() == PIXELS | {"lpips", "lpips_vgg", "dists"}
    hr = as_tensor(scene(80, 72, seed=0))
    sr = as_tensor(imresize(imresize(scene(80, 72, seed=0), scale=0.25), scale=4.0))
    expected = DISTS()
    expected.load_state_dict(load_dists(perceptual / "lpips_vgg.safetensors").state_dict())
    assert result.scores[0].values["dists"] == pytest.approx(float(expected(sr, hr)), abs=1e-6)
    (perceptual / "lpips_vgg.safetensors").unlink()
    meters = Meters(perceptual)
    assert meters.missing == {"lpips_vgg": "lpips_vgg.safetensors", "dists": "lpips_vgg.safetensors"}
    assert meters.metrics == ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lr_psnr", "grid", "lpips", "niqe")


def test_small_pictures_go_through_a_network_together(perceptual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hr, *results = (scene(64, 72, seed=i) for i in range(4))
    meters = Meters(perceptual, metrics=["lpips", "lpips_vgg", "dists"])

    def measured() -> list[float]:
        scores = meters.measure(results, hr, imresize(hr, scale=0.25), Profile())
        return [value for score in scores for value in score.values()]

    monkeypatch.setattr("srgan.evaluation.meters.BATCH_PIXELS", 64 * 72)
    one_by_one = measured()
    assert len(set(one_by_one)) == 9
    for together in (2, 3):
        monkeypatch.setattr("srgan.evaluation.meters.BATCH_PIXELS", together * 64 * 72)
        assert measured() == pytest.approx(one_by_one, rel=1e-4)


def test_a_picture_too_small_for_a_network_is_left_out_of_its_scores(perceptual: Path, tmp_path: Path) -> None:
    folder = photographs(tmp_path / "mixed", count=1, size=(24, 24))
    Image.fromarray(scene(40, 40, seed=1)).save(folder / "large.png")
    meters = Meters(perceptual, metrics=["psnr_y", "lpips", "dists"])
    (result,) = evaluate(["bicubic"], [folder], meters=meters)
    assert [list(score.values) for score in result.scores] == [["psnr_y", "dists"], ["psnr_y", "lpips", "dists"]]


def test_a_folder_that_is_called_like_a_picture_is_none(folder: Path) -> None:
    (folder / "notes.png").mkdir()
    (result,) = evaluate(["bicubic"], [folder], meters=Meters(metrics=["psnr_y"]))
    assert len(result.scores) == 2


def test_only_the_metrics_asked_for(folder: Path) -> None:
    (result,) = evaluate(["bicubic"], [folder], meters=Meters(metrics=["ssim_y"]))
    assert result.metrics == ["ssim_y"]
    with pytest.raises(ArgumentError, match="no metric 'fid': psnr_y, "):
        Meters(metrics=["fid"])
    with pytest.raises(
        WeightsError, match=r"nowhere: no lpips_alex\.safetensors, which lpips needs; srgan fetch lpips"
    ):
        Meters(Path("nowhere"), metrics=["psnr_y", "lpips"])


def test_niqe_is_of_whole_levels_of_luma_without_the_border() -> None:
    sr = scene(104, 200, seed=1)
    (scores,) = Meters(metrics=["niqe"]).measure([sr], scene(104, 200, seed=2), sr[::4, ::4], Profile())
    assert scores == {"niqe": niqe(np.rint(luma(sr))[4:-4, 4:-4])}


def test_the_better_result_has_the_higher_score_where_that_is_said_and_else_the_lower(perceptual: Path) -> None:
    hr = scene(64, 72, seed=0)
    worse = scene(64, 72, seed=0)
    worse[::4] //= 2
    good, bad = Meters(perceptual).measure([hr, worse], hr, imresize(hr, scale=0.25), Profile())
    assert good.keys() == bad.keys() == set(METRICS) - {"niqe"}
    assert {name for name in good if good[name] > bad[name]} == HIGHER_IS_BETTER
    assert {name for name in good if good[name] < bad[name]} == good.keys() - HIGHER_IS_BETTER


def test_what_took_longest_is_told_first() -> None:
    profile = Profile()
    profile.seconds.update({"reading": 1.0, "upscaling": 6.0, "psnr_y": 3.0})
    assert [line.split() for line in profile.lines()] == [
        ["upscaling", "6.00", "s", "60.0%"],
        ["psnr_y", "3.00", "s", "30.0%"],
        ["reading", "1.00", "s", "10.0%"],
    ]


def test_niqe_where_there_is_room_for_it(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "large", count=1, size=(104, 200))
    photographs(tmp_path / "small", count=1, size=(103, 199))
    large, small = evaluate(["bicubic"], [folder, tmp_path / "small"])
    assert large.metrics[-1] == "niqe"
    assert "niqe" not in small.metrics


def test_results_of_another_program(folder: Path, tmp_path: Path) -> None:
    """Found by the stem, in a folder of the test folder's name where there is one; gray stored as RGB is gray."""
    made = tmp_path / "theirs" / "Set2"
    made.mkdir(parents=True)
    hr, gray = scene(47, 66, seed=0)[:44, :64], scene(41, 50, seed=5)[:40, :48, 0]
    Image.fromarray(hr).save(made / "00_x4.png")
    Image.fromarray(np.stack([gray] * 3, axis=-1)).save(made / "gray.bmp")
    (result,) = evaluate([], [folder], made=[made.parent])
    assert [score.values["psnr_y"] for score in result.scores] == [math.inf, math.inf]
    assert (result.model, result.device) == (str(made.parent), "another program")
    Image.fromarray(hr[:40]).save(made / "00_x4.png")
    with pytest.raises(DataError, match=r"00_x4\.png: 64x40, where 64x44 is needed"):
        list(evaluate([], [folder], made=[made]))
    (made / "00_x4.png").unlink()
    with pytest.raises(DataError, match=r"Set2: no result for 00\.png$"):
        next(evaluate([], [folder], made=[made.parent]))
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list(evaluate([], [folder], made=[tmp_path / "nowhere"]))


def test_gray_of_three_other_channels_is_their_luma_rounded(tmp_path: Path) -> None:
    """Of (0, 1, 0) it is 0.587, which is 1; of (1, 0, 0) 0.299, which is 0."""
    for name in ("gray", "theirs"):
        (tmp_path / name).mkdir()
    hr = np.ones((24, 24), np.uint8)
    hr[:, 12:] = 0
    Image.fromarray(hr).save(tmp_path / "gray" / "a.png")
    Image.fromarray(np.stack([1 - hr, hr, 0 * hr], axis=-1)).save(tmp_path / "theirs" / "a.png")
    (result,) = evaluate([], [tmp_path / "gray"], made=[tmp_path / "theirs"], meters=Meters(metrics=["psnr_y"]))
    assert result.scores[0].values == {"psnr_y": math.inf}


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize("suffix", ["onnx", "safetensors"])
def test_the_weights_of_a_score_are_those_of_the_file(tmp_path: Path, shipped: Path, suffix: str) -> None:
    folder, file = photographs(tmp_path / "Set1", count=1, size=(24, 24)), shipped / f"srgan.{suffix}"
    (result,) = evaluate([str(file)], [folder], meters=Meters(metrics=["psnr_y"]))
    assert result.weights == hashlib.sha256(file.read_bytes()).hexdigest()


def test_auto_goes_by_what_each_lr_is_like(tmp_path: Path) -> None:
    """A coarse JPEG gets all repair, a finer one half of it, a PNG none, in pictures too small to see more of them."""
    folder = photographs(tmp_path / "Set3", count=3, size=(48, 64))
    (folder / "LRx4").mkdir()
    for number, quality in enumerate((50, 94)):
        lr = Image.fromarray(imresize(np.asarray(Image.open(folder / f"{number:02d}.png")), scale=0.25))
        lr.save(folder / "LRx4" / f"{number:02d}.jpg", quality=quality)
    Image.fromarray(imresize(np.asarray(Image.open(folder / "02.png")), scale=0.25)).save(folder / "LRx4" / "02.png")
    models = ["auto", "auto-fast", "srgan-photo", "srgan-fast-photo", "srgan-plus", "srgan-fast"]
    found = list(evaluate(models, [folder], meters=Meters(metrics=["psnr_rgb"])))
    auto, fast, photo, fast_photo, plus, fast_plus = ([score.values for score in each.scores] for each in found)
    assert (auto[0], fast[0]) == (photo[0], fast_photo[0])
    assert auto[1] not in (photo[1], plus[1])
    assert fast[1] not in (fast_photo[1], fast_plus[1])
    assert (auto[2], fast[2]) == (plus[2], fast_plus[2])
    files = [[find_weights(name).onnx for name in involved(model)] for model in ("auto", "auto-fast")]
    assert [each.weights for each in found[:2]] == [
        " ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in several if file) for several in files
    ]


def test_results_may_have_anything_behind_their_names(tmp_path: Path) -> None:
    """As BasicSR's pictures have the experiment's name, and Real-ESRGAN's _out; the longest beginning counts."""
    folder, made = photographs(tmp_path / "Set3", count=2, size=(32, 36)), tmp_path / "theirs"
    (folder / "01.png").rename(folder / "00_1.png")
    made.mkdir()
    for number, name in enumerate(["00_SRGAN_x4.png", "00_1-out.png"]):
        Image.fromarray(scene(32, 36, seed=number)).save(made / name)
    Image.fromarray(scene(32, 36, seed=9)).save(made / "001.png")  # of another picture
    (result,) = evaluate([], [folder], made=[made])
    assert [score.values["psnr_y"] for score in result.scores] == [math.inf, math.inf]
    Image.fromarray(scene(32, 36, seed=0)).save(made / "00-other.png")
    with pytest.raises(DataError, match=r"00-other\.png and 00_SRGAN_x4\.png could both be for 00\.png"):
        next(evaluate([], [folder], made=[made]))
    for path in made.iterdir():
        path.rename(path.with_name(f"other{path.name}"))
    with pytest.raises(DataError, match=r"theirs: no result for 00\.png, nor for 1 more"):
        next(evaluate([], [folder], made=[made]))


def test_low_resolution_pictures_of_another_folder(folder: Path, tmp_path: Path) -> None:
    """In one folder, as DIV2K's are, or in one for each test folder."""
    lr = tmp_path / "noisy"
    lr.mkdir()
    small = {"00x4.png": scene(11, 16, seed=7), "gray.png": scene(10, 12, seed=8)[..., 0]}
    for name, pixels in small.items():
        Image.fromarray(pixels).save(lr / name)
    (result,) = evaluate(["bicubic"], [folder], lr=lr)
    hr, sr = scene(47, 66, seed=0)[:44, :64], imresize(small["00x4.png"], scale=4.0)
    a, b = (luma(picture)[4:-4, 4:-4] for picture in (sr, hr))
    assert result.scores[0].values["psnr_y"] == psnr(a, b)
    assert result.lr == str(lr)
    (lr / "gray.png").rename(lr / "grey.png")
    with pytest.raises(DataError, match=r"noisy: no picture for gray\.png$"):
        list(evaluate(["bicubic"], [folder], lr=lr))
    photographs(lr / "Set2", count=1, size=(11, 16))
    with pytest.raises(DataError, match=r"noisy/Set2: no picture for gray\.png$"):
        list(evaluate(["bicubic"], [folder], lr=lr))
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list(evaluate(["bicubic"], [folder], lr=tmp_path / "nowhere"))


def test_pictures_of_one_name_do_not_share_what_belongs_to_one(tmp_path: Path) -> None:
    for number, name in enumerate(("SetA", "SetB")):
        photographs(tmp_path / name, count=1 + number, size=(32, 36))
    folders = [tmp_path / "SetA", tmp_path / "SetB"]
    photographs(tmp_path / "lr", count=2, size=(8, 9))
    match = r"00\.png would be for .*SetA/00\.png and for .*SetB/00\.png: pictures of one name cannot share a folder"
    with pytest.raises(DataError, match=match):
        next(evaluate(["bicubic"], folders, lr=tmp_path / "lr"))
    with pytest.raises(DataError, match=match):
        next(evaluate([], folders, made=[tmp_path / "SetB"]))
    for name in ("SetA", "SetB"):
        photographs(tmp_path / "lr" / name, count=2, size=(8, 9))
    assert len(list(evaluate(["bicubic"], folders, lr=tmp_path / "lr"))) == 2


def test_paths_may_be_text_and_lists_are_lists(folder: Path) -> None:
    assert len(list(evaluate(["bicubic"], [str(folder)]))) == 1
    for models, folders in (("bicubic", [folder]), (["bicubic"], str(folder))):
        with pytest.raises(ArgumentError, match="models and folders are lists"):
            next(evaluate(models, folders))


def test_names_are_of_any_case(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "Set1", count=1, size=(32, 36))
    (tmp_path / "small").mkdir()
    Image.fromarray(scene(8, 9, seed=3)).save(tmp_path / "small" / "00X4.PNG")
    (result,) = evaluate(["bicubic"], [folder], lr=tmp_path / "small")
    assert len(result.scores) == 1


def test_who_watches_sees_each_picture_with_all_results(folder: Path) -> None:
    shots: list[Shot] = []
    profile = Profile()
    (result,) = evaluate(["bicubic"], [folder], watch=shots.append, profile=profile)
    assert [shot.pair.file.name for shot in shots] == ["00.png", "gray.png"]
    assert shots[0].scores["bicubic"] == result.scores[0].values
    assert shots[1].results["bicubic"].shape == shots[1].pair.hr.shape
    assert {"psnr_y", "ssim_y", "upscaling", "reading"} <= profile.seconds.keys()
    assert sum(float(line.split()[-1].rstrip("%")) for line in profile.lines()) == pytest.approx(100, abs=1)


def test_what_cannot_be_told_apart_is_refused(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="a model is given twice"):
        list(evaluate(["bicubic", "bicubic"], [folder]))
    with pytest.raises(ArgumentError, match="two folders of the same name"):
        list(evaluate(["bicubic"], [folder, folder]))
    with pytest.raises(ArgumentError, match="nothing to measure"):
        list(evaluate([], [folder]))


def test_every_model_on_every_folder(folder: Path, tmp_path: Path, shipped: Path) -> None:  # noqa: ARG001
    other = photographs(tmp_path / "Set1", count=1)
    results = list(evaluate(["bicubic", "srresnet"], [folder, other]))
    assert [(r.model, r.folder) for r in results] == [
        ("bicubic", "Set2"),
        ("srresnet", "Set2"),
        ("bicubic", "Set1"),
        ("srresnet", "Set1"),
    ]


def test_folders_that_cannot_be_measured_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list(evaluate(["bicubic"], [tmp_path / "nowhere"]))
    with pytest.raises(DataError, match=r"tiny/00\.png: 19x19, a side under 20 pixels cannot be measured"):
        list(evaluate(["bicubic"], [photographs(tmp_path / "tiny", count=1, size=(19, 19))]))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"a\.png: not a picture"):
        list(evaluate(["bicubic"], [tmp_path / "broken"]))


@with_test_sets
@pytest.mark.parametrize(
    ("name", "decibels", "similarity"), [("Set5", 28.42, 0.8104), ("Set14", 26.00, 0.7027), ("BSD100", 25.96, 0.6675)]
)
def test_bicubic_has_the_published_scores(name: str, decibels: float, similarity: float) -> None:
    """The literature's figures are of Y resampled alone, ours of RGB: up to 0.01 dB and 0.0007 more."""
    (result,) = evaluate(["bicubic"], [TEST_SETS / name], meters=Meters(metrics=["psnr_y", "ssim_y"]))
    assert -0.005 < result.mean()["psnr_y"] - decibels < 0.015
    assert 0 < result.mean()["ssim_y"] - similarity < 0.0008


def test_threads_are_those_of_the_learned_metrics_too(folder: Path) -> None:
    before, meters = torch.get_num_threads(), Meters(metrics=["psnr_y"])
    found: list[int] = []

    def watch(_: Shot) -> None:
        found.append(torch.get_num_threads())

    try:
        for threads in (None, before + 1):
            list(evaluate(["bicubic"], [folder], meters=meters, threads=threads, watch=watch))
    finally:
        torch.set_num_threads(before)
    assert found == [before, before, before + 1, before + 1]


def test_hidden_pictures_are_none_of_a_folder_s(folder: Path) -> None:
    (folder / "._gray.png").write_bytes(b"what macOS leaves beside a picture")
    (result,) = evaluate(["bicubic"], [folder], meters=Meters(metrics=["psnr_y"]))
    assert [score.picture for score in result.scores] == ["00.png", "gray.png"]


def test_pictures_of_16_bits_are_not_measured_as_if_they_had_8(tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(made.png(np.full((40, 40, 3), 300, np.uint16)))
    with pytest.raises(DataError, match=r"deep\.png: measured are pictures of 8 bits"):
        list(evaluate(["bicubic"], [tmp_path], meters=Meters(metrics=["psnr_y"])))


@pytest.mark.usefixtures("shipped")
def test_a_network_of_another_scale_is_not_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Box())
    with pytest.raises(DataError, match="srgan: of scale 2; the evaluation is for 4"):
        list(evaluate(["srgan"], [folder], meters=Meters(metrics=["psnr_y"])))


@pytest.mark.usefixtures("shipped")
def test_networks_compute_in_the_precision_and_threads_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []

    def upscaler(model: str, **how: object) -> Upscaler:
        told.append(how)
        return Upscaler(model)

    monkeypatch.setattr("srgan.evaluation.sources.Upscaler", upscaler)
    threads = torch.get_num_threads()
    list(evaluate(["srgan"], [folder], meters=Meters(metrics=["psnr_y"]), precision="bf16", threads=threads))
    assert told == [{"precision": "bf16", "threads": threads}]


def test_a_picture_of_more_pixels_than_go_through_a_network_at_once_goes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("srgan.evaluation.meters.BATCH_PIXELS", 32 * 32 - 1)
    hr = scene(32, 32, seed=0)
    assert _distances(DISTS(), [hr, hr], hr) == pytest.approx([0, 0], abs=1e-6)
