import torch

from srgan.models.discriminator import Discriminator, srgan_discriminator


def test_the_papers_discriminator_has_23563649_parameters() -> None:
    pairs = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    first = 3 * 64 * 9 + 64
    convolutions = sum(inputs * outputs * 9 + 2 * outputs for inputs, outputs in pairs)
    side = 96 // 2 // 2 // 2 // 2
    dense = 512 * side * side * 1024 + 1024 + 1024 + 1
    assert first + convolutions + dense == 23_563_649
    assert sum(p.numel() for p in srgan_discriminator().parameters()) == 23_563_649


def test_one_logit_a_picture_for_any_patch_size() -> None:
    for size in (16, 20, 33):
        discriminator = Discriminator(widths=(4, 8), dense=5, patch_size=size, slope=0.2)
        logits = discriminator(torch.rand(3, 3, size, size))
        assert logits.shape == (3,)
        assert logits.dtype == torch.float32


def test_logits_are_not_squashed_and_stay_float32_under_autocast() -> None:
    discriminator = Discriminator(widths=(4,), dense=5, patch_size=8, slope=0.2)
    last = discriminator.classifier[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias.fill_(1000)
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(torch.rand(2, 3, 8, 8))
    assert logits.dtype == torch.float32
    assert logits.min() > 900
