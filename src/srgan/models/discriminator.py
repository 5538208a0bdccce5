"""The discriminator of SRGAN (Ledig et al. 2017, figure 4)."""

from torch import Tensor, nn


class Discriminator(nn.Module):
    """Tells photographs from upscaled ones: (N, 3, S, S) in [0, 1] to (N,) logits.

    The paper ends in a sigmoid; here the losses apply it, in the form that cannot overflow.
    """

    def __init__(self, *, widths: tuple[int, ...], dense: int, patch_size: int, slope: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, size = 3, patch_size
        for width in widths:
            for stride in (1, 2):
                first = not layers
                layers.append(nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=first))
                if not first:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.LeakyReLU(slope))
                inputs, size = width, (size - 1) // stride + 1
        self.patch_size = patch_size
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs * size * size, dense), nn.LeakyReLU(slope), nn.Linear(dense, 1)
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Return one logit a picture, positive where it looks like a photograph."""
        logits: Tensor = self.classifier(self.features(picture * 2 - 1))
        return logits.float().squeeze(1)


def srgan_discriminator(patch_size: int = 96) -> Discriminator:
    """The paper's discriminator: 64 to 512 channels in eight convolutions, dense 1024, LeakyReLU 0.2.

    For the paper's 96x96 patches it has 23,563,649 parameters.
    """
    return Discriminator(widths=(64, 128, 256, 512), dense=1024, patch_size=patch_size, slope=0.2)
