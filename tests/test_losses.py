import math

import numpy as np
import pytest
import torch
from torch import Tensor

from srgan import losses
from srgan.errors import ArgumentError
from srgan.image.resize import imresize
from srgan.losses import (
    GAMES,
    ContentLoss,
    adversarial_loss,
    artefact_loss,
    artefact_map,
    consistency_loss,
    discriminator_loss,
    fourier_loss,
    grid_loss,
    hinge_discriminator_loss,
    pixel_loss,
    relativistic_loss,
    total_variation,
    wavelet_loss,
)
from srgan.models.vgg import Phi, VGG19Features


def vgg(*layers: Phi, scale: float = 1.0) -> VGG19Features:
    """Return VGG19 with random weights, every map `scale` times as large as with a scale of 1."""
    torch.manual_seed(0)
    network = VGG19Features(layers)
    network.convs[0].weight.data.mul_(scale)  # type: ignore[operator]
    for conv in network.convs:
        conv.bias.data.zero_()  # type: ignore[operator]
    return network


def pictures(seed: int, size: int = 16) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_the_pixel_loss_is_the_mean_squared_error_in_the_papers_range() -> None:
    """0.5 and 0 in [0, 1] are 0 and -1 in [-1, 1]: an error of 1 in half of the values."""
    sr, hr = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.5)
    hr[..., 0] = 0.0
    assert float(pixel_loss(sr, hr)) == 0.5
    assert float(pixel_loss(hr, hr)) == 0


def test_the_absolute_pixel_loss_by_hand() -> None:
    """An error of 1/2 in [0, 1], 1 in [-1, 1], in half of the values."""
    sr, hr = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.5)
    hr[..., 0] = 0.0
    assert float(pixel_loss(sr, hr, "l1")) == 0.5
    hr[..., 0] = 0.25
    assert float(pixel_loss(sr, hr, "l1")) == 0.25
    assert float(pixel_loss(sr, hr)) == 0.125


def test_the_content_loss_by_hand() -> None:
    """Phi_1,1 of a network that copies red into channel 0 alone: 1/64 of red's squared error, normalised by 0.229."""
    network = VGG19Features([Phi(1, 1)])
    for parameter in network.parameters():
        parameter.zero_()
    network.convs[0].weight[0, 0, 1, 1] = 1  # type: ignore[operator]
    loss = ContentLoss(network, {Phi(1, 1): 3.0}, factor=2.0)
    sr, hr = torch.full((1, 3, 4, 4), 0.7), torch.full((1, 3, 4, 4), 0.6)
    assert float(loss(sr, hr)) == pytest.approx(2 * 3 * (0.1 / 0.229) ** 2 / 64, rel=1e-5)
    dark, darker = torch.full((1, 3, 4, 4), 0.3), torch.full((1, 3, 4, 4), 0.2)  # below the mean of 0.485: ReLU
    assert float(loss(dark, darker)) == 0


def test_the_absolute_content_loss_before_activation_by_hand() -> None:
    """As above, but what is below 0 counts, and not squared."""
    network = VGG19Features([Phi(1, 1)], activated=False)
    for parameter in network.parameters():
        parameter.zero_()
    network.convs[0].weight[0, 0, 1, 1] = 1  # type: ignore[operator]
    loss = ContentLoss(network, {Phi(1, 1): 3.0}, factor=2.0, distance="l1")
    for level in (0.7, 0.3):
        sr, hr = torch.full((1, 3, 4, 4), level), torch.full((1, 3, 4, 4), level - 0.1)
        assert float(loss(sr, hr)) == pytest.approx(2 * 3 * (0.1 / 0.229) / 64, rel=1e-5)
    assert loss.calibrate([(sr, hr)]) == pytest.approx(0.2 / (3 * (0.1 / 0.229) / 64), rel=1e-5)


def test_esrgans_five_layers_before_activation_are_taken_with_their_weights() -> None:
    """Conv1_2, 2_2, 3_4, 4_4 and 5_4 with .1, .1, 1, 1, 1, as the maps themselves say."""
    weights = {Phi(1, 2): 0.1, Phi(2, 2): 0.1, Phi(3, 4): 1.0, Phi(4, 4): 1.0, Phi(5, 4): 1.0}
    torch.manual_seed(0)
    network = VGG19Features(weights, activated=False)
    sr, hr = pictures(0), pictures(1)
    a, b = network(sr), network(hr)
    assert all(float(a[phi].min()) < 0 for phi in weights)
    expected = sum(weight * float((a[phi] - b[phi]).abs().mean()) for phi, weight in weights.items())
    assert float(ContentLoss(network, weights, distance="l1")(sr, hr)) == pytest.approx(expected, rel=1e-5)


