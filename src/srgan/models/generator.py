"""The generator of SRGAN, which trained for the pixel loss alone is SRResNet (Ledig et al. 2017, figure 4).

The end of the network, PixelShuffle, PReLU, conv 9x9 (64 to 3) at four times the size, is computed as PReLU,
conv 5x5 (256 to 12), PixelShuffle at twice the size: the same sums with the taps in another place
(`tail_before_shuffle`), so the arithmetic stays on wide channels that a vector unit can fill. The parameters
are those of the 9x9 convolution.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Conv 3x3, BN, PReLU, conv 3x3, BN, and the sum with the input; (N, C, H, W) to the same shape.

    The last batch norm's factor begins at zero, so that a fresh block is the identity (Goyal et al. 2017). A `plain`
    block has no batch norm; its last convolution begins at zero instead.
    """

    def __init__(self, channels: int, *, plain: bool = False) -> None:
        super().__init__()
        # no bias before a batch norm, whose own shift takes its place
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=plain)
        self.bn1 = nn.Identity() if plain else nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=plain)
        self.bn2 = nn.Identity() if plain else nn.BatchNorm2d(channels)
        for name, values in (self.conv2 if plain else self.bn2).named_parameters():
            if plain or name == "weight":
                nn.init.zeros_(values)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, of the input's shape."""
        y = self.act(self.bn1(self.conv1(x)))
        z: Tensor = self.bn2(self.conv2(y))
        return x + z


