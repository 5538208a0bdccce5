"""What an ONNX Runtime user would write. with_onnxruntime.py WEIGHTS.onnx PICTURE RESULT."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
lr = np.asarray(Image.open(sys.argv[2]).convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255
sr = session.run(None, {"lr": lr})[0][0]
Image.fromarray((sr.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)).save(sys.argv[3])
