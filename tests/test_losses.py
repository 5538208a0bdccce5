import math

import pytest
import torch
from torch import Tensor

from srgan.losses import ContentLoss, adversarial_loss, discriminator_loss, pixel_loss, total_variation
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


def test_layers_add_up_by_their_weights() -> None:
    first, second = Phi(1, 2), Phi(2, 1)
    network = vgg(first, second)
    sr, hr = pictures(0), pictures(1)
    alone = [float(ContentLoss(network, {phi: 1.0})(sr, hr)) for phi in (first, second)]
    both = float(ContentLoss(network, {first: 0.5, second: 2.0})(sr, hr))
    assert both == pytest.approx(0.5 * alone[0] + 2 * alone[1], rel=1e-6)


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
    factor = loss.calibrate(blurred, hr)
    assert factor == loss.factor
    assert float(loss(blurred, hr)) == pytest.approx(float(pixel_loss(blurred, hr)), rel=1e-4)
    unscaled = ContentLoss(vgg(Phi(2, 2)), {Phi(2, 2): 1.0}).calibrate(blurred, hr)
    assert factor == pytest.approx(unscaled / scale**2, rel=0.05)  # but for what the normalisation's border adds


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
