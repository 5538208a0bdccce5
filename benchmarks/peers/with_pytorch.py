"""What a PyTorch user would write: one picture, float32. with_pytorch.py WEIGHTS.safetensors PICTURE RESULT."""

import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(64, 64, 3, padding=1) for _ in range(2))  # batch norm is folded into them
        self.act = nn.PReLU(64)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.act(self.conv1(x)))


class Upsample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(64, 256, 3, padding=1), nn.PReLU(64)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(F.pixel_shuffle(self.conv(x), 2))


class SRResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.head_act = nn.Conv2d(3, 64, 9, padding=4), nn.PReLU(64)
        self.blocks = nn.Sequential(*(Block() for _ in range(16)))
        self.trunk_conv = nn.Conv2d(64, 64, 3, padding=1)
        self.upsample = nn.Sequential(Upsample(), Upsample())
        self.tail = nn.Conv2d(64, 3, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        first = self.head_act(self.head(lr))
        x = first + self.trunk_conv(self.blocks(first))
        return (self.tail(self.upsample(x)) + 1) / 2


network = SRResNet().eval()
network.load_state_dict(load_file(sys.argv[1]))
lr = torch.from_numpy(np.array(Image.open(sys.argv[2]).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
with torch.inference_mode():
    sr = network(lr)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
Image.fromarray(sr).save(sys.argv[3])
