"""Discriminators: that of SRGAN (Ledig et al. 2017, figure 4), and three that judge every place of a picture.

All take (N, 3, H, W) in [0, 1], the last one VGG19's maps of that, and give logits, positive where a picture, or a
place of it, looks like a photograph. The paper ends in a sigmoid; here the losses apply it, in the form that cannot
overflow.

Each is normalised in one of two ways: by batch norm, as in the paper, or by dividing its convolutions by their
largest singular value (`SpectralConv2d`).
"""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.models.vgg import WIDTHS, Maps, Phi, existing


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight, as a matrix (O, I kH kW), is divided by its largest singular value.

    That value is followed by one step of the power method a pass in training (Miyato et al. 2018, "Spectral
    normalization for generative adversarial networks", algorithm 1), in float32 whatever autocast says.
    """

    direction: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding)
        self.register_buffer("direction", F.normalize(torch.randn(outputs), dim=0))
        for _ in range(20):  # so that the first steps do not divide by too little
            self.direction.copy_(self._singular_vectors()[0])

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x by the normalised weight."""
        with torch.autocast(x.device.type, enabled=False):
            left, right = self._singular_vectors()
            if self.training:
                with torch.no_grad():
                    self.direction.copy_(left)  # in place: a recorded step reads it where it lay at the recording
            weight = self.weight / torch.dot(left, torch.mv(self.weight.flatten(1), right))
        y: Tensor = self._conv_forward(x, weight, self.bias)
        return y

    @torch.no_grad()
    def _singular_vectors(self) -> tuple[Tensor, Tensor]:
        """Return the left and the right vector after one step from the left one that is kept."""
        matrix = self.weight.flatten(1)
        right = F.normalize(torch.mv(matrix.T, self.direction), dim=0)
        return F.normalize(torch.mv(matrix, right), dim=0), right


class Discriminator(nn.Module):
    """Judges whole pictures: (N, 3, S, S) in [0, 1] to (N,) logits. With `spectral` the dense end stays as it is."""

    def __init__(
        self, *, widths: tuple[int, ...], dense: int, patch_size: int, slope: float, spectral: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, size = 3, patch_size
        for width in widths:
            for stride in (1, 2):
                layers += _layers(inputs, width, 3, stride, slope=slope, spectral=spectral, first=not layers)
                inputs, size = width, (size - 1) // stride + 1
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs * size * size, dense), nn.LeakyReLU(slope), nn.Linear(dense, 1)
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Return one logit a picture."""
        logits: Tensor = self.classifier(self.features(picture * 2 - 1))
        return logits.float().squeeze(1)


class PatchDiscriminator(nn.Module):
    """Judges overlapping windows: (N, 3, H, W) in [0, 1] to (N, H', W') logits (Isola et al. 2017, pix2pix).

    Convolutions 4x4 of `widths` channels, each of stride 2 but the last, and one more to the logits: with four of
    them a window has 70x70 pixels, and windows lie 8 apart.
    """

    def __init__(self, *, widths: tuple[int, ...], slope: float, spectral: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for i, width in enumerate(widths):
            stride = 1 if i == len(widths) - 1 else 2
            layers += _layers(inputs, width, 4, stride, slope=slope, spectral=spectral, first=not layers)
            inputs = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(inputs, 1, 4, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Return a logit for each window."""
        logits: Tensor = self.classifier(self.features(picture * 2 - 1))
        return logits.float().squeeze(1)


class UNetDiscriminator(nn.Module):
    """Judges every pixel, seeing what is around it: (N, 3, H, W) in [0, 1] to (N, H, W) logits.

    A U-Net as that of Real-ESRGAN (Wang et al. 2021, section 3.3): a convolution 3x3, on the way down convolutions
    4x4 of stride 2, on the way up bilinear enlargement, a convolution 3x3 and the sum with the map of this size
    from the way down; at the end two convolutions 3x3 and one to the logits. `widths` are the channels of each size.
    """

    def __init__(self, *, widths: tuple[int, ...], slope: float, spectral: bool) -> None:
        super().__init__()

        def step(inputs: int, outputs: int, kernel: int, stride: int = 1, *, first: bool = False) -> nn.Sequential:
            return nn.Sequential(
                *_layers(inputs, outputs, kernel, stride, slope=slope, spectral=spectral and not first, first=first)
            )

        self.head = step(3, widths[0], 3, first=True)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(step(wide, deep, 4, 2) for wide, deep in pairs)
        self.up = nn.ModuleList(step(deep, wide, 3) for wide, deep in reversed(pairs))
        self.end = nn.Sequential(step(widths[0], widths[0], 3), step(widths[0], widths[0], 3))
        self.classifier = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Return a logit for each pixel."""
        x = self.head(picture * 2 - 1)
        seen = []
        for down in self.down:
            seen.append(x)
            x = down(x)
        for up in self.up:
            skip = seen.pop()
            x = up(F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)) + skip
        logits: Tensor = self.classifier(self.end(x))
        return logits.float().squeeze(1)


class FeatureDiscriminator(nn.Module):
    """Judges every place of VGG19's maps: a mapping of phi_i,j to (N, L, H, W) logits, a plane for each of L maps.

    What it would have to learn of pictures first, VGG19 knows (Sauer et al. 2021, "Projected GANs converge faster",
    section 3); only a head on each map is trained: convolutions 1x1 and 3x3 of `width` channels, and one 3x3 to the
    logits. Planes are repeated to the size of the largest, so that every map has the same say. Raises ArgumentError
    for no layer, or one that VGG19 does not have.
    """

    def __init__(self, layers: Iterable[Phi], *, width: int, slope: float, spectral: bool) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {
                f"{phi.i},{phi.j}": nn.Sequential(
                    *_layers(WIDTHS[phi.i - 1], width, 1, 1, slope=slope, spectral=spectral, first=True),
                    *_layers(width, width, 3, 1, slope=slope, spectral=spectral, first=False),
                    nn.Conv2d(width, 1, 3, padding=1),
                )
                for phi in sorted(existing(layers))
            }
        )

    def forward(self, maps: Maps) -> Tensor:
        """Return a logit for each place of each map."""
        planes = [head(maps[Phi.parse(name)]).float() for name, head in self.heads.items()]
        return torch.cat([F.interpolate(plane, size=planes[0].shape[2:]) for plane in planes], dim=1)


def _layers(
    inputs: int, outputs: int, kernel: int, stride: int, *, slope: float, spectral: bool, first: bool
) -> list[nn.Module]:
    """Return a convolution, its normalisation and LeakyReLU; the first of a network has no batch norm."""
    padding = (kernel - 1) // 2
    if spectral:
        return [SpectralConv2d(inputs, outputs, kernel, stride=stride, padding=padding), nn.LeakyReLU(slope)]
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=first)
    return [conv, nn.LeakyReLU(slope)] if first else [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(slope)]


def srgan_discriminator(patch_size: int = 96, width: int = 64, *, spectral: bool = False) -> Discriminator:
    """The paper's discriminator: 64 to 512 channels in eight convolutions, dense 1024, LeakyReLU 0.2.

    For the paper's 96x96 patches it has 23,563,649 parameters. `width` is the first convolution's, to which all
    others are in proportion.
    """
    widths = (width, 2 * width, 4 * width, 8 * width)
    return Discriminator(widths=widths, dense=16 * width, patch_size=patch_size, slope=0.2, spectral=spectral)


def patch_discriminator(width: int = 64, *, spectral: bool = False) -> PatchDiscriminator:
    """The 70x70 PatchGAN of pix2pix: 64, 128, 256 and 512 channels, LeakyReLU 0.2; 2,765,633 parameters."""
    widths = (width, 2 * width, 4 * width, 8 * width)
    return PatchDiscriminator(widths=widths, slope=0.2, spectral=spectral)


def unet_discriminator(width: int = 64, *, spectral: bool = False) -> UNetDiscriminator:
    """A U-Net over four sizes with 64, 128, 256 and 512 channels, LeakyReLU 0.2; 4,379,841 parameters."""
    widths = (width, 2 * width, 4 * width, 8 * width)
    return UNetDiscriminator(widths=widths, slope=0.2, spectral=spectral)


def feature_discriminator(layers: Iterable[Phi], width: int = 64, *, spectral: bool = False) -> FeatureDiscriminator:
    """Heads of 64 channels on these maps of VGG19, LeakyReLU 0.2; 282,373 parameters on ESRGAN's five."""
    return FeatureDiscriminator(layers, width=width, slope=0.2, spectral=spectral)
