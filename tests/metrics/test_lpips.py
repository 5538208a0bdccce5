import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from references import (
    CALIBRATION,
    PERCEPTUAL,
    REFERENCE,
    TEST_SETS,
    chelsea,
    rgb,
    with_calibration,
    with_test_sets,
    with_weights,
)
from runs import scene
from srgan.errors import ArgumentError, DataError, WeightsError
from srgan.image.resize import bicubic_taps
from srgan.metrics import DISTS, LPIPS, as_tensor, load_dists, load_lpips
from srgan.metrics.backbone import Name, pieces
from srgan.metrics.dists import FACTORS, l2_pool


def test_a_picture_as_a_tensor(noise: NDArray[np.uint8]) -> None:
    tensor = as_tensor(noise)
    assert tensor.shape == (1, 3, 13, 17)
    assert float(tensor[0, 2, 5, 7]) == np.float32(noise[5, 7, 2]) / np.float32(255)
    gray = as_tensor(noise[..., 0])
    assert torch.equal(gray, tensor[:, :1].expand(1, 3, 13, 17))
    for other in (noise / np.float32(255), noise.astype(np.uint16), np.dstack([noise, noise[..., :1]])):
        with pytest.raises(DataError, match=r"a picture is an array \(H, W, 3\) or \(H, W\) of uint8, not \(13, 17, "):
            as_tensor(other)  # type: ignore[arg-type]


def test_other_networks_and_channels_are_refused() -> None:
    with pytest.raises(ArgumentError, match="LPIPS has no network 'vgg16': alex, vgg"):
        LPIPS("vgg16")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"LPIPS is of pictures \(N, 3, H, W\), not of \(1, 1, 64, 64\)"):
        LPIPS().features(torch.zeros(1, 1, 64, 64))
    with pytest.raises(DataError, match=r"DISTS is of pictures \(N, 3, H, W\), not of \(1, 1, 64, 64\)"):
        DISTS().features(torch.zeros(1, 1, 64, 64))


def test_lpips_adds_what_each_layer_gives() -> None:
    """With ones in `lin` a layer gives the mean squared distance of unit vectors: at most 2 with non-negative maps."""
    torch.manual_seed(0)
    metric = LPIPS()
    for conv in metric.net:
        torch.nn.init.kaiming_normal_(conv.weight)  # type: ignore[arg-type]
    a, b = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    total = torch.zeros(2)
    for i, lin in enumerate(metric.lin):
        lin.data.fill_(1)
        only = metric(a, b)
        assert ((only > 0) & (only < 2)).all()
        assert torch.allclose(metric(b, a), only)
        total += only
        lin.data.zero_()
        assert metric.net[i].weight.requires_grad is False
    for lin in metric.lin:
        lin.data.fill_(1)
    torch.testing.assert_close(metric(a, b), total)


