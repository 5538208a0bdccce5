"""What both benchmarks measure against: the generator as the paper draws it, and the machine's matrix products."""

import os
import platform
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.models.generator import Generator, Upsample, srresnet_x4


class PlainGenerator(nn.Module):
    """The generator as figure 4 of the paper draws it: batch norm not folded, PixelShuffle before PReLU and 9x9."""

    def __init__(self, generator: Generator | None = None) -> None:
        super().__init__()
        self.of = generator or srresnet_x4()

    def forward(self, lr: Tensor) -> Tensor:
        first = self.of.head_act(self.of.head(lr))
        x = first + self.of.trunk_bn(self.of.trunk_conv(self.of.blocks(first)))
        for stage in self.of.upsample:
            assert isinstance(stage, Upsample)
            x = stage.act(F.pixel_shuffle(stage.conv(x), 2))
        sr: Tensor = self.of.tail(x)
        if self.of.shuffle > 1:
            sr = F.pixel_shuffle(sr, self.of.shuffle)
        return (sr + 1) / 2


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Return the operations a second of the best of some square matrix products."""
    best = 0.0
    for size in (8192,) if device.type == "cuda" else (1024, 2048):
        a, b = torch.rand(2, size, size, device=device).to(dtype)
        for _ in range(8):
            synchronise(device)
            start = time.perf_counter()
            torch.mm(a, b)
            synchronise(device)
            seconds = time.perf_counter() - start
            best = max(best, 2 * size**3 / seconds)
            if seconds > 2:  # bf16 that the processor does not have: all of them would take ten minutes
                return best
    return best


def matrix_peaks(device: torch.device) -> dict[str, float]:
    """Return `matrix_peak` in bf16 and in fp32."""
    return {name: matrix_peak(dtype, device) for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32))}


def device_name(device: torch.device) -> str:
    """Return what computes, for people to read."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    bf16 = ", bf16" if any("avx512_bf16" in line or "amx_bf16" in line for line in lines) else ""
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores{bf16}"
