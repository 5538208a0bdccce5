"""How well a picture was restored: each score in a module of its own, with the paper that it comes from.

Pictures are uint8 arrays (H, W, 3), RGB, or (H, W), gray. Crop, channel and range are explicit arguments, and
nothing is clamped or rounded here. `docs/metrics.md` says which of them a published figure means.
"""

from srgan.metrics.dists import DISTS, load_dists
from srgan.metrics.fidelity import cropped, grid, lr_psnr, luma, psnr, ssim
from srgan.metrics.lpips import LPIPS, as_tensor, load_lpips
from srgan.metrics.naturalness import niqe

__all__ = [
    "DISTS",
    "LPIPS",
    "as_tensor",
    "cropped",
    "grid",
    "load_dists",
    "load_lpips",
    "lr_psnr",
    "luma",
    "niqe",
    "psnr",
    "ssim",
]