def test_layers_add_up_by_their_weights() -> None:
    first, second = Phi(1, 2), Phi(2, 1)
    network = vgg(first, second)
    sr, hr = pictures(0), pictures(1)
    alone = [float(ContentLoss(network, {phi: 1.0})(sr, hr)) for phi in (first, second)]
    both = float(ContentLoss(network, {first: 0.5, second: 2.0})(sr, hr))
    assert both == pytest.approx(0.5 * alone[0] + 2 * alone[1], rel=1e-6)
    assert float(ContentLoss(network, {first: 0.0, second: 2.0})(sr, hr)) == pytest.approx(2 * alone[1], rel=1e-6)


def test_the_content_loss_trains_sr_and_nothing_else() -> None:
    sr, hr = pictures(0).requires_grad_(), pictures(1).requires_grad_()
    loss = ContentLoss(vgg(Phi(2, 2)), {Phi(2, 2): 1.0})
    loss(sr, hr).backward()
    assert sr.grad is not None
    assert sr.grad.abs().mean() > 0
    assert hr.grad is None
    assert all(p.grad is None for p in loss.parameters())
    step = sr.detach() - 0.1 * sr.grad / sr.grad.abs().max()
    with torch.no_grad():
        assert loss(step, hr) < loss(sr, hr)


@pytest.mark.parametrize("scale", [1.0, 40.0, 1 / 12.75])
def test_calibrated_it_is_as_large_as_the_pixel_loss_whatever_the_scale_of_the_weights(scale: float) -> None:
    hr = pictures(0)
    blurred = torch.nn.functional.avg_pool2d(hr, 3, 1, 1)
    loss = ContentLoss(vgg(Phi(2, 2), scale=scale), {Phi(2, 2): 1.0})
    factor = loss.calibrate([(blurred, hr)])
    assert factor == loss.factor
    assert float(loss(blurred, hr)) == pytest.approx(float(pixel_loss(blurred, hr)), rel=1e-4)
    unscaled = ContentLoss(vgg(Phi(2, 2)), {Phi(2, 2): 1.0}).calibrate([(blurred, hr)])
    assert factor == pytest.approx(unscaled / scale**2, rel=0.05)  # but for what the normalisation's border adds


def test_it_is_calibrated_on_all_batches_together() -> None:
    hr = [pictures(0), pictures(1)]
    blurred = [torch.nn.functional.avg_pool2d(hr[0], 3, 1, 1), hr[1] * 0.5]
    loss = ContentLoss(vgg(Phi(2, 2)), {Phi(2, 2): 1.0})
    factor = loss.calibrate(zip(blurred, hr, strict=True))
    assert factor == pytest.approx(loss.calibrate([(torch.cat(blurred), torch.cat(hr))]), rel=1e-5)
    assert factor != pytest.approx(loss.calibrate([(blurred[0], hr[0])]), rel=0.1)


