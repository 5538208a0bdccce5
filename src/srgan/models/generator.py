"""The generator of SRGAN, which trained for the pixel loss alone is SRResNet (Ledig et al. 2017, figure 4)."""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Conv 3x3, BN, PReLU, conv 3x3, BN, and the sum with the input; (N, C, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # no bias before a batch norm, whose own shift takes its place
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, of the input's shape."""
        y = self.act(self.bn1(self.conv1(x)))
        return x + self.bn2(self.conv2(y))


class Upsample(nn.Module):
    """Conv 3x3 to four times the channels, PixelShuffle x2, PReLU; (N, C, H, W) to (N, C, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture of features at twice the size."""
        return self.act(self.shuffle(self.conv(x)))


class Generator(nn.Module):
    """The residual generator: (N, 3, H, W) in [0, 1] to (N, 3, 4H, 4W), nominally in [0, 1], never clamped.

    The paper's network takes [0, 1] and gives [-1, 1]; the last line of `forward` turns that to [0, 1].
    Its scale is 2 to the power of `stages`.
    """

    def __init__(self, *, channels: int, blocks: int, stages: int, end_kernel: int) -> None:
        super().__init__()
        self.scale = 2**stages
        self.halo = halo(blocks=blocks, stages=stages, end_kernel=end_kernel)
        self.head = nn.Conv2d(3, channels, end_kernel, padding=end_kernel // 2)
        self.head_act = nn.PReLU(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.trunk_conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.trunk_bn = nn.BatchNorm2d(channels)
        self.upsample = nn.Sequential(*(Upsample(channels) for _ in range(stages)))
        self.tail = nn.Conv2d(channels, 3, end_kernel, padding=end_kernel // 2)

    def forward(self, lr: Tensor) -> Tensor:
        """Return sr for lr, both RGB with 1.0 as white."""
        first = self.head_act(self.head(lr))
        trunk: Tensor = self.trunk_bn(self.trunk_conv(self.blocks(first)))
        sr: Tensor = self.tail(self.upsample(first + trunk))
        return (sr.float() + 1) / 2


def halo(*, blocks: int, stages: int, end_kernel: int) -> int:
    """How many lr pixels away an input pixel can still change an output pixel, in one direction.

    Walks back from the last row of an lr pixel's patch of the output: the tail reaches end_kernel // 2
    further, every stage's 3x3 convolution one further on its own grid, halving on the way down.
    """
    low, high = 0, 2**stages - 1
    low, high = low - end_kernel // 2, high + end_kernel // 2
    for _ in range(stages):
        low, high = low // 2 - 1, high // 2 + 1
    trunk = 2 * blocks + 1 + end_kernel // 2
    return max(-low, high) + trunk


def srresnet_x4() -> Generator:
    """The paper's generator: 64 channels, 16 residual blocks, 9x9 ends, 4 times the size; 1,548,547 parameters."""
    return Generator(channels=64, blocks=16, stages=2, end_kernel=9)


GENERATORS = {"srresnet_x4": srresnet_x4}
"""Every generator by the name that weights, recipes and checkpoints carry."""


def fold_batch_norm(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight (O, I, kH, kW) and bias (O,) of the one convolution equal to `bn(conv(x))` in eval mode."""
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    factor = bn.weight.double() * torch.rsqrt(bn.running_var.double() + bn.eps)
    bias = torch.zeros_like(bn.bias) if conv.bias is None else conv.bias
    weight = conv.weight.double() * factor.view(-1, 1, 1, 1)
    shift = (bias.double() - bn.running_mean.double()) * factor + bn.bias.double()
    return weight.float().detach(), shift.float().detach()
