"""VGG19's feature maps phi_i,j, in which the content loss measures (Ledig et al. 2017, section 2.2.1)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.errors import ArgumentError, WeightsError
from srgan.models.tensors import load_tensors

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = (2, 2, 4, 4, 4)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Phi(NamedTuple):
    """The feature map of the j-th convolution before the i-th max-pooling, both counted from 1."""

    i: int
    j: int

    @classmethod
    def parse(cls, text: str) -> "Phi":
        """Read "5,4" as phi_5,4. Raises ValueError where VGG19 has no such layer, or it is written otherwise."""
        i, _, j = text.partition(",")
        if not (i.isdecimal() and j.isdecimal()) or f"{int(i)},{int(j)}" != text:
            raise ValueError(f"{text!r} is no layer: 5,4, say")
        phi = cls(int(i), int(j))
        if not phi.exists:
            raise ValueError(f"VGG19 has no layer phi_{text}")
        return phi

    @property
    def exists(self) -> bool:
        """Whether VGG19 has it."""
        return 1 <= self.i <= len(DEPTHS) and 1 <= self.j <= DEPTHS[self.i - 1]


def existing(layers: Iterable[Phi]) -> list[Phi]:
    """Return layers that VGG19 has. Raises ArgumentError for one that it has not, and for none."""
    found = list(layers)
    if not found:
        raise ArgumentError("no layer of VGG19: Phi(5, 4), say")
    if other := [layer for layer in found if not (isinstance(layer, Phi) and layer.exists)]:
        raise ArgumentError(f"VGG19 has no layer {other[0]!r}: Phi(5, 4), say")
    return found


Maps: TypeAlias = Mapping[Phi, Tensor]
"""Feature maps, (N, C_i, H / 2^(i-1), W / 2^(i-1)) each."""


class VGG19Features(nn.Module):
    """Feature maps of VGG19 for pictures (N, 3, H, W) in [0, 1], RGB; nothing deeper than asked for is built.

    `activated` takes the maps after the ReLU, as the paper does, or before it. The network is frozen, but
    gradients flow through it to the picture. Raises ArgumentError for no layer, or one that VGG19 does not have.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(self, layers: Iterable[Phi], *, activated: bool = True) -> None:
        super().__init__()
        self.wanted = frozenset(existing(layers))
        self.activated = activated
        deepest = max(self.wanted)
        self.places = [Phi(i, j) for i, depth in enumerate(DEPTHS, 1) for j in range(1, depth + 1) if (i, j) <= deepest]
        inputs = [3, *(WIDTHS[place.i - 1] for place in self.places[:-1])]
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, WIDTHS[place.i - 1], 3, padding=1)
            for channels, place in zip(inputs, self.places, strict=True)
        )
        self.register_buffer("_mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> dict[Phi, Tensor]:
        """Return each map asked for, (N, C_i, H / 2^(i-1), W / 2^(i-1))."""
        maps: dict[Phi, Tensor] = {}
        x = (picture - self._mean) / self._std
        previous = 1
        for place, conv in zip(self.places, self.convs, strict=True):
            if place.i > previous:
                x = F.max_pool2d(x, 2)
                previous = place.i
            before = conv(x)
            x = F.relu(before)
            if place in self.wanted:
                maps[place] = x if self.activated else before
        return maps

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights from a state dict in torchvision's layout, keys features.0.weight and so on.

        Raises WeightsError where a tensor is missing or has another shape.
        """
        index = 0
        pooled = 1
        for place, conv in zip(self.places, self.convs, strict=True):
            if place.i > pooled:
                index, pooled = index + 1, place.i
            for name, parameter in conv.named_parameters():
                key = f"features.{index}.{name}"
                tensor = state.get(key)
                if tensor is None or tensor.shape != parameter.shape:
                    found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
                    raise WeightsError(f"not VGG19's weights: {key} is {found}, not {tuple(parameter.shape)}")
                parameter.data.copy_(tensor)
            index += 2


def load_vgg19(path: Path, layers: Iterable[Phi], *, activated: bool = True) -> VGG19Features:
    """Return VGG19 up to the deepest of `layers` with the weights of a .safetensors or torchvision .pth file.

    Raises WeightsError where the file is missing, damaged or of another network.
    """
    network = VGG19Features(layers, activated=activated).eval()
    network.load(load_tensors(path))
    return network
