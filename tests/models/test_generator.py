from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conftest import randomised
from srgan.models.generator import (
    GENERATORS,
    Generator,
    ResidualBlock,
    Upsample,
    balanced,
    fold_batch_norm,
    folded,
    srresnet_compact_x4,
    srresnet_mini_plain_x4,
    srresnet_mini_x4,
    srresnet_plain_x4,
    srresnet_x4,
    tail_before_shuffle,
)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("build", "channels", "blocks", "plain", "parameters"),
    [
        (srresnet_x4, 64, 16, False, 1_548_547),
        (srresnet_mini_x4, 32, 4, False, 173_315),
        (srresnet_plain_x4, 64, 16, True, 1_546_435),
        (srresnet_mini_plain_x4, 32, 4, True, 173_027),
    ],
)
def test_the_number_of_parameters_by_hand(
    build: Callable[[], Generator], channels: int, blocks: int, plain: bool, parameters: int
) -> None:
    """In place of a batch norm's factor and shift there is a bias where it is plain."""
    ends = (3 * channels * 9 * 9 + channels) + (channels * 3 * 9 * 9 + 3)
    convolution, batch_norm, slopes = channels * channels * 3 * 3, channels if plain else 2 * channels, channels
    block = 2 * (convolution + batch_norm) + slopes
    upsample = channels * 4 * channels * 3 * 3 + 4 * channels + slopes
    expected = ends + slopes + blocks * block + (convolution + batch_norm) + 2 * upsample
    assert expected == parameters
    assert sum(p.numel() for p in build().parameters()) == expected


def test_the_parameters_of_the_compact_one_by_hand() -> None:
    """A head, 33 convolutions of 32 channels with a bias, 17 slopes each, and a tail of 4x4 pixels of three colours."""
    ends = (3 * 32 * 9 + 32) + (32 * 48 * 9 + 48)
    assert ends + 33 * (32 * 32 * 9 + 32) + 17 * 32 == 320_496
    assert sum(p.numel() for p in srresnet_compact_x4().parameters()) == 320_496


