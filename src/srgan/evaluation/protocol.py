"""How every score here is measured, in words: the low-resolution pictures, the rounding, each metric."""

from importlib.metadata import version

from srgan.data.pairs import SCALE

PROTOCOL = {
    "hr": f"uint8, cropped at the right and the bottom to a multiple of {SCALE}",
    "lr": f"those named, else the folder LRx{SCALE}'s, else by MATLAB's imresize bicubic, antialiased, on uint8",
    "sr": "rounded to uint8, halves up; of a gray picture its BT.601 luma",
    "psnr_y": "dB, peak 255, Y of BT.601 in 16..235, not rounded (gray: the picture itself), border cut",
    "ssim_y": "11x11 Gaussian, sigma 1.5, valid, on the same Y, border cut",
    "psnr_rgb": "dB, peak 255, over all values of the three channels (gray: of the one), border cut",
    "ssim_rgb": "as ssim_y, of each of the three channels in 0..255, their mean (gray: of the one), border cut",
    "lr_psnr": "dB, peak 255, sr downsampled by MATLAB's bicubic on uint8 against lr, all channels, nothing cut",
    "grid": "levels of 256, what repeats every 4 pixels in sr - hr, in the flattest half of windows of 32x32",
    "lpips": "v0.1, AlexNet, RGB in -1..1 (gray: three times the same), the whole picture",
    "lpips_vgg": "v0.1, VGG16, RGB in -1..1 (gray: three times the same), the whole picture",
    "dists": "RGB in 0..1 at full size (gray: three times the same), the whole picture",
    "niqe": "Y of BT.601 rounded, border cut, 96x96 blocks; pictures with less than two blocks have none",
    "mean": "over pictures that have it; the interval is of 95 percent, by bootstrap over them, 10000 samples, seed 0",
}
"""What goes with every table and every file of scores."""


def versions() -> dict[str, str]:
    """Return the versions of what computed."""
    return {name: version(name) for name in ("srgan", "numpy", "torch", "openvino", "pillow")}