def test_a_content_loss_that_measures_nothing_is_refused() -> None:
    network = vgg(Phi(2, 2))
    for weights, message in [
        ({}, r"weights \[\] measures nothing"),
        ({Phi(2, 2): 0.0}, r"weights \[0\.0\] measures nothing"),
        ({Phi(2, 2): -1.0}, r"weights \[-1\.0\] measures nothing"),
        ({Phi(1, 1): 1.0}, r"needs Phi\(i=1, j=1\), which this VGG19 does not give"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            ContentLoss(network, weights)
    loss = ContentLoss(network, {Phi(2, 2): 1.0}, factor=3.0)
    for pairs in ([], [(pictures(0), pictures(0))]):
        with pytest.raises(ArgumentError, match="calibrated on pictures that differ from their hr"):
            loss.calibrate(pairs)
    assert loss.factor == 3.0


def test_an_unknown_distance_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no distance 'l7': l2, l1"):
        pixel_loss(pictures(0), pictures(1), "l7")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="no distance 'l7': l2, l1"):
        ContentLoss(vgg(Phi(2, 2)), {Phi(2, 2): 1.0}, distance="l7")  # type: ignore[arg-type]


def test_consistency_has_gradients_whoever_asked_first() -> None:
    losses._bicubic.cache_clear()
    sr, hr = pictures(0, 32), pictures(1, 32)
    with torch.inference_mode():
        consistency_loss(sr, hr, 4)
    sr.requires_grad_()
    (gradient,) = torch.autograd.grad(consistency_loss(sr, hr, 4), sr)
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("window", [1, 6])
def test_a_window_without_a_middle_is_refused(window: int) -> None:
    with pytest.raises(ArgumentError, match=f"a window of {window} pixels has no pixel in its middle, or no other"):
        artefact_map(pictures(0), pictures(1), pictures(0), window)


def test_the_adversarial_losses_by_hand() -> None:
    """A logit of 0 is a probability of 1/2, one of ln 3 a probability of 3/4."""
    undecided, likely = torch.zeros(4), torch.full((4,), math.log(3))
    assert float(adversarial_loss(undecided)) == pytest.approx(math.log(2))
    assert float(adversarial_loss(likely)) == pytest.approx(-math.log(3 / 4))
    assert float(discriminator_loss(likely, undecided)) == pytest.approx(-math.log(3 / 4) - math.log(1 / 2))
    assert float(discriminator_loss(undecided, likely)) == pytest.approx(-math.log(1 / 2) - math.log(1 / 4))


def test_they_are_stable_for_logits_of_a_thousand() -> None:
    for value, expected in [(1000.0, 0.0), (-1000.0, 1000.0)]:
        logits = torch.full((3,), value, requires_grad=True)
        loss = adversarial_loss(logits)
        torch.autograd.backward(loss)
        assert float(loss.detach()) == expected
        assert logits.grad is not None
        assert logits.grad.tolist() == pytest.approx([0.0 if value > 0 else -1 / 3] * 3)
        with torch.no_grad():
            assert float(discriminator_loss(-logits, logits)) == (2000.0 if value > 0 else 0.0)


def test_total_variation_by_hand() -> None:
    """A step of 1/2 in [0, 1] is one of 1 in [-1, 1]: one of two steps down, none of the steps to the right."""
    picture = torch.zeros(1, 3, 3, 5)
    picture[..., 2, :] = 0.5
    assert float(total_variation(picture)) == 0.5
    assert float(total_variation(picture.transpose(2, 3))) == 0.5
    assert float(total_variation(torch.full((1, 3, 3, 3), 0.4))) == 0


def test_the_relativistic_losses_by_hand() -> None:
    """Logits of 1 and 3 for photographs, mean 2, and of 0 and -2 for the others, mean -1."""
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -2.0])

    def cost(x: float) -> float:
        return math.log(1 + math.exp(-x))  # of saying sigmoid(x) where 1 is right

    expected = (cost(1 + 1) + cost(3 + 1)) / 2 + (cost(2 - 0) + cost(2 + 2)) / 2
    assert float(relativistic_loss(real, fake)) == pytest.approx(expected)
    game = GAMES["relativistic"]
    assert float(game.discriminator(real, fake)) == pytest.approx(expected)
    turned = (cost(0 - 2) + cost(-2 - 2)) / 2 + (cost(-1 - 1) + cost(-1 - 3)) / 2
    assert float(game.generator(real, fake)) == pytest.approx(turned)
    assert game.needs_real


def test_the_hinge_losses_by_hand() -> None:
    real, fake = torch.tensor([0.25, 3.0]), torch.tensor([-4.0, 0.5])
    assert float(hinge_discriminator_loss(real, fake)) == (0.75 + 0) / 2 + (0 + 1.5) / 2
    assert float(GAMES["hinge"].discriminator(real, fake)) == 1.125
    assert float(GAMES["hinge"].generator(real, fake)) == 1.75


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("shape", [(4,), (2, 5, 3)])
def test_a_game_pulls_both_ways(name: str, shape: tuple[int, ...]) -> None:
    """What the coin costs; the discriminator is told to raise hr's logits and lower sr's, the generator to raise sr's.

    The logits of pixels count like those of pictures.
    """
    game = GAMES[name]
    real, fake = torch.zeros(shape, requires_grad=True), torch.zeros(shape, requires_grad=True)
    loss = game.discriminator(real, fake)
    assert float(loss.detach()) == pytest.approx(game.coin)
    up, down = torch.autograd.grad(loss, [real, fake])
    assert (up < 0).all()
    assert (down > 0).all()
    (wish,) = torch.autograd.grad(game.generator(real.detach(), fake), fake)
    assert (wish < 0).all()