def test_every_generator_is_built_by_the_function_of_its_name() -> None:
    assert {name: build.__name__ for name, build in GENERATORS.items()} == {name: name for name in GENERATORS}


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 5)])
def test_four_times_the_size_and_values_about_one_half(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    generator = Generator(channels=8, blocks=1, stages=2, end_kernel=9)
    with torch.inference_mode():
        sr = generator(seeded(2, 3, *size))
    assert sr.shape == (2, 3, 4 * size[0], 4 * size[1])
    assert abs(float(sr.mean()) - 0.5) < 0.1


def test_a_generator_enlarges_by_stages_or_by_one_shuffle() -> None:
    """Without stages a pixel of sr is a channel of the tail: three colours, of each 3x3 pixels row by row."""
    generator = Generator(channels=2, blocks=1, stages=0, end_kernel=1, shuffle=3)
    with torch.no_grad():
        assert generator.tail.bias is not None
        generator.tail.weight.zero_()
        generator.tail.bias.copy_(torch.arange(27.0))
        sr = generator(seeded(1, 3, 1, 2))
    assert generator.scale == 3
    assert sr.shape == (1, 3, 3, 6)
    assert (sr[0, 1, :, 3:] * 2 - 1).tolist() == [[9, 10, 11], [12, 13, 14], [15, 16, 17]]
    for stages, shuffle in ((2, 2), (0, 1)):
        with pytest.raises(ValueError, match="by stages or by one shuffle"):
            Generator(channels=2, blocks=1, stages=stages, end_kernel=3, shuffle=shuffle)


@pytest.mark.parametrize("plain", [False, True])
def test_a_fresh_block_is_the_identity(plain: bool) -> None:
    x = seeded(2, 8, 5, 5) - 0.5
    assert torch.equal(ResidualBlock(8, plain=plain)(x), x)


def test_a_fresh_plain_generator_enlarges_without_a_checkerboard() -> None:
    """The four pixels that the last PixelShuffle makes of one are equal: those of nearest neighbours."""
    generator = Generator(channels=6, blocks=1, stages=2, end_kernel=3, plain=True)
    with torch.inference_mode():
        x = generator.upsample(seeded(1, 6, 5, 4) - 0.5)
    blocks = x.unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(blocks, blocks[..., :1, :1].expand_as(blocks))
    assert x.std() > 0.01


def test_a_fresh_compact_generator_gives_each_pixel_of_lr_one_colour() -> None:
    generator = Generator(channels=6, blocks=1, stages=0, end_kernel=3, shuffle=4, plain=True)
    with torch.inference_mode():
        sr = generator(seeded(1, 3, 5, 4))
    assert torch.equal(sr, sr[..., ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert sr.std() > 0.01


def test_a_plain_generator_has_no_batch_norm_and_the_same_halo() -> None:
    plain = srresnet_plain_x4()
    assert not [module for module in plain.modules() if isinstance(module, nn.BatchNorm2d)]
    assert plain.halo == srresnet_x4().halo
    assert [name for name, _ in plain.named_parameters() if "bn" in name] == []


def test_folded_a_generator_gives_the_values_that_it_gives_in_eval_mode() -> None:
    generator = randomised(Generator(channels=8, blocks=3, stages=2, end_kernel=5), seed=4)
    lr = seeded(2, 3, 7, 9)
    plain = folded(generator)
    assert plain.plain
    assert not plain.training
    with torch.inference_mode():
        torch.testing.assert_close(plain(lr), generator(lr), rtol=0, atol=2e-6)
        again = folded(plain)
        assert torch.equal(again(lr), plain(lr))
    assert all(a is not b for a, b in zip(again.parameters(), plain.parameters(), strict=True))
    assert folded(generator.train()).training


def test_balanced_a_generator_gives_the_same_values_by_convolutions_of_one_size() -> None:
    generator = randomised(Generator(channels=8, blocks=3, stages=2, end_kernel=5), seed=4)
    plain = folded(generator)
    with torch.no_grad():
        plain.get_parameter("blocks.1.conv2.weight")[:, 0] = 0  # a channel that nobody reads
        for name, factor in (("conv1.weight", 50), ("conv1.bias", 50), ("conv2.weight", 1 / 50)):
            plain.get_parameter(f"blocks.1.{name}").mul_(factor)
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    result = balanced(plain)
    lr = seeded(2, 3, 7, 9)
    with torch.inference_mode():
        torch.testing.assert_close(result(lr), plain(lr), rtol=0, atol=2e-6)
    weights = result.state_dict()
    for i in range(3):
        first, second = (weights[f"blocks.{i}.{conv}.weight"] for conv in ("conv1", "conv2"))
        rows, columns = first.pow(2).sum((1, 2, 3)), second.pow(2).sum((0, 2, 3))
        torch.testing.assert_close(rows[1:], columns[1:])
    assert torch.equal(weights["blocks.1.conv1.weight"][0], before["blocks.1.conv1.weight"][0])
    assert all(torch.equal(tensor, before[name]) for name, tensor in plain.state_dict().items())
    with pytest.raises(ValueError, match="fold it first"):
        balanced(generator)


def test_the_training_output_is_not_clamped() -> None:
    generator = Generator(channels=4, blocks=1, stages=1, end_kernel=3)
    with torch.no_grad():
        assert generator.tail.bias is not None
        generator.tail.bias.copy_(torch.tensor([-3.0, 0.0, 3.0]))
        sr = generator(seeded(1, 3, 4, 4))
    assert sr[:, 0].max() < 0
    assert sr[:, 2].min() > 1


def test_channels_of_the_shuffle_go_to_pixels_row_by_row() -> None:
    """Channels 4c to 4c + 3 are the pixels top left, top right, bottom left, bottom right of channel c."""
    upsample = Upsample(2)
    with torch.no_grad():
        assert upsample.conv.bias is not None
        upsample.conv.weight.zero_()
        upsample.conv.bias.copy_(torch.tensor([1.0, 2, 3, 4, -10, -20, -30, -40]))
        upsample.act.weight.copy_(torch.tensor([0.25, 0.5]))
        x = upsample(torch.zeros(1, 2, 1, 1))
    assert x[0].tolist() == [[[1, 2], [3, 4]], [[-5, -10], [-15, -20]]]


@pytest.mark.parametrize("size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("picture", [(1, 1), (1, 6), (5, 3)])
def test_a_convolution_moves_before_the_shuffle(size: int, picture: tuple[int, int]) -> None:
    weight = seeded(3, 2, size, size).double()
    x = seeded(2, 8, *picture, seed=1).double()
    expected = F.conv2d(F.pixel_shuffle(x, 2), weight, padding=size // 2)
    moved = tail_before_shuffle(weight)
    found = F.pixel_shuffle(F.conv2d(x, moved, padding=moved.shape[-1] // 2), 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def as_drawn(generator: Generator, lr: Tensor) -> Tensor:
    """Compute the generator as figure 4 of the paper draws it: PixelShuffle, PReLU, conv 9x9."""
    first = generator.head_act(generator.head(lr))
    x = first + generator.trunk_bn(generator.trunk_conv(generator.blocks(first)))
    for stage in generator.upsample:
        assert isinstance(stage, Upsample)
        x = stage.act(F.pixel_shuffle(stage.conv(x), 2))
    sr: Tensor = generator.tail(x)
    return (sr + 1) / 2


@pytest.mark.parametrize("size", [(1, 1), (1, 13), (9, 2), (11, 16)])
def test_the_rearranged_network_is_the_one_of_the_paper(paper: Generator, size: tuple[int, int]) -> None:
    lr = seeded(1, 3, *size)
    with torch.inference_mode():
        torch.testing.assert_close(paper(lr), as_drawn(paper, lr), rtol=0, atol=1e-5)


def test_gradients_reach_the_9x9_weights_as_in_the_paper(tiny: Generator) -> None:
    lr, towards = seeded(2, 3, 6, 5), seeded(2, 3, 24, 20, seed=1)
    gradients = []
    for forward in (tiny, lambda lr: as_drawn(tiny, lr)):
        loss = F.mse_loss(forward(lr), towards)
        gradients.append(torch.autograd.grad(loss, [tiny.tail.weight, tiny.head.weight]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-7)


def reach(generator: Generator) -> int:
    """Measure how many lr pixels away an input pixel changes the output, by a gradient that cannot cancel."""
    generator = generator.double().eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.fill_(1 / max(1, parameter[0].numel()))
    place = 2 * generator.halo
    lr = torch.zeros(1, 3, 2 * place + 1, 2 * place + 1, dtype=torch.float64, requires_grad=True)
    scale = generator.scale
    pixel = generator(lr)[:, :, place * scale : (place + 1) * scale, place * scale : (place + 1) * scale]
    (gradient,) = torch.autograd.grad(pixel.sum(), lr)
    rows, columns = gradient[0].sum(0).nonzero().unbind(1)
    distances = [place - rows.min(), rows.max() - place, place - columns.min(), columns.max() - place]
    return int(max(distances))


@pytest.mark.parametrize(
    ("blocks", "stages", "end_kernel", "shuffle"),
    [(16, 2, 9, 1), (2, 2, 9, 1), (3, 1, 5, 1), (1, 1, 3, 1), (2, 3, 7, 1), (1, 2, 1, 1), (16, 0, 3, 4), (1, 0, 7, 3)],
)
def test_the_halo_is_the_receptive_field(blocks: int, stages: int, end_kernel: int, shuffle: int) -> None:
    generator = Generator(channels=2, blocks=blocks, stages=stages, end_kernel=end_kernel, shuffle=shuffle)
    assert reach(generator) == generator.halo


def test_the_papers_generator_has_a_halo_of_40() -> None:
    assert srresnet_x4().halo == 40


@pytest.mark.parametrize("bias", [False, True])
def test_a_folded_batch_norm_gives_the_same_values(bias: bool) -> None:
    torch.manual_seed(0)
    conv, bn = nn.Conv2d(5, 7, 3, padding=1, bias=bias), nn.BatchNorm2d(7).eval()
    assert bn.running_mean is not None
    assert bn.running_var is not None
    for tensor in (bn.weight.data, bn.bias.data, bn.running_mean, bn.running_var):
        tensor.uniform_(0.1, 2)
    x = seeded(2, 5, 6, 8)
    weight, shift = fold_batch_norm(conv, bn)
    torch.testing.assert_close(F.conv2d(x, weight, shift, padding=1), bn(conv(x)), rtol=0, atol=1e-5)


def test_a_batch_norm_without_statistics_is_not_folded() -> None:
    with pytest.raises(ValueError, match="without running statistics"):
        fold_batch_norm(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False))
