"""The two networks for classification whose feature maps perceptual distances are taken in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.errors import DataError

Name: TypeAlias = Literal["alex", "vgg"]


@dataclass(frozen=True)
class Backbone:
    """Convolutions as (in, out, kernel, stride, padding), each with a ReLU behind it.

    `pooled` are those with a pooling before them, `taken` those whose result is a feature map.
    """

    convs: tuple[tuple[int, int, int, int, int], ...]
    pooled: tuple[int, ...]
    taken: tuple[int, ...]

    @property
    def widths(self) -> list[int]:
        """The channels of each feature map."""
        return [self.convs[i][1] for i in self.taken]

    def modules(self) -> nn.ModuleList:
        """Return the convolutions, with fresh weights."""
        return nn.ModuleList(nn.Conv2d(i, o, kernel, stride, padding) for i, o, kernel, stride, padding in self.convs)

    def maps(self, x: Tensor, convs: nn.ModuleList, pool: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        """Yield the feature maps of x (N, 3, H, W), normalised as the network wants it."""
        for i, conv in enumerate(convs):
            if i in self.pooled:
                x = pool(x)
            x = F.relu(conv(x), inplace=True)
            if i in self.taken:
                yield x


def check_pictures(pictures: Tensor, metric: str, least: int, *, which: str = "") -> None:
    """Raise DataError for what is not (N, 3, H, W), or has a side under `least` pixels; `which` network needs them."""
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise DataError(f"{metric} is of pictures (N, 3, H, W), not of {tuple(pictures.shape)}")
    if min(pictures.shape[2:]) < least:
        size = f"{pictures.shape[3]}x{pictures.shape[2]}"
        raise DataError(f"{metric}{which} needs {least} pixels a side, not {size}")


def pieces(x: Tensor) -> tuple[Tensor, ...]:
    """Return the pixels of a feature map (N, C, H, W) as parts (N, pixels, C) that a processor's cache can hold."""
    return torch.split(x.permute(0, 2, 3, 1).flatten(1, 2), max(1, 250_000 // x.shape[1]), dim=1)


_WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)

ALEXNET = Backbone(
    convs=((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)),
    pooled=(1, 2),
    taken=(0, 1, 2, 3, 4),
)
"""Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", its five convolutions."""

VGG16 = Backbone(
    convs=tuple((i, o, 3, 1, 1) for i, o in zip((3, *_WIDTHS[:-1]), _WIDTHS, strict=True)),
    pooled=(2, 4, 7, 10),
    taken=(1, 3, 6, 9, 12),
)
"""Simonyan & Zisserman 2015: relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 are taken."""
