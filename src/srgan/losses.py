"""The terms of the perceptual loss, l_SR = l_content + 1e-3 l_Gen (Ledig et al. 2017, section 2.2, equation 3).

All pictures are (N, 3, H, W) in [0, 1]; every loss is a scalar, averaged over the batch.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from srgan.models.vgg import Phi, VGG19Features


def pixel_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return l_MSE, equation 4: the mean squared error with the pictures in the paper's range [-1, 1]."""
    return 4 * F.mse_loss(sr, hr)


class ContentLoss(nn.Module):
    """Measures l_VGG/i.j, equation 5: the mean squared distance of VGG19's feature maps, times `factor`.

    `weights` may name several maps, whose distances are added with these weights. The paper's factor is
    1 / 12.75^2, meant to bring the loss to the magnitude of the pixel loss; it fits one set of weights of
    VGG19 only, so `calibrate` measures the one that does.
    """

    def __init__(self, vgg: VGG19Features, weights: Mapping[Phi, float], *, factor: float = 1.0) -> None:
        super().__init__()
        self.vgg = vgg
        self.weights = dict(weights)
        self.factor = factor

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss; gradients flow to `sr` alone."""
        target = self.vgg(hr.detach())
        maps = self.vgg(sr)
        distances = [w * F.mse_loss(maps[phi].float(), target[phi].float()) for phi, w in self.weights.items()]
        return self.factor * sum(distances, start=distances[0].new_zeros(()))

    def calibrate(self, blurred: Tensor, hr: Tensor) -> float:
        """Set and return the factor at which `blurred` (bicubic, say) costs as much here as in the pixel loss."""
        self.factor = 1.0
        self.factor = float(pixel_loss(blurred, hr) / self(blurred, hr))
        return self.factor


def adversarial_loss(fake: Tensor) -> Tensor:
    """Return l_Gen, equation 6: the mean of -log D(G(lr)), from the discriminator's logits (N,) for sr.

    -log sigmoid(x) = softplus(-x), which neither overflows nor loses its gradient.
    """
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of -log D(hr) - log(1 - D(G(lr))), equation 2, from logits (N,) each."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def total_variation(sr: Tensor) -> Tensor:
    """Return l_TV, equation 7 of the first version of the paper: the mean squared step to the next pixel.

    Down and right, in the paper's range [-1, 1].
    """
    down = (sr[..., 1:, :] - sr[..., :-1, :]).square().mean()
    right = (sr[..., :, 1:] - sr[..., :, :-1]).square().mean()
    return 4 * (down + right)
