"""How well a picture was restored. Crop, channel and range are explicit; nothing is clamped or rounded here.

Pictures are uint8 arrays (H, W, 3), RGB, or (H, W), gray.
"""

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from srgan.errors import DataError, WeightsError
from srgan.models.tensors import load_tensors

A = TypeVar("A", NDArray[np.uint8], NDArray[np.float64])


def luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return BT.601 Y in 16..235 as MATLAB's rgb2ycbcr, (H, W), not rounded; a gray picture is its own Y.

    The published figures of Set14 take its one gray picture so, in 0..255.
    """
    if picture.ndim == 2:
        return picture.astype(np.float64)
    y: NDArray[np.float64] = 16 + picture.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    return y


def cropped(picture: A, border: int) -> A:
    """Return the picture without `border` pixels on each side. Raises DataError where nothing would be left."""
    if 2 * border >= min(picture.shape[:2]):
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        raise DataError(f"a border of {border} pixels leaves nothing of a picture of {size}")
    return picture[border : picture.shape[0] - border, border : picture.shape[1] - border]


def psnr(sr: NDArray[np.float64], hr: NDArray[np.float64], *, peak: float = 255.0) -> float:
    """Return 10 log10(peak^2 / MSE) in dB over all values, infinity for equal pictures."""
    error = float(np.mean(np.square(sr - hr)))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(sr: NDArray[np.float64], hr: NDArray[np.float64], *, peak: float = 255.0) -> float:
    """Return the mean SSIM of two planes (H, W): Gaussian window 11x11, sigma 1.5, 'valid' (Wang et al. 2004)."""
    if min(sr.shape) < 11:
        raise DataError(f"SSIM needs 11 pixels a side, not {sr.shape[1]}x{sr.shape[0]}")
    window = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    window /= window.sum()

    def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (0, 1):
            views = np.lib.stride_tricks.sliding_window_view(plane, 11, axis=axis)
            plane = views @ window
        return plane

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    a, b = blur(sr), blur(hr)
    aa, bb, ab = blur(sr * sr) - a * a, blur(hr * hr) - b * b, blur(sr * hr) - a * b
    value = (2 * a * b + c1) * (2 * ab + c2) / ((a * a + b * b + c1) * (aa + bb + c2))
    return float(value.mean())


class LPIPS(nn.Module):
    """Learned perceptual distance of Zhang et al. 2018, version 0.1, with AlexNet: 0 for equal pictures.

    Takes (N, 3, H, W) in [0, 1], RGB; returns (N,).
    """

    _shift: Tensor
    _scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            ]
        )
        self.lin = nn.ParameterList([torch.zeros(n) for n in (64, 192, 384, 256, 256)])
        self.register_buffer("_shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each pair, (N,)."""
        a, b = ((p * 2 - 1 - self._shift) / self._scale for p in (sr, hr))
        total = sr.new_zeros(len(sr))
        for i, (conv, lin) in enumerate(zip(self.net, self.lin, strict=True)):
            if i in (1, 2):
                a, b = F.max_pool2d(a, 3, 2), F.max_pool2d(b, 3, 2)
            a, b = F.relu(conv(a)), F.relu(conv(b))
            step = (_unit(a) - _unit(b)).square() * lin.view(1, -1, 1, 1)
            total = total + step.sum(dim=1).mean(dim=(1, 2))
        return total


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def load_lpips(path: Path) -> LPIPS:
    """Return LPIPS with the AlexNet weights of a .safetensors file: net.{0..4}.weight and bias, lin.{0..4}.

    Raises WeightsError where the file is missing, damaged or of another network.
    """
    network = LPIPS().eval()
    try:
        network.load_state_dict(load_tensors(path))
    except RuntimeError as error:
        raise WeightsError(f"{path}: not LPIPS's AlexNet weights") from error
    return network


def as_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """Return a uint8 picture as float32 (1, 3, H, W) in [0, 1]; gray becomes three equal channels."""
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