def test_the_papers_game_is_the_papers_losses() -> None:
    real, fake = torch.tensor([0.3, -1.0]), torch.tensor([2.0, 0.1])
    game = GAMES["paper"]
    assert torch.equal(game.generator(real, fake), adversarial_loss(fake))
    assert torch.equal(game.discriminator(real, fake), discriminator_loss(real, fake))
    assert not game.needs_real


def test_the_artefact_map_by_loops() -> None:
    """Against the formulas written out for one pixel after the other, with NumPy's variance."""
    sr, hr, stable = (pictures(seed, 10) for seed in (0, 1, 2))
    found = artefact_map(sr, hr, stable)
    assert found.shape == (2, 1, 10, 10)
    zeros = 0
    for n in range(2):
        residual, steady = ((hr[n] - p[n]).abs().double().numpy().sum(0) for p in (sr, stable))
        padded = np.pad(residual, 3, mode="reflect")
        whole = residual.var(ddof=1) ** 0.2
        for y in range(10):
            for x in range(10):
                weight = whole * padded[y : y + 7, x : x + 7].var(ddof=1)
                weight *= residual[y, x] >= steady[y, x]
                zeros += weight == 0
                assert float(found[n, 0, y, x]) == pytest.approx(weight, rel=1e-4)
    assert 40 < zeros < 160
    expected = float((found * (sr - hr).abs()).mean()) * 2
    assert float(artefact_loss(sr, hr, stable)) == pytest.approx(expected)


@pytest.mark.parametrize("window", [3, 7])
def test_the_artefact_map_of_an_error_that_is_large_and_even(window: int) -> None:
    """A variance of 3e-7 around a mean of 2.4: what is squared as it is leaves nothing of that in float32.

    An average that is as far from hr as sr is leaves all of it.
    """
    hr = torch.zeros(2, 3, 10, 10)
    sr = hr + 0.8 + 0.001 * pictures(0, 10)
    found = artefact_map(sr, hr, sr, window)
    for n in range(2):
        residual = sr[n].double().numpy().sum(0)
        padded = np.pad(residual, window // 2, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window))
        expected = residual.var(ddof=1) ** 0.2 * windows.var((2, 3), ddof=1)
        np.testing.assert_allclose(found[n, 0].numpy(), expected, rtol=0.02)


def test_where_the_average_is_farther_from_the_original_nothing_is_an_artefact() -> None:
    sr, hr = pictures(0), pictures(1)
    assert float(artefact_loss(sr, hr, stable=hr + 3)) == 0
    leaf = sr.clone().requires_grad_()
    artefact_loss(leaf, hr, stable=hr).backward()  # type: ignore[no-untyped-call]
    weights = artefact_map(sr, hr, hr)
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, 2 * weights * torch.sign(sr - hr) / sr.numel())  # none through the map


