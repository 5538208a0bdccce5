"""What an OpenVINO user would write. with_openvino.py WEIGHTS.onnx PICTURE RESULT."""

import sys

import numpy as np
import openvino
from PIL import Image

network = openvino.compile_model(sys.argv[1], "CPU", {"PERFORMANCE_HINT": "LATENCY"})
lr = np.asarray(Image.open(sys.argv[2]).convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255
sr = network(lr)[0][0]
Image.fromarray((sr.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)).save(sys.argv[3])
