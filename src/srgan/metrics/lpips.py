"""LPIPS, the learned perceptual distance of Zhang et al. 2018, "The unreasonable effectiveness of deep features"."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.errors import ArgumentError, DataError, WeightsError
from srgan.metrics.backbone import ALEXNET, VGG16, Name, check_pictures, pieces
from srgan.models.tensors import load_tensors

FILES: dict[Name, str] = {"alex": "lpips_alex.safetensors", "vgg": "lpips_vgg.safetensors"}
"""What the weights' files are called, by the network; DISTS takes its VGG16 from the second."""

SMALLEST: dict[Name, int] = {"alex": 31, "vgg": 16}
"""The shortest side in pixels that leaves something in the last feature map."""


class LPIPS(nn.Module):
    """LPIPS, version 0.1, in the feature maps of AlexNet or VGG16: 0 for equal pictures, larger for worse ones.

    Takes (N, 3, H, W) in [0, 1], RGB; returns (N,). Fresh, it has no useful weights: see `load_lpips`. Raises
    ArgumentError for the name of another network.
    """

    _shift: Tensor
    _scale: Tensor

    def __init__(self, name: Name = "alex") -> None:
        super().__init__()
        if name not in SMALLEST:
            raise ArgumentError(f"LPIPS has no network {name!r}: {', '.join(SMALLEST)}")
        self.name = name
        self.backbone = ALEXNET if name == "alex" else VGG16
        self.net = self.backbone.modules()
        self.lin = nn.ParameterList([torch.zeros(n) for n in self.backbone.widths])
        self.register_buffer("_shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each pair, (N,)."""
        return self.distance(self.features(sr), self.features(hr))

    def features(self, picture: Tensor) -> list[Tensor]:
        """Return the feature maps of (N, 3, H, W) in [0, 1].

        Raises DataError for a picture too small for the network, or not of three channels.
        """
        check_pictures(picture, "LPIPS", SMALLEST[self.name], which=f" ({self.name})")
        x = (picture * 2 - 1 - self._shift) / self._scale
        return list(self.backbone.maps(x, self.net, self._pool))

    def distance(self, sr: list[Tensor], hr: list[Tensor]) -> Tensor:
        """Return the distance between what `features` returned for two batches, (N,)."""
        total = sr[0].new_zeros(len(sr[0]))
        for a, b, lin in zip(sr, hr, self.lin, strict=True):
            pixels = a.shape[2] * a.shape[3]
            for p, q in zip(pieces(a), pieces(b), strict=True):
                total = total + ((_unit(p) - _unit(q)).square() @ lin).sum(dim=1) / pixels
        return total

    def _pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3 if self.name == "alex" else 2, 2)


def _unit(x: Tensor) -> Tensor:
    """Return x (N, pixels, C) with each pixel's channels scaled to length 1."""
    length: Tensor = torch.linalg.vector_norm(x, dim=2, keepdim=True)
    return x / (length + 1e-10)


def load_lpips(path: Path, name: Name = "alex") -> LPIPS:
    """Return LPIPS with the weights of a .safetensors file: net.{0..}.weight and bias, lin.{0..4}.

    Raises WeightsError where the file is missing, damaged or of another network.
    """
    network = LPIPS(name).eval()
    try:
        network.load_state_dict(load_tensors(path))
    except RuntimeError as error:
        kind = "AlexNet" if name == "alex" else "VGG16"
        raise WeightsError(f"{path}: not LPIPS's {kind} weights") from error
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def as_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """Return a uint8 picture (H, W, 3) or (H, W) as float32 (1, 3, H, W) in [0, 1]; gray becomes three equal channels.

    Raises DataError for another shape or type.
    """
    if picture.dtype != np.uint8 or (picture.ndim != 2 and picture.shape[2:] != (3,)):
        raise DataError(f"a picture is an array (H, W, 3) or (H, W) of uint8, not {picture.shape} of {picture.dtype}")
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
