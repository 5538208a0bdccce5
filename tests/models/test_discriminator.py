from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srgan.models.discriminator import (
    Discriminator,
    SpectralConv2d,
    feature_discriminator,
    patch_discriminator,
    srgan_discriminator,
    unet_discriminator,
)
from srgan.models.vgg import WIDTHS, Phi

ESRGANS = [Phi(1, 2), Phi(2, 2), Phi(3, 4), Phi(4, 4), Phi(5, 4)]


def maps(size: int) -> dict[Phi, torch.Tensor]:
    """Return what VGG19 might give for two pictures of this size."""
    return {phi: torch.randn(2, WIDTHS[phi.i - 1], size >> phi.i - 1, size >> phi.i - 1) for phi in ESRGANS}


def test_the_papers_discriminator_has_23563649_parameters() -> None:
    pairs = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    first = 3 * 64 * 9 + 64
    convolutions = sum(inputs * outputs * 9 + 2 * outputs for inputs, outputs in pairs)
    side = 96 // 2 // 2 // 2 // 2
    dense = 512 * side * side * 1024 + 1024 + 1024 + 1
    assert first + convolutions + dense == 23_563_649
    assert sum(p.numel() for p in srgan_discriminator().parameters()) == 23_563_649


def test_one_logit_a_picture_for_any_patch_size() -> None:
    for size in (16, 20, 33):
        discriminator = Discriminator(widths=(4, 8), dense=5, patch_size=size, slope=0.2)
        logits = discriminator(torch.rand(3, 3, size, size))
        assert logits.shape == (3,)
        assert logits.dtype == torch.float32


def test_logits_are_not_squashed_and_stay_float32_under_autocast() -> None:
    discriminator = Discriminator(widths=(4,), dense=5, patch_size=8, slope=0.2)
    last = discriminator.classifier[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias.fill_(1000)
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(torch.rand(2, 3, 8, 8))
    assert logits.dtype == torch.float32
    assert logits.min() > 900


def test_the_patch_discriminators_parameters_by_hand() -> None:
    """Kernels 4x4; the first has a bias, those between a batch norm, the last to one logit a bias."""
    pairs = [(64, 128), (128, 256), (256, 512)]
    expected = 3 * 64 * 16 + 64 + sum(a * b * 16 + 2 * b for a, b in pairs) + 512 * 16 + 1
    assert expected == 2_765_633
    assert sum(p.numel() for p in patch_discriminator().parameters()) == expected
    biases_for_batch_norms = sum(b - 2 * b for _, b in pairs)
    assert sum(p.numel() for p in patch_discriminator(spectral=True).parameters()) == expected + biases_for_batch_norms


def test_a_window_of_the_patch_discriminator_has_70x70_pixels() -> None:
    """The gradient of one logit says what it sees; the next one sees the same eight pixels further."""
    discriminator = patch_discriminator(width=2).double().eval()
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.abs_()
    picture = torch.rand(1, 3, 128, 128, dtype=torch.float64).requires_grad_()
    logits = discriminator(picture)
    assert logits.shape == (1, 14, 14)
    spans = []
    for x in (6, 7):
        (gradient,) = torch.autograd.grad(logits[0, 6, x], picture, retain_graph=True)
        columns = gradient[0].abs().sum((0, 1)).nonzero().flatten()
        spans.append((int(columns.min()), int(columns.max())))
    assert [last - first + 1 for first, last in spans] == [70, 70]
    assert spans[1][0] - spans[0][0] == 8


def test_the_u_nets_parameters_by_hand() -> None:
    """3x3 to 64; 4x4 down to 512; 3x3 up to 64; two 3x3 of 64, and one to the logit."""
    down = [(64, 128), (128, 256), (256, 512)]
    expected = 3 * 64 * 9 + 64 + sum(a * b * 16 + 2 * b for a, b in down) + sum(a * b * 9 + 2 * a for a, b in down)
    expected += 2 * (64 * 64 * 9 + 2 * 64) + 64 * 9 + 1
    assert expected == 4_379_841
    assert sum(p.numel() for p in unet_discriminator().parameters()) == expected


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (33, 21)])
def test_the_u_net_judges_every_pixel_of_any_size(size: tuple[int, int]) -> None:
    discriminator = unet_discriminator(width=4, spectral=True)
    assert discriminator(torch.rand(2, 3, *size)).shape == (2, *size)


def test_the_u_nets_skips_lead_round_the_narrow_middle() -> None:
    """Where the way down and up is cut, a logit sees what four convolutions 3x3 see."""
    discriminator = unet_discriminator(width=4).double().eval()
    for parameter in discriminator.up.parameters():
        parameter.data.zero_()
    picture = torch.rand(1, 3, 32, 32, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(picture)[0, 16, 16], picture)
    rows = gradient[0].abs().sum((0, 2)).nonzero().flatten()
    assert rows.tolist() == list(range(12, 21))  # four convolutions 3x3: head, two at the end, and the logits'


def test_the_feature_discriminators_parameters_by_hand() -> None:
    """On each map a 1x1 with a bias, a 3x3 with a batch norm, and a 3x3 to the logit."""
    expected = sum(channels * 64 + 64 for channels in (64, 128, 256, 512, 512))
    expected += 5 * (64 * 64 * 9 + 2 * 64 + 64 * 9 + 1)
    assert expected == 282_373
    assert sum(p.numel() for p in feature_discriminator(ESRGANS).parameters()) == expected


