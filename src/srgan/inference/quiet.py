"""OpenVINO, imported without its telemetry, which would report every import to Google Analytics.

The package openvino brings a converter, whose import sends an event where openvino_telemetry is there, and leaves an
identity in the home folder. What it offers works without.
"""

import sys

_known = "openvino_telemetry" in sys.modules
if not _known:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino import opset15 as ops
finally:
    if not _known:
        del sys.modules["openvino_telemetry"]  # others may want it

__all__ = ["openvino", "ops"]
