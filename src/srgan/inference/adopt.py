"""Networks that other programs trained, given the card by which they run here."""

import json
from pathlib import Path

import numpy as np

from srgan.atomic import written_whole
from srgan.errors import ArgumentError, InferenceError, WeightsError
from srgan.inference.network import Network, require_finite
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.quiet import openvino
from srgan.weights import METADATA_KEY, Card, read_card
from srgan.weights.onnx import embedded
from srgan.weights.protobuf import field

SIZES = ((24, 36), (31, 17))
"""Heights and widths of which a network has to make the same number of times the size."""

SPAN = 32
"""Pixels a side of what `seam` compares, and between its window and the picture's ends."""

_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2  # of an ONNX model, and of one of its entries


def adopt(
    source: str | Path,
    output: str | Path,
    *,
    halo: int = 32,
    name: str | None = None,
    summary: str = "",
    licence: str = "not stated",
) -> tuple[Card, float]:
    """Write an ONNX network that takes and gives RGB pictures (N, 3, H, W) in [0, 1], any size, with a card.

    halo  how many lr pixels around a window are computed with it: the receptive field, or what is enough of it
    name, summary, licence   for the card; the name is that of the file by default

    Returns the card and what `seam` found. Raises WeightsError for a file that is damaged or no such network, or one
    whose values are not finite, ArgumentError for an output that is no .onnx or a halo below 0.
    """
    source, output = Path(source), Path(output)
    if halo < 0:
        raise ArgumentError(f"a halo of {halo} pixels reaches nowhere")
    if output.suffix.lower() != ".onnx":
        raise ArgumentError(f"{output}: written is .onnx")
    try:
        content = embedded(source.read_bytes(), source.parent)
        model = openvino.Core().read_model(content)
    except OSError as error:
        raise WeightsError(f"{source}: cannot be read: {error.strerror}") from error
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    except RuntimeError as error:
        raise WeightsError(f"{source}: damaged, or not an ONNX model") from error
    if model.has_rt_info(["framework", METADATA_KEY]):
        raise WeightsError(f"{source}: has a card already, of {read_card(source)['name']}")
    card: Card = {
        "name": name or source.stem,
        "network": "another program's",
        "scale": _scale(model, source),
        "halo": halo,
        "licence": licence,
        "summary": summary,
    }
    entry = field(_KEY, METADATA_KEY.encode()) + field(_VALUE, json.dumps(card).encode())
    content += field(_METADATA_PROPS, entry)
    try:
        network = OpenVinoNetwork(content, precision="fp32")
        gray = float(require_finite(network(np.full((1, 3, *SIZES[0]), 0.5, np.float32))).mean(dtype=np.float64))
        found = seam(network)
    except (InferenceError, WeightsError) as error:
        raise WeightsError(f"{source}: {error}") from error
    except RuntimeError as error:
        raise WeightsError(f"{source}: fails on a picture: {str(error).strip().splitlines()[-1].strip()}") from error
    if abs(gray - 0.5) > 0.1:
        raise WeightsError(f"{source}: makes {gray:.3g} of a gray of 0.5: its pictures are not RGB in 0..1")
    with written_whole(output) as file:
        file.write(content)
    return card, found


def seam(network: Network) -> float:
    """Return how far a window is from the whole picture inside its halo, in levels of 255, at most.

    The picture is uniform noise. Where the halo is the receptive field there is nothing but rounding. Raises
    NotFiniteError for values that are not finite.
    """
    halo, scale = network.halo, network.scale
    side = SPAN + 2 * halo
    picture = np.random.default_rng(0).random((1, 3, side + 2 * SPAN, side + 2 * SPAN), dtype=np.float32)
    whole, part = network(picture), network(picture[:, :, SPAN : SPAN + side, SPAN : SPAN + side])
    inside, core = (slice(start * scale, (start + SPAN) * scale) for start in (SPAN + halo, halo))
    return 255 * float(np.abs(require_finite(whole)[:, :, inside, inside] - part[:, :, core, core]).max())


def _scale(model: openvino.Model, where: Path) -> int:
    """Return how many times the size a network makes, whose shapes are those of the last of SIZES then.

    Raises WeightsError for one that does not make larger RGB pictures of such of any size.
    """
    ends = [*model.inputs, *model.outputs]
    if len(ends) != 2 or any(end.get_element_type() != openvino.Type.f32 for end in ends):
        raise WeightsError(f"{where}: takes or gives something else than one picture in float32")
    lr = model.input(0).get_partial_shape()
    if len(lr) != 4 or lr[2].is_static or lr[3].is_static:
        raise WeightsError(f"{where}: takes {lr} alone, not pictures of any size")
    scale = 0
    for height, width in SIZES:
        try:
            model.reshape([1, 3, height, width])
            sr = tuple(model.output(0).get_shape())
        except RuntimeError as error:
            raise WeightsError(f"{where}: takes no RGB picture of {width}x{height}") from error
        scale = scale or (sr[-1] // width if sr else 0)
        if scale < 2 or sr != (1, 3, height * scale, width * scale):
            raise WeightsError(f"{where}: makes {sr} of an RGB picture of {width}x{height}")
    return scale
