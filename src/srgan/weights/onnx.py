"""Networks between two others: an ONNX file's weights moved towards those of another, by NumPy alone.

An ONNX file is a message of Protocol Buffers: fields, each a number and a value that may be a message again. The
weights are the graph's initializers; of two files of one exporter they have the same names, shapes and order.
"""

from collections.abc import Iterator

import numpy as np

from srgan.errors import WeightsError

_GRAPH, _INITIALIZER, _DATA_TYPE, _NAME, _RAW_DATA = 7, 5, 2, 8, 9
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_FLOATS: dict[int, np.dtype[np.floating]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}


def blend_onnx(first: bytes, second: bytes, share: float) -> bytes:
    """Return the first ONNX file with each weight moved by `share` of the way, 0 to 1, to that of the second.

    Raises WeightsError where the two are not the same network.
    """
    ours, theirs = list(_weights(first)), list(_weights(second))
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
    for number, graph in _fields(content, slice(0, len(content))):
        if number != _GRAPH:
            continue
        for inner, tensor in _fields(content, graph):
            if inner != _INITIALIZER:
                continue
            parts = dict(_fields(content, tensor))
            kind = content[parts[_DATA_TYPE]][0]
            if kind in _FLOATS and _RAW_DATA in parts:
                yield content[parts[_NAME]], _FLOATS[kind], parts[_RAW_DATA]


def _fields(content: bytes, place: slice) -> Iterator[tuple[int, slice]]:
    """Yield the number and the place of every field of a message. Raises WeightsError where it is none."""
    at: int = place.start
    while at < place.stop:
        key, at = _varint(content, at)
        start, kind = at, key & 7
        if kind == _VARINT:
            _, at = _varint(content, at)
        elif kind == _LENGTH:
            length, start = _varint(content, at)
            at = start + length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise WeightsError("damaged, or not an ONNX model")
        if at > place.stop:
            raise WeightsError("damaged, or not an ONNX model")
        yield key >> 3, slice(start, at)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = shift = 0
    while at < len(content):
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise WeightsError("damaged, or not an ONNX model")