def test_a_flat_error_is_no_artefact() -> None:
    hr = pictures(0)
    assert float(artefact_loss(hr + 0.25, hr, stable=hr)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_consistency_is_the_error_of_matlabs_bicubic_away_from_the_border(scale: int) -> None:
    sr, hr = pictures(0, 12 * scale), pictures(1, 12 * scale)
    small, theirs = (
        np.stack([imresize(p.permute(1, 2, 0).double().numpy(), scale=1 / scale) for p in both]) for both in (sr, hr)
    )
    inside = (small - theirs)[:, 2:-2, 2:-2]  # the border says nothing
    assert float(consistency_loss(sr, hr, scale)) == pytest.approx(4 * (inside**2).mean(), rel=1e-5)
    assert float(consistency_loss(hr, hr, scale)) == 0


def test_a_colour_drift_costs_in_consistency_what_it_costs_in_lr_psnr() -> None:
    """A fault of d everywhere is one of d after the bicubic, too: 42 dB are 4 * 10^-4.2."""
    hr = torch.full((1, 3, 32, 32), 0.4)
    assert float(consistency_loss(hr + 10**-2.1, hr, 4)) == pytest.approx(4 * 10**-4.2, rel=1e-4)


def test_the_fourier_loss_of_a_brighter_picture_by_hand() -> None:
    """Twice the picture has twice the amplitudes and the same phases; NumPy's transform says how large they are."""
    hr = pictures(0, 8) * 0.5
    window = np.outer(*[0.5 - 0.5 * np.cos(2 * np.pi * np.arange(8) / 7)] * 2)
    amplitudes = np.abs(np.fft.rfft2(2 * hr.double().numpy() * window, norm="ortho"))
    level = 2 / 255
    chord = np.abs(2 * amplitudes / (2 * amplitudes + level) - amplitudes / (amplitudes + level))
    expected = amplitudes.mean() + chord.mean()
    assert float(fourier_loss(2 * hr, hr)) == pytest.approx(expected, rel=1e-4)
    assert float(fourier_loss(hr, hr)) == 0


def test_the_fourier_loss_of_a_negative_is_all_phase() -> None:
    """Every coefficient turns by half a circle: a chord of 2, drawn in where the amplitude is small."""
    hr = pictures(0, 8)
    window = np.outer(*[0.5 - 0.5 * np.cos(2 * np.pi * np.arange(8) / 7)] * 2)
    amplitudes = np.abs(np.fft.rfft2(2 * hr.double().numpy() * window, norm="ortho"))
    expected = 2 * (amplitudes / (amplitudes + 2 / 255)).mean()
    assert float(fourier_loss(-hr, hr)) == pytest.approx(expected, rel=1e-4)


def test_the_fourier_loss_has_a_gradient_everywhere() -> None:
    """In black as well, where amplitudes are 0 and phases are nothing."""
    sr = torch.zeros(1, 3, 8, 8, requires_grad=True)
    fourier_loss(sr, pictures(0, 8)[:1]).backward()  # type: ignore[no-untyped-call]
    assert sr.grad is not None
    assert sr.grad.isfinite().all()


def test_the_wavelet_loss_sees_means_of_four_pixels() -> None:
    """A checkerboard costs nothing, a step of 1/4 in [0, 1] in one quarter of the picture 1/8 in [-1, 1]."""
    hr = torch.full((1, 3, 4, 4), 0.5)
    board = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat(2, 2)
    assert float(wavelet_loss(hr + board, hr)) == pytest.approx(0, abs=1e-7)
    sr = hr.clone()
    sr[..., :2, :2] += 0.25
    assert float(wavelet_loss(sr, hr)) == 0.125


def test_the_grid_loss_sees_what_repeats_and_no_drift() -> None:
    """Every fourth column 1/4 brighter, in [0, 1], is 3/16 over the mean there, 1/16 under it in the three others."""
    hr = pictures(0, 32)[:1]
    assert float(grid_loss(hr + 0.25, hr)) == pytest.approx(0, abs=1e-6)
    sr = hr.clone()
    sr[..., ::4] += 0.25
    expected = pytest.approx(2 * (3 / 16 + 3 * 1 / 16) / 4, rel=1e-5)
    assert float(grid_loss(sr, hr)) == expected
    more = [torch.nn.functional.pad(picture, (0, 1, 0, 3), value=0.5) for picture in (sr, hr)]
    assert float(grid_loss(*more)) == expected  # beyond the last whole window


def test_the_grid_loss_lets_texture_be() -> None:
    """White noise is averaged over 64 periods: an eighth of its absolute mean, and 15/16 of its variance is left."""
    torch.manual_seed(0)
    hr = torch.rand(4, 3, 128, 128)
    noise = torch.randn_like(hr)
    expected = (2 / torch.pi) ** 0.5 / 8 * (15 / 16) ** 0.5
    assert float(grid_loss(hr + noise / 2, hr)) == pytest.approx(expected, rel=0.03)


def test_the_grid_loss_lets_be_what_differs_from_window_to_window() -> None:
    hr = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    drift = torch.tensor([[0.1, -0.2], [0.3, 0.0]]).repeat_interleave(32, 0).repeat_interleave(32, 1)
    assert losses.grid_loss(hr + drift, hr).item() == pytest.approx(0, abs=1e-6)