def test_weights_of_lpips_come_from_a_file(tmp_path: Path) -> None:
    written = LPIPS()
    save_file(written.state_dict(), tmp_path / "lpips.safetensors")
    read = load_lpips(tmp_path / "lpips.safetensors")
    assert all(torch.equal(value, read.state_dict()[key]) for key, value in written.state_dict().items())
    assert not read.training
    save_file({"net.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other\.safetensors: not LPIPS's AlexNet weights"):
        load_lpips(tmp_path / "other.safetensors")


@pytest.mark.parametrize("build", [LPIPS, partial(LPIPS, "vgg"), DISTS])
def test_equal_pictures_have_no_distance(build: Callable[[], LPIPS | DISTS]) -> None:
    metric = build()
    picture = as_tensor(scene(64, 48, seed=0))
    assert metric(picture, picture).tolist() == pytest.approx([0], abs=2e-6)


@pytest.mark.parametrize(("build", "side"), [(LPIPS, 31), (partial(LPIPS, "vgg"), 16), (DISTS, 16)])
def test_pictures_too_small_for_the_network_are_named(build: Callable[[], LPIPS | DISTS], side: int) -> None:
    metric = build()
    assert metric(torch.rand(1, 3, side, side), torch.rand(1, 3, side, side)).isfinite().all()
    with pytest.raises(DataError, match=f"needs {side} pixels a side, not 40x{side - 1}"):
        metric(torch.rand(1, 3, side - 1, 40), torch.rand(1, 3, side - 1, 40))


def test_features_of_one_picture_serve_several_results() -> None:
    metric = LPIPS("alex")
    for lin in metric.lin:
        lin.data.fill_(1)
    hr, sr = torch.rand(1, 3, 40, 40), torch.rand(2, 3, 40, 40)
    one_by_one = torch.cat([metric(picture[None], hr) for picture in sr])
    torch.testing.assert_close(metric.distance(metric.features(sr), metric.features(hr)), one_by_one)


def test_pieces_of_a_map_are_all_its_pixels() -> None:
    maps = torch.rand(2, 64, 80, 70)
    parts = pieces(maps)
    assert [part.shape[1] for part in parts] == [3906, 80 * 70 - 3906]
    assert torch.equal(torch.cat(parts, dim=1)[1, 70 * 60 + 3], maps[1, :, 60, 3])


def test_distances_in_pieces_are_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sr, hr = torch.rand(2, 3, 40, 40), torch.rand(1, 3, 40, 40)
    lpips = LPIPS()
    for lin in lpips.lin:
        lin.data.fill_(1)
    metrics: list[LPIPS | DISTS] = [lpips, DISTS()]
    whole = [metric(sr, hr) for metric in metrics]
    for place in ("lpips", "dists"):
        monkeypatch.setattr(f"srgan.metrics.{place}.pieces", lambda x: x.permute(0, 2, 3, 1).flatten(1, 2).split(7, 1))
    for metric, expected in zip(metrics, whole, strict=True):
        torch.testing.assert_close(metric(sr, hr), expected, rtol=1e-4, atol=1e-6)


def test_l2_pooling_by_hand() -> None:
    """A plane of ones stays one inside; at the border a quarter of the window's weight lies outside."""
    pooled = l2_pool(torch.full((1, 2, 6, 6), -3.0))
    assert pooled.shape == (1, 2, 3, 3)
    assert pooled[0, :, 1:, 1:].flatten().tolist() == pytest.approx([3.0] * 8)
    assert float(pooled[0, 0, 0, 1]) == pytest.approx(3 * 0.75**0.5)


def test_dists_without_learned_maps_by_hand() -> None:
    """With alpha and beta on the picture alone: 1 less the mean of luminance and structure terms."""
    metric = DISTS()
    metric.alpha.data.zero_()
    metric.beta.data.zero_()
    metric.alpha.data[0] = 1
    metric.beta.data[0] = 3
    a, b = (as_tensor(scene(32, 32, seed=i)) for i in (0, 1))
    x, y = a[0, 0].double(), b[0, 0].double()
    texture = (2 * x.mean() * y.mean() + 1e-6) / (x.mean() ** 2 + y.mean() ** 2 + 1e-6)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    structure = (2 * covariance + 1e-6) / (x.var(correction=0) + y.var(correction=0) + 1e-6)
    assert float(metric(a, b)) == pytest.approx(float(1 - (texture + 3 * structure) / 4), abs=1e-5)


def test_the_factors_of_dists_are_the_authors() -> None:
    """SHA-256 of the values, float32, in DISTS-pytorch 0.1's weights.pt."""
    digests = {
        name: hashlib.sha256(values.numpy().tobytes()).hexdigest() for name, values in load_file(FACTORS).items()
    }
    assert digests == {
        "alpha": "f4aa5f6c7a589b704a74d3117f8f77aecd2d0b8113b5a310054864f541b8c8d2",
        "beta": "6f06a5eea768f9b7f2391c3f1c069973aab1c40e4065e92b750713f95cd8c84c",
    }


def test_dists_refuses_other_weights(tmp_path: Path) -> None:
    save_file(LPIPS("alex").state_dict(), tmp_path / "alex.safetensors")
    with pytest.raises(WeightsError, match=r"alex\.safetensors: not VGG16's weights"):
        load_dists(tmp_path / "alex.safetensors")


@with_weights
@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_the_linear_heads_are_those_of_the_package_lpips(name: Name) -> None:
    metric = load_lpips(PERCEPTUAL / f"lpips_{name}.safetensors", name)
    for lin, head in zip(metric.lin, REFERENCE["heads"][name], strict=True):
        assert lin[:3].tolist() == head["first"]
        assert hashlib.sha256(lin.data.numpy().tobytes()).hexdigest() == head["sha256"]


@with_weights
def test_scores_are_those_of_the_authors_packages() -> None:
    folder = PERCEPTUAL
    metrics: dict[str, LPIPS | DISTS] = {
        "lpips": load_lpips(folder / "lpips_alex.safetensors"),
        "lpips_vgg": load_lpips(folder / "lpips_vgg.safetensors", "vgg"),
        "dists": load_dists(folder / "lpips_vgg.safetensors"),
    }
    sr, hr = map(as_tensor, chelsea())
    for name, metric in metrics.items():
        with torch.inference_mode():
            assert float(metric(sr, hr)) == pytest.approx(REFERENCE["scores"][name], abs=2e-6), name


@with_weights
@with_calibration
@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_scores_are_those_that_the_authors_programs_gave(name: str) -> None:
    metric: LPIPS | DISTS
    if name == "lpips":
        metric = load_lpips(PERCEPTUAL / "lpips_alex.safetensors")
    else:
        metric = load_dists(PERCEPTUAL / "lpips_vgg.safetensors")
    for picture, value in REFERENCE["calibration"][name].items():
        pair = (as_tensor(rgb(CALIBRATION / folder / f"{picture}.bmp")) for folder in ("dist_dir", "ref_dir"))
        with torch.inference_mode():
            assert float(metric(*pair)) == pytest.approx(value, rel=3e-4), picture


@with_weights
@with_test_sets
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_lpips_of_bicubic_is_the_published_one(name: str) -> None:
    """SPSR's baseline to the last digit, made as SPSR made it: lr not rounded, borders mirrored, whole pictures."""
    metric = load_lpips(PERCEPTUAL / "lpips_alex.safetensors")
    distances = []
    for file in sorted((TEST_SETS / name).glob("*.png")):
        hr = rgb(file)
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        sr = mirrored_bicubic(mirrored_bicubic(hr.astype(np.float64), 0.25), 4.0)
        with torch.inference_mode():
            distances.append(float(metric(as_tensor(np.rint(sr.clip(0, 255)).astype(np.uint8)), as_tensor(hr))))
    assert round(float(np.mean(distances)), 4) == REFERENCE["bicubic"]["lpips"][name]


def mirrored_bicubic(picture: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    for axis in (0, 1):
        inputs = picture.shape[axis]
        places, weights = bicubic_taps(int(inputs * scale), scale)
        places = np.where(places < 0, -1 - places, places)
        places = np.where(places >= inputs, 2 * inputs - 1 - places, places)
        lines = np.einsum("ot,ot...->o...", weights, np.moveaxis(picture, axis, 0)[places])
        picture = np.moveaxis(lines, 0, axis)
    return picture
