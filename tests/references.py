"""What other programs computed, and where the pictures and weights are that this takes."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from srgan.image.resize import imresize

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "scores.json").read_text())
"""Scores with their origin."""

PERCEPTUAL = Path(os.environ.get("SRGAN_PERCEPTUAL", "none"))
"""A folder with lpips_alex.safetensors and lpips_vgg.safetensors."""

TEST_SETS = Path(os.environ.get("SRGAN_TEST_SETS", "none"))
"""A folder with Set5, Set14 and BSD100: img_001.png and so on, and LRx4 with the published LR pictures."""

CALIBRATION = Path(os.environ.get("SRGAN_CALIBRATION", "none"))
"""The folder ResultsCalibra of pyiqa: ref_dir and dist_dir with five pictures each."""

with_weights = pytest.mark.skipif(not PERCEPTUAL.is_dir(), reason="SRGAN_PERCEPTUAL names no folder with LPIPS")
with_test_sets = pytest.mark.skipif(not TEST_SETS.is_dir(), reason="SRGAN_TEST_SETS names no folder of test sets")
with_calibration = pytest.mark.skipif(not CALIBRATION.is_dir(), reason="SRGAN_CALIBRATION names no folder of pyiqa's")


def chelsea() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return sr and hr of the reference values, checked to be the same pixels."""
    hr = np.ascontiguousarray(skimage.data.chelsea()[:300, :448])  # type: ignore[no-untyped-call]
    sr = imresize(imresize(hr, scale=0.25), scale=4.0)
    found = {"hr": hr, "sr": sr}
    assert {name: hashlib.sha256(p.tobytes()).hexdigest() for name, p in found.items()} == REFERENCE["pictures"]
    return sr, hr


def rgb(path: Path) -> NDArray[np.uint8]:
    return np.array(Image.open(path).convert("RGB"))
