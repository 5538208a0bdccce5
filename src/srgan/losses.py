"""The terms of the perceptual loss, l_SR = l_content + 1e-3 l_Gen (Ledig et al. 2017, section 2.2, equation 3).

And those that came later. All pictures are (N, 3, H, W) in [0, 1]; every loss is a scalar, averaged over the batch.
Distances between pictures are taken in the paper's range [-1, 1].
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.errors import ArgumentError
from srgan.image.resize import bicubic_taps
from srgan.models.vgg import Maps, Phi, VGG19Features

Distance: TypeAlias = Literal["l2", "l1"]
"""The mean squared difference, or the mean absolute one."""


def pixel_loss(sr: Tensor, hr: Tensor, distance: Distance = "l2") -> Tensor:
    """Return l_MSE, equation 4: the mean squared error with the pictures in the paper's range [-1, 1].

    With "l1" it is the mean absolute error. Raises ArgumentError for another distance.
    """
    return 4 * F.mse_loss(sr, hr) if _order(distance) == 2 else 2 * F.l1_loss(sr, hr)


class ContentLoss(nn.Module):
    """Measures l_VGG/i.j, equation 5: the distance of VGG19's feature maps, squared in the paper, times `factor`.

    `weights` may name several maps, whose distances are added with these weights. The paper's factor is
    1 / 12.75^2, meant to bring the loss to the magnitude of the pixel loss; it fits one set of weights of
    VGG19 only, so `calibrate` measures the one that does. Raises ArgumentError for no map, one that `vgg` does not
    give, weights that are all 0 or below it, or an unknown distance.
    """

    def __init__(
        self, vgg: VGG19Features, weights: Mapping[Phi, float], *, factor: float = 1.0, distance: Distance = "l2"
    ) -> None:
        super().__init__()
        if lacking := [phi for phi in weights if phi not in vgg.wanted]:
            raise ArgumentError(f"the content loss needs {lacking[0]!r}, which this VGG19 does not give")
        if not any(weights.values()) or min(weights.values()) < 0:
            raise ArgumentError(f"a content loss of weights {[*weights.values()]} measures nothing")
        _order(distance)
        self.vgg = vgg
        self.weights = {phi: weight for phi, weight in weights.items() if weight}
        self.factor = factor
        self.distance = distance

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss; gradients flow to `sr` alone."""
        return self.between(self.vgg(sr), self.vgg(hr.detach()))

    def between(self, sr: Maps, hr: Maps) -> Tensor:
        """Return the loss from VGG19's maps of both."""
        distances = [w * _distance_of_maps(sr[phi], hr[phi], self.distance) for phi, w in self.weights.items()]
        return self.factor * sum(distances, start=distances[0].new_zeros(()))

    def calibrate(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Set and return the factor at which blurred pictures (bicubic, say) cost as much here as in the pixel loss.

        `pairs` are batches of them with their hr. Both losses take the same distance and are summed over all batches.
        Raises ArgumentError where there are none, or no picture differs from its hr.
        """
        earlier, self.factor = self.factor, 1.0
        costs = [torch.stack([pixel_loss(*pair, self.distance), self(*pair)]) for pair in pairs]
        pixel, content = torch.stack(costs).sum(dim=0).tolist() if costs else (0.0, 0.0)
        if not (pixel and content):
            self.factor = earlier
            raise ArgumentError("a content loss is calibrated on pictures that differ from their hr")
        self.factor = pixel / content
        return self.factor


def _order(distance: Distance) -> int:
    """Return the order of a distance's norm. Raises ArgumentError for an unknown one."""
    if distance not in get_args(Distance):
        raise ArgumentError(f"no distance {distance!r}: {', '.join(get_args(Distance))}")
    return 2 if distance == "l2" else 1


def _distance_of_maps(ours: Tensor, theirs: Tensor, distance: Distance) -> Tensor:
    """Return the mean distance of two maps (N, C, H, W): their difference in their own type, its sum in float32."""
    order = _order(distance)
    norms = torch.linalg.vector_norm(ours - theirs, order, dim=(1, 2, 3), dtype=torch.float32)
    sums: Tensor = norms**order
    return sums.mean() / ours[0].numel()


def adversarial_loss(fake: Tensor) -> Tensor:
    """Return l_Gen, equation 6: the mean of -log D(G(lr)), from the discriminator's logits for sr.

    -log sigmoid(x) = softplus(-x), which neither overflows nor loses its gradient.
    """
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of -log D(hr) - log(1 - D(G(lr))), equation 2, from logits each."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def relativistic_loss(likelier: Tensor, other: Tensor) -> Tensor:
    """Return how little `likelier` looks more like photographs than `other` does on average, and the other way round.

    -log sigmoid(likelier - mean(other)) - log(1 - sigmoid(other - mean(likelier))), means over all logits
    (Jolicoeur-Martineau 2018, "The relativistic discriminator", section 4.2.3). The discriminator's loss takes hr's
    logits first, the generator's sr's. With several processes the means are those of each one's share of a batch.
    """
    return F.softplus(other.mean() - likelier).mean() + F.softplus(other - likelier.mean()).mean()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of max(0, 1 - real) + max(0, 1 + fake) (Lim & Ye 2017, "Geometric GAN")."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


@dataclass(frozen=True)
class Game:
    """What generator and discriminator play: their losses from the logits of hr and of sr, in this order.

    `coin` is what it costs a discriminator to give 0 for everything. `needs_real` says whether the generator's loss
    looks at hr's logits.
    """

    generator: Callable[[Tensor, Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]
    coin: float
    needs_real: bool = False


GAMES = {
    "paper": Game(lambda _, fake: adversarial_loss(fake), discriminator_loss, 2 * log(2)),
    "relativistic": Game(lambda real, fake: relativistic_loss(fake, real), relativistic_loss, 2 * log(2), True),
    "hinge": Game(lambda _, fake: -fake.mean(), hinge_discriminator_loss, 2.0),
}
"""By the name that recipes give."""


def total_variation(sr: Tensor) -> Tensor:
    """Return l_TV, equation 7 of the first version of the paper: the mean squared step to the next pixel.

    Down and right, in the paper's range [-1, 1].
    """
    down = (sr[..., 1:, :] - sr[..., :-1, :]).square().mean()
    right = (sr[..., :, 1:] - sr[..., :, :-1]).square().mean()
    return 4 * (down + right)


def artefact_loss(sr: Tensor, hr: Tensor, stable: Tensor) -> Tensor:
    """Return the mean absolute error where sr looks like an artefact (Liang et al. 2022, "Details or artifacts").

    `stable` is what the averaged generator made of the same lr. See `artefact_map`, which no gradient goes through.
    """
    return 2 * (artefact_map(sr, hr, stable) * (sr - hr).abs()).mean()


@torch.no_grad()
def artefact_map(sr: Tensor, hr: Tensor, stable: Tensor, window: int = 7) -> Tensor:
    """Return the weights of `artefact_loss`, (N, 1, H, W): equations 3 to 6 of that paper.

    The variance of the residual |hr - sr|, its channels added, in the window about each pixel, times the fifth root
    of its variance in the whole patch; 0 where `stable` is farther from hr than sr is. Raises ArgumentError for a
    window that has no middle.
    """
    if window < 3 or window % 2 == 0:
        raise ArgumentError(f"a window of {window} pixels has no pixel in its middle, or no other")
    residual, steady = ((hr - picture).abs().sum(1, keepdim=True) for picture in (sr, stable))
    reach = window // 2
    centred = residual - residual.mean((2, 3), keepdim=True)  # what is squared stays small
    padded = F.pad(centred, (reach, reach, reach, reach), mode="reflect")
    mean, square = (F.avg_pool2d(values, window, 1) for values in (padded, padded.square()))
    count = window * window
    local = (square - mean.square()).clamp(min=0) * (count / (count - 1))
    whole = residual.var((2, 3), keepdim=True) ** (1 / 5)
    return torch.where(residual < steady, 0.0, whole * local)


def consistency_loss(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Return the mean squared error, in [-1, 1], between sr and hr, both made small by MATLAB's bicubic.

    Where lr was not degraded it is what hr becomes, but for rounding. Pixels whose taps reach out of the pictures are
    left out: what lies there is not known.
    """
    place, taps = _bicubic(scale, sr.device)
    first = place % scale  # of the first pixel with all of its taps inside
    error = (sr - hr)[..., first:, first:]  # made small is the difference of both made small
    for axis in (2, 3):
        error = (error.unfold(axis, len(taps), scale) * taps).sum(-1)
    return 4 * error.square().mean()


@lru_cache
def _bicubic(scale: int, device: torch.device) -> tuple[int, Tensor]:
    """Return where MATLAB's bicubic begins to read for pixel 0 of a picture `scale` times as small, and its taps."""
    places, weights = bicubic_taps(1, 1 / scale)
    with torch.inference_mode(False):  # it stays, and others will want gradients through it
        return int(places[0, 0]), torch.tensor(weights[0], dtype=torch.float32, device=device)


def fourier_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean absolute difference of amplitudes plus that of phases, of the two-dimensional spectrum.

    After Fuoli et al. 2021, "Fourier space losses for efficient perceptual image super-resolution", section 3.2,
    under a Hann window, so that the patch's edges do not count; orthonormal, in [-1, 1]. The phases are compared as
    points on the unit circle, drawn to its centre where the amplitude is under one level of 8 bits: an angle has no
    bounded gradient there.
    """
    height, width = sr.shape[2:]
    rows, columns = (torch.hann_window(n, periodic=False, device=sr.device) for n in (height, width))
    window = 2 * rows[:, None] * columns
    ours, theirs = (torch.fft.rfft2(picture * window, norm="ortho") for picture in (sr, hr))
    # the square root of 0 has no gradient
    a, b = (torch.sqrt(x.real.square() + x.imag.square() + 1e-12) for x in (ours, theirs))
    level = 2 / 255
    phases = torch.view_as_real(ours / (a + level) - theirs / (b + level))
    loss: Tensor = (a - b).abs().mean() + torch.linalg.vector_norm(phases, dim=-1).mean()
    return loss


def wavelet_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean absolute error of the low band of Haar's wavelets, the mean of 2x2 pixels, in [-1, 1].

    What holds a picture to hr without pulling on its texture (after Korkmaz et al. 2024, "Training generative
    image super-resolution models by wavelet-domain losses").
    """
    return 2 * F.l1_loss(F.avg_pool2d(sr, 2), F.avg_pool2d(hr, 2))


def grid_loss(sr: Tensor, hr: Tensor, *, period: int = 4, window: int = 8) -> Tensor:
    """Return the mean absolute error of what repeats every `period` pixels, in [-1, 1].

    The error is averaged over window x window periods for each place in the period, less the mean over all places:
    the pattern that the steps of shuffles, and of strides and pooling in what judges them, leave in flat areas.
    Texture, which does not repeat, averages out. Pixels beyond the last whole window are left out.
    """
    rows, columns = (side // period * period for side in sr.shape[2:])
    errors = F.avg_pool2d(F.pixel_unshuffle((sr - hr)[..., :rows, :columns], period), window)
    errors = errors.reshape(len(sr), sr.shape[1], period**2, -1)
    return 2 * (errors - errors.mean(2, keepdim=True)).abs().mean()