def test_every_map_has_a_plane_of_its_own_and_the_same_say() -> None:
    torch.manual_seed(0)
    judge = feature_discriminator(ESRGANS, width=4, spectral=True).eval()
    seen = maps(48)
    logits = judge(seen)
    assert logits.shape == (2, 5, 48, 48)
    for plane, phi in enumerate(ESRGANS):
        alone = judge.heads[f"{phi.i},{phi.j}"](seen[phi])[:, 0]
        torch.testing.assert_close(logits[:, plane].mean(), alone.mean())
        assert torch.equal(logits[:, plane].unique(), alone.unique())
    other = judge(seen | {Phi(3, 4): torch.zeros(2, 256, 12, 12)})
    assert [torch.equal(logits[:, plane], other[:, plane]) for plane in range(5)] == [True, True, False, True, True]


def test_the_feature_discriminator_with_batch_or_spectral_norm() -> None:
    for spectral in (False, True):
        judge = feature_discriminator(ESRGANS, width=4, spectral=spectral)
        kinds = {type(module) for module in judge.modules()}
        assert (nn.BatchNorm2d in kinds) is not spectral
        assert (SpectralConv2d in kinds) is spectral
        with torch.autocast("cpu", torch.bfloat16):
            logits = judge(maps(32))
        assert logits.dtype == torch.float32
        torch.autograd.backward(logits.sum())
        assert all(p.grad is not None and p.grad.isfinite().all() for p in judge.parameters())


@pytest.mark.parametrize("build", [srgan_discriminator, patch_discriminator, unet_discriminator])
@pytest.mark.parametrize("spectral", [False, True])
def test_batch_norm_or_spectral_norm(build: Callable[..., nn.Module], spectral: bool) -> None:
    options: dict[str, Any] = {"patch_size": 32} if build is srgan_discriminator else {}
    discriminator = build(width=4, spectral=spectral, **options)
    kinds = {type(module) for module in discriminator.modules()}
    assert (nn.BatchNorm2d in kinds) is not spectral
    assert (SpectralConv2d in kinds) is spectral
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(torch.rand(2, 3, 32, 32))
    assert logits.dtype == torch.float32
    torch.autograd.backward(logits.sum())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in discriminator.parameters())


def test_half_the_width_is_half_of_every_width() -> None:
    convolutions = [m for m in srgan_discriminator(32, 32).features if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [32, 32, 64, 64, 128, 128, 256, 256]


def test_a_spectral_convolution_is_divided_by_its_largest_singular_value() -> None:
    torch.manual_seed(0)
    conv = SpectralConv2d(3, 8, 3, padding=1)
    x = torch.rand(2, 3, 6, 6)
    for _ in range(50):
        conv(x)
    sigma = torch.linalg.svdvals(conv.weight.detach().flatten(1))[0]
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight / sigma, conv.bias, padding=1))


def test_the_singular_value_is_followed_in_training_alone_and_in_float32() -> None:
    torch.manual_seed(0)
    conv = SpectralConv2d(3, 8, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.randn_like(conv.weight))
    x, before = torch.rand(1, 3, 4, 4), conv.direction.clone()
    conv.eval()(x)
    assert torch.equal(conv.direction, before)
    with torch.autocast("cpu", torch.bfloat16):
        conv.train()(x)
    right = F.normalize(conv.weight.detach().flatten(1).T @ before, dim=0)
    expected = F.normalize(conv.weight.detach().flatten(1) @ right, dim=0)
    torch.testing.assert_close(conv.direction, expected, rtol=0, atol=1e-6)


def test_the_gradient_of_a_spectral_convolution_is_that_of_the_division() -> None:
    """Against PyTorch's own derivative of the largest singular value."""
    torch.manual_seed(0)
    conv = SpectralConv2d(2, 4, 3).double()
    x, towards = torch.rand(1, 2, 5, 5, dtype=torch.float64), torch.rand(1, 4, 3, 3, dtype=torch.float64)
    for _ in range(200):
        conv(x)
    (found,) = torch.autograd.grad((conv(x) * towards).sum(), conv.weight)
    sigma = torch.linalg.svdvals(conv.weight.flatten(1))[0]
    loss = (F.conv2d(x, conv.weight / sigma, conv.bias) * towards).sum()
    (expected,) = torch.autograd.grad(loss, conv.weight)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_the_u_net_s_first_convolution_is_never_normalised() -> None:
    network = unet_discriminator(4, spectral=True)
    spectral = [name for name, module in network.named_modules() if isinstance(module, SpectralConv2d)]
    assert not [name for name in spectral if name.startswith("head")]
    assert {name.split(".")[0] for name in spectral} == {"down", "up", "end"}


def test_a_fresh_spectral_convolution_knows_its_largest_singular_value() -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        conv = SpectralConv2d(64, 64, 3)
        left, right = conv._singular_vectors()
        found = torch.dot(left, conv.weight.detach().flatten(1) @ right)
        assert float(found / torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)) > 0.97