class Upsample(nn.Module):
    """Conv 3x3 to four times the channels, PixelShuffle x2, PReLU; (N, C, H, W) to (N, C, 2H, 2W).

    The convolution's outputs, which PixelShuffle wants as C times (2, 2), are computed as (2, 2) times C: in
    channels_last each of the four pixels then lies in one piece.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture of features at twice the size."""
        n, channels, h, w = x.shape
        pixels = self.unshuffled(x).permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, channels)
        return pixels.transpose(2, 3).reshape(n, 2 * h, 2 * w, channels).permute(0, 3, 1, 2)

    def unshuffled(self, x: Tensor) -> Tensor:
        """Return (N, 4C, H, W), the four pixels that follow from each, C channels of one after those of another."""
        assert self.conv.bias is not None
        y = F.conv2d(x, phases_first(self.conv.weight), phases_first(self.conv.bias), padding=1)
        n, channels, h, w = y.shape
        beside = y.permute(0, 2, 3, 1).reshape(n, h, 4 * w, channels // 4).permute(0, 3, 1, 2)
        z: Tensor = self.act(beside)
        return z.permute(0, 2, 3, 1).reshape(n, h, w, channels).permute(0, 3, 1, 2)


class Generator(nn.Module):
    """The residual generator: (N, 3, H, W) in [0, 1] to (N, 3, 4H, 4W), nominally in [0, 1], never clamped.

    The paper's network takes [0, 1] and gives [-1, 1]; the last line of `forward` turns that to [0, 1].
    Every one of its `stages` doubles the size. One without stages computes all on the grid of lr: the pixels of sr are
    channels of its last convolution until PixelShuffle, by `shuffle`, puts them in their places (Shi et al. 2016).
    A `plain` one has no batch norm, and begins without a checkerboard: the convolutions before PixelShuffle enlarge
    by nearest neighbours (ICNR, Aitken et al. 2017).
    """

    def __init__(
        self, *, channels: int, blocks: int, stages: int, end_kernel: int, shuffle: int = 1, plain: bool = False
    ) -> None:
        super().__init__()
        if (stages > 0) == (shuffle > 1):
            raise ValueError(f"a generator enlarges by stages or by one shuffle: not {stages} of them and by {shuffle}")
        self.shape = {
            "channels": channels,
            "blocks": blocks,
            "stages": stages,
            "end_kernel": end_kernel,
            "shuffle": shuffle,
        }
        self.plain = plain
        self.shuffle = shuffle
        self.scale = shuffle << stages
        self.halo = halo(blocks=blocks, stages=stages, end_kernel=end_kernel)
        self.head = nn.Conv2d(3, channels, end_kernel, padding=end_kernel // 2)
        self.head_act = nn.PReLU(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels, plain=plain) for _ in range(blocks)))
        self.trunk_conv = nn.Conv2d(channels, channels, 3, padding=1, bias=plain)
        self.trunk_bn = nn.Identity() if plain else nn.BatchNorm2d(channels)
        self.upsample = nn.Sequential(*(Upsample(channels) for _ in range(stages)))
        self.tail = nn.Conv2d(channels, 3 * shuffle * shuffle, end_kernel, padding=end_kernel // 2)
        if plain:
            for stage in self.upsample:
                assert isinstance(stage, Upsample)
                alike_before_shuffle(stage.conv, 2)
            alike_before_shuffle(self.tail, shuffle)

    def forward(self, lr: Tensor) -> Tensor:
        """Return sr for lr, both RGB with 1.0 as white."""
        first = self.head_act(self.head(lr))
        trunk: Tensor = self.trunk_bn(self.trunk_conv(self.blocks(first)))
        x = first + trunk
        sr = self._through_stages(x) if self.upsample else F.pixel_shuffle(self.tail(x), self.shuffle)
        return (sr.float() + 1) / 2

    def _through_stages(self, x: Tensor) -> Tensor:
        """Return what the tail makes of the trunk's features, enlarged by every stage."""
        *stages, last = self.upsample
        for stage in stages:
            x = stage(x)
        assert isinstance(last, Upsample)
        weight, bias = self._tail()
        return F.pixel_shuffle(F.conv2d(last.unshuffled(x), weight, bias, padding=weight.shape[-1] // 2), 2)

    def _tail(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the convolution that stands for the tail before the last PixelShuffle."""
        assert self.tail.bias is not None
        weight = phases_first(tail_before_shuffle(self.tail.weight).transpose(0, 1)).transpose(0, 1)
        return weight, self.tail.bias.repeat_interleave(4)


def halo(*, blocks: int, stages: int, end_kernel: int) -> int:
    """How many lr pixels away an input pixel can still change an output pixel, in one direction.

    Walks back from the last row of an lr pixel's patch of what the tail gives: the tail reaches end_kernel // 2
    further, every stage's 3x3 convolution one further on its own grid, halving on the way down. Without stages the
    tail is on the grid of lr, and so is its patch.
    """
    low, high = 0, (1 << stages) - 1
    low, high = low - end_kernel // 2, high + end_kernel // 2
    for _ in range(stages):
        low, high = low // 2 - 1, high // 2 + 1
    trunk = 2 * blocks + 1 + end_kernel // 2
    return max(-low, high) + trunk


def tail_before_shuffle(weight: Tensor) -> Tensor:
    """Rearrange a convolution after PixelShuffle(2) into the one before it that gives the same values.

    Takes weight (O, C, K, K), K odd, that follows `shuffle(x)`, where x has 4C channels; returns the weight
    (4O, 4C, K', K') of the convolution of x whose PixelShuffle(2) is the same picture, zero padding included.
    Output row 2Y + a and tap d meet row 2Y + a + d of the shuffled picture, which is row Y + (a + d) // 2 of
    x, in the channel of phase (a + d) % 2.
    """
    outputs, channels, size, _ = weight.shape
    reach = size // 2
    wide = (reach + 1) // 2
    side = 2 * wide + 1
    around = [(2 * wide - reach + phase, side - reach - phase) for phase in range(2)]
    moved = torch.stack([F.pad(weight, (*around[b], *around[a])) for a in range(2) for b in range(2)], 1)
    taps = moved.reshape(4 * outputs, channels, side, 2, side, 2)
    return taps.permute(0, 1, 3, 5, 2, 4).reshape(4 * outputs, 4 * channels, side, side)


def phases_first(values: Tensor) -> Tensor:
    """Reorder the first dimension from PixelShuffle(2)'s C times (2, 2) to (2, 2) times C."""
    return values.reshape(-1, 4, *values.shape[1:]).transpose(0, 1).flatten(0, 1)


def alike_before_shuffle(conv: nn.Conv2d, shuffle: int) -> None:
    """Give the pixels that PixelShuffle(shuffle) makes of one the same weights: those of the first of them."""
    pixels = shuffle * shuffle
    with torch.no_grad():
        for values in conv.parameters():
            values.copy_(values[::pixels].repeat_interleave(pixels, dim=0))


def srresnet_x4() -> Generator:
    """The paper's generator: 64 channels, 16 residual blocks, 9x9 ends, 4 times the size; 1,548,547 parameters."""
    return Generator(channels=64, blocks=16, stages=2, end_kernel=9)


def srresnet_plain_x4() -> Generator:
    """The paper's generator without batch norm, which its export is as well; 1,546,435 parameters."""
    return Generator(channels=64, blocks=16, stages=2, end_kernel=9, plain=True)


def srresnet_mini_x4() -> Generator:
    """A small one for tries, which learns in a minute on a CPU: 32 channels, 4 blocks; 173,315 parameters."""
    return Generator(channels=32, blocks=4, stages=2, end_kernel=9)


def srresnet_mini_plain_x4() -> Generator:
    """The small one without batch norm; 173,027 parameters."""
    return Generator(channels=32, blocks=4, stages=2, end_kernel=9, plain=True)


def srresnet_compact_x4() -> Generator:
    """A fast one: half the channels, all on the grid of lr; 320,496 parameters, a seventh of the paper's products."""
    return Generator(channels=32, blocks=16, stages=0, end_kernel=3, shuffle=4, plain=True)


GENERATORS = {
    "srresnet_x4": srresnet_x4,
    "srresnet_plain_x4": srresnet_plain_x4,
    "srresnet_mini_x4": srresnet_mini_x4,
    "srresnet_mini_plain_x4": srresnet_mini_plain_x4,
    "srresnet_compact_x4": srresnet_compact_x4,
}
"""Every generator by the name that weights, recipes and checkpoints carry."""


def fold_batch_norm(conv: nn.Conv2d, bn: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight (O, I, kH, kW) and bias (O,) of the one convolution equal to `bn(conv(x))` in eval mode.

    Where there is no batch norm, but an `nn.Identity`, they are the convolution's own.
    """
    if not isinstance(bn, nn.BatchNorm2d):
        assert conv.bias is not None
        return conv.weight.detach(), conv.bias.detach()
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    factor = bn.weight.double() * torch.rsqrt(bn.running_var.double() + bn.eps)
    bias = torch.zeros_like(bn.bias) if conv.bias is None else conv.bias
    weight = conv.weight.double() * factor.view(-1, 1, 1, 1)
    shift = (bias.double() - bn.running_mean.double()) * factor + bn.bias.double()
    return weight.float().detach(), shift.float().detach()


def folded(generator: Generator) -> Generator:
    """Return the plain generator that gives the same values as this one in eval mode."""
    plain = Generator(**generator.shape, plain=True)
    tensors = {key: value for key, value in generator.state_dict().items() if key in plain.state_dict()}
    for name, conv, bn in _normalised(generator):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = fold_batch_norm(conv, bn)
    plain.load_state_dict(tensors)
    return plain.train(generator.training)


def balanced(generator: Generator) -> Generator:
    """Return the plain generator of the same values whose blocks' two convolutions weigh alike, channel by channel.

    PReLU passes a positive factor on: what the first convolution gains in a channel, the second loses. A folded batch
    norm leaves them a hundredfold apart, and a step that suits the one is far too long for the other. Raises ValueError
    for a generator with batch norm.
    """
    if not generator.plain:
        raise ValueError("a generator with batch norm cannot be balanced; fold it first")
    result = copy.deepcopy(generator)
    for block in result.blocks:
        assert isinstance(block, ResidualBlock)
        first, second = block.conv1, block.conv2
        assert first.bias is not None
        with torch.no_grad():
            mine, their = first.weight.flatten(1).norm(dim=1), second.weight.transpose(0, 1).flatten(1).norm(dim=1)
            factor = torch.where(mine * their > 0, (their / mine).sqrt(), 1)
            first.weight.mul_(factor.view(-1, 1, 1, 1))
            first.bias.mul_(factor)
            second.weight.div_(factor.view(1, -1, 1, 1))
    return result


def blend_folded(generator: Generator, other: Generator, share: float) -> Generator:
    """Return a generator `share` of the way, 0 to 1, to another: every weight as it is with batch norm folded.

    So the result is that of blending their exports. Both have the same shape; one may be plain.
    """
    result = folded(generator)
    with torch.no_grad():
        for mine, their in zip(result.parameters(), folded(other).parameters(), strict=True):
            mine.lerp_(their, share)
    return result


def _normalised(generator: Generator) -> list[tuple[str, nn.Conv2d, nn.Module]]:
    """Return the convolutions that a batch norm follows, where there is one, with their names and it."""
    found: list[tuple[str, nn.Conv2d, nn.Module]] = [("trunk_conv", generator.trunk_conv, generator.trunk_bn)]
    for i, block in enumerate(generator.blocks):
        assert isinstance(block, ResidualBlock)
        found += [(f"blocks.{i}.conv1", block.conv1, block.bn1), (f"blocks.{i}.conv2", block.conv2, block.bn2)]
    return found
