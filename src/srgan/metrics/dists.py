"""DISTS, deep image structure and texture similarity, of Ding et al. 2020 (arXiv 2004.07728)."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.errors import WeightsError
from srgan.metrics.backbone import VGG16, check_pictures, pieces
from srgan.models.tensors import load_tensors
from srgan.models.vgg import MEAN, STD

FACTORS = Path(__file__).with_name("dists.safetensors")
"""The learned alpha and beta, of the DISTS-pytorch package, MIT licence."""

SMALLEST = 16


class DISTS(nn.Module):
    """Distance in VGG16's feature maps, pooled by an L2 norm: 0 for equal pictures, tolerant of other texture.

    Takes (N, 3, H, W) in [0, 1], RGB; returns (N,). Fresh, it has no useful weights: see `load_dists`.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = VGG16.modules()
        channels = sum([3, *VGG16.widths])
        self.alpha = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.ones(channels))
        self.register_buffer("_mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each pair, (N,)."""
        return self.distance(self.features(sr), self.features(hr))

    def features(self, picture: Tensor) -> list[Tensor]:
        """Return the picture (N, 3, H, W) in [0, 1] itself and its feature maps.

        Raises DataError for a picture under 16 pixels a side, or not of three channels.
        """
        check_pictures(picture, "DISTS", SMALLEST)
        return [picture, *VGG16.maps((picture - self._mean) / self._std, self.net, l2_pool)]

    def distance(self, sr: list[Tensor], hr: list[Tensor]) -> Tensor:
        """Return the distance between what `features` returned for two batches, (N,): equations 6, 7 and 8."""
        c1 = c2 = 1e-6
        total = self.alpha.sum() + self.beta.sum()
        widths = [x.shape[1] for x in sr]
        similarity = sr[0].new_zeros(len(sr[0]))
        parts = zip(sr, hr, torch.split(self.alpha, widths), torch.split(self.beta, widths), strict=True)
        for a, b, alpha, beta in parts:
            mean_a, mean_b = a.mean(dim=(2, 3)), b.mean(dim=(2, 3))
            var_a, var_b, covariance = torch.zeros_like(mean_a), torch.zeros_like(mean_b), torch.zeros_like(mean_a)
            pixels = a.shape[2] * a.shape[3]
            for p, q in zip(pieces(a), pieces(b), strict=True):
                p, q = p - mean_a[:, None], q - mean_b[:, None]
                var_a += p.square().sum(dim=1) / pixels
                var_b += q.square().sum(dim=1) / pixels
                covariance += (p * q).sum(dim=1) / pixels
            texture = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
            structure = (2 * covariance + c2) / (var_a + var_b + c2)
            similarity = similarity + (alpha * texture).sum(dim=1) + (beta * structure).sum(dim=1)
        return 1 - similarity / total


def l2_pool(x: Tensor) -> Tensor:
    """Return x (N, C, H, W) at half the size: the root of its squares, blurred by a 3x3 Hann window."""
    hann = x.new_tensor([0.25, 0.5, 0.25])
    window = (hann[:, None] * hann).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def load_dists(path: Path) -> DISTS:
    """Return DISTS with VGG16's weights from LPIPS's file, net.{0..12}.weight and bias.

    Raises WeightsError where the file is missing, damaged or of another network.
    """
    network = DISTS().eval()
    convs = {key: value for key, value in load_tensors(path).items() if key.startswith("net.")}
    try:
        network.load_state_dict(convs | load_file(FACTORS))
    except RuntimeError as error:
        raise WeightsError(f"{path}: not VGG16's weights") from error
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
