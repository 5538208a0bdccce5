"""The weights in an ONNX file's bytes, without its library: moved towards another's, or brought in from beside it.

The weights are the graph's initializers; of two files of one exporter they have the same names, shapes and order.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from srgan.errors import WeightsError
from srgan.weights.protobuf import field, fields

_GRAPH, _INITIALIZER, _DATA_TYPE, _NAME, _RAW_DATA = 7, 5, 2, 8, 9
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
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


def embedded(content: bytes, folder: Path) -> bytes:
    """Return an ONNX file with the weights in it that it has in files of that folder, as of PyTorch's exporter.

    Raises WeightsError for weights that are not there, and for what is no ONNX file.
    """

    def tensor(place: slice) -> bytes:
        entries = (dict(fields(content, value)) for number, value in fields(content, place) if number == _EXTERNAL_DATA)
        where = {content[entry[1]].decode(): content[entry[2]].decode() for entry in entries}
        if not where:
            return content[place]
        own = _remade(content, place, {_EXTERNAL_DATA: None, _DATA_LOCATION: None})
        return own + field(_RAW_DATA, _beside(folder, **where))

    def graph(place: slice) -> bytes:
        return _remade(content, place, {_INITIALIZER: tensor})

    try:
        return _remade(content, slice(0, len(content)), {_GRAPH: graph})
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError("damaged, or not an ONNX model") from error


def _remade(content: bytes, place: slice, numbers: dict[int, Callable[[slice], bytes] | None]) -> bytes:
    """Return a message with the fields of these numbers made anew, or left out, and all others as they are."""
    parts, end = [], place.start
    for number, value in fields(content, place):
        make = numbers.get(number)
        if make is not None:
            parts.append(field(number, make(value)))
        elif number not in numbers:
            parts.append(content[end : value.stop])
        end = value.stop
    return b"".join(parts)


def _beside(folder: Path, location: str, offset: str = "0", length: str = "-1", checksum: str = "") -> bytes:  # noqa: ARG001
    """Return a tensor's bytes from the file that lies in the folder, or below it."""
    path = folder / location
    if not path.resolve().is_relative_to(folder.resolve()):
        raise WeightsError(f"has weights in {location}, outside of its folder")
    try:
        with path.open("rb") as file:
            file.seek(int(offset))
            values = file.read(min(int(length), path.stat().st_size))
    except OSError as error:
        raise WeightsError(f"has weights in {path}, which cannot be read: {error.strerror}") from error
    if len(values) < int(length):
        raise WeightsError(f"has weights in {path}, which is cut short")
    return values
