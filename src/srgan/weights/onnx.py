"""Networks between two others: an ONNX file's weights moved towards those of another, by NumPy alone.

The weights are the graph's initializers; of two files of one exporter they have the same names, shapes and order.
"""

from collections.abc import Iterator

import numpy as np

from srgan.errors import WeightsError
from srgan.weights.protobuf import fields

_GRAPH, _INITIALIZER, _DATA_TYPE, _NAME, _RAW_DATA = 7, 5, 2, 8, 9
_FLOATS: dict[int, np.dtype[np.floating]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}


def blend_onnx(first: bytes, second: bytes, share: float) -> bytes:
    """Return the first ONNX file with each weight moved by `share` of the way, 0 to 1, to that of the second.

    Raises WeightsError where the two are not the same network.
    """
    try:
        ours, theirs = list(_weights(first)), list(_weights(second))
    except ValueError as error:
        raise WeightsError("damaged, or not an ONNX model") from error
    if [part[:2] for part in ours] != [part[:2] for part in theirs] or not ours:
        raise WeightsError("the weights of two different networks have nothing between them")
    result = bytearray(first)
    for (_, dtype, a), (_, _, b) in zip(ours, theirs, strict=True):
        values, others = (
            np.frombuffer(content[place], dtype).astype(np.float32) for content, place in ((first, a), (second, b))
        )
        if values.size != others.size:
            raise WeightsError("the weights of two different networks have nothing between them")
        result[a] = (values + np.float32(share) * (others - values)).astype(dtype).tobytes()
    return bytes(result)


def _weights(content: bytes) -> Iterator[tuple[bytes, np.dtype[np.floating], slice]]:
    """Yield the name, the type and the place of every weight."""
    for number, graph in fields(content, slice(0, len(content))):
        if number != _GRAPH:
            continue
        for inner, tensor in fields(content, graph):
            if inner != _INITIALIZER:
                continue
            parts = dict(fields(content, tensor))
            kind = content[parts[_DATA_TYPE]][0]
            if kind in _FLOATS and _RAW_DATA in parts:
                yield content[parts[_NAME]], _FLOATS[kind], parts[_RAW_DATA]
