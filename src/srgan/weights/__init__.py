"""The networks that are shipped, and the cards in weights files that say what a network is.

Each network is a pair of files, .onnx to run without PyTorch and .safetensors to run or train with it. Both
hold the same card, as JSON under the metadata key "srgan": name, network, scale, halo, parameters, licence,
summary, training and scores.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from srgan.errors import ArgumentError, WeightsError
from srgan.weights.protobuf import fields

Card: TypeAlias = dict[str, Any]

SHARP, REPAIRING, DEBLURRING, FAITHFUL = "srgan-plus", "srgan-photo", "srgan-deblur", "srresnet"
FAST, FAST_REPAIRING, FAST_DEBLURRING = "srgan-fast", "srgan-fast-photo", "srgan-fast-deblur"
NAMES = (SHARP, REPAIRING, DEBLURRING, FAST, FAST_REPAIRING, FAST_DEBLURRING, "srgan", FAITHFUL)
"""What is shipped; the weights of the first lead to those of the last."""

AUTO, AUTO_FAST = "auto", "auto-fast"
AUTOS = {AUTO: SHARP, AUTO_FAST: FAST}
"""The models that are for each picture what it asks for, see `choose`, and what each is for most; the first is the
default."""

REPAIRS = {"JPEG": ((90, 1.0), (97, 0.5)), "WebP": ((65, 1.0), (90, 0.5)), "AVIF": ((60, 1.0), (80, 0.5))}
"""Up to which quality of a codec a picture asks for how much repair (docs/models.md#srgan-photo)."""

NOISY = ((3.5, 1.0), (1.5, 0.5))
"""From how much noise on, in levels of 255, a picture asks for how much repair."""

BLURRED = ((0.6, 2.0), (0.25, 1.5))
"""From how much blur on, in pixels, a picture asks for how much repair."""

METADATA_KEY = "srgan"

_WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    "detail": {SHARP: (FAITHFUL, SHARP)},
    "repair": {SHARP: (SHARP, REPAIRING, DEBLURRING), FAST: (FAST, FAST_REPAIRING, FAST_DEBLURRING)},
}  # by the network that they are ways of: where 0 leads, and 1 and so on
_FOLDER = Path(__file__).parent
_REQUIRED: dict[str, type] = {"name": str, "network": str, "scale": int, "halo": int}
_METADATA_PROPS = 14  # of an ONNX model
_LONGEST_HEADER = 100_000_000  # of the safetensors format


@dataclass(frozen=True)
class Shipped:
    """A network that is part of this installation; `size` is of its .onnx file, in bytes."""

    name: str
    size: int
    card: Card


class Choice(NamedTuple):
    """A network: a shipped name or the path of a file, and how far it is on one of the ways of `choose`."""

    model: str | Path
    detail: float | None = None
    repair: float | None = None

    @property
    def between(self) -> tuple[str | Path, str | None, float]:
        """The network whose weights are taken, the one towards whose they are moved, and by which share of the way."""
        if self.detail is not None:
            return SHARP, FAITHFUL, 1 - self.detail
        if self.repair is not None:
            way, start = _WAYS["repair"][str(self.model)], int(self.repair)
            return way[start], way[start + 1], self.repair - start
        return self.model, None, 0.0


@dataclass(frozen=True)
class WeightsFiles:
    """Where a network's weights lie; a network from a file of the user's has one of the two."""

    onnx: Path | None
    safetensors: Path | None

    @property
    def one(self) -> Path:
        """The file that stands for the network, whichever of them a runtime takes."""
        path = self.safetensors or self.onnx
        assert path is not None
        return path


def farthest(*, consistent: bool = False) -> int:
    """Return the most repair that the models of `AUTOS` take: results that come back to their picture keep its blur."""
    return 1 if consistent else 2


def is_left_to_pixels(
    model: str | Path,
    detail: float | None = None,
    repair: float | None = None,
    said: tuple[str, int] | None = None,
    *,
    consistent: bool = False,
) -> bool:
    """Return whether `choose` asks for a picture's condition, and what its file has `said` is not the worst yet."""
    asked = str(model) in AUTOS and detail is None and repair is None
    return asked and max(_for_codec(said), default=0) < farthest(consistent=consistent)


def choose(
    model: str | Path,
    detail: float | None = None,
    repair: float | None = None,
    coding: tuple[str, int] | None = None,
    noise: float | None = None,
    blur: float | None = None,
    *,
    consistent: bool = False,
) -> Choice:
    """Return which network is meant, for a picture that a codec has rounded at some quality, of so much noise and blur.

    detail  from 0, `FAITHFUL`, to 1, `SHARP`: a network between them
    repair  from 0, `SHARP`, over 1, `REPAIRING`, to 2, `DEBLURRING`, or from 0, `FAST`, over 1, `FAST_REPAIRING`, to 2,
            `FAST_DEBLURRING`; the models of `AUTOS` without either have it from `REPAIRS`, `NOISY` and `BLURRED`, the
            most of them, but see `farthest`

    Raises ArgumentError for both, for a number beyond these, and for a model that has no such way.
    """
    if detail is not None and repair is not None:
        raise ArgumentError(f"detail and repair are two ways that begin at {SHARP}: one of them")
    start = AUTOS.get(str(model), model)
    for name, value in (("detail", detail), ("repair", repair)):
        way = _WAYS[name].get(str(start), ())
        told = way or _WAYS[name][SHARP]
        most = len(told) - 1
        if value is not None and not isinstance(value, Real):
            raise ArgumentError(f"{name} is a number from 0 to {most}, not {value!r}")
        if value is not None and not (way and 0 <= value <= most):
            raise ArgumentError(
                f"{name} goes from 0, {told[0]}, to {most}, {told[-1]}; not {float(value):g} of {model}"
            )
    detail, repair = (None if value is None else float(value) for value in (detail, repair))
    if is_left_to_pixels(model, detail, repair):
        noisy = [enough for least, enough in NOISY if noise >= least] if noise else []
        blurred = [enough for least, enough in BLURRED if blur >= least] if blur else []
        end = farthest(consistent=consistent)
        repair = max((enough for enough in _for_codec(coding) + noisy + blurred if enough <= end), default=None)
    if repair is not None and repair == int(repair):
        return Choice(_WAYS["repair"][str(start)][int(repair)])
    return Choice(start, detail, repair)


def _for_codec(coding: tuple[str, int] | None) -> list[float]:
    """Return how much repair a picture asks for that a codec has rounded at some quality, the most first."""
    return [enough for most, enough in REPAIRS[coding[0]] if coding[1] <= most] if coding else []


def involved(
    model: str | Path, detail: float | None = None, repair: float | None = None, *, consistent: bool = False
) -> tuple[str | Path, ...]:
    """Return all networks of which `choose` may take weights, whatever a picture asks for. Raises as it does."""
    start, end, _ = choose(model, detail, repair).between
    if is_left_to_pixels(model, detail, repair):
        return _WAYS["repair"][str(start)][: farthest(consistent=consistent) + 1]
    return (start,) if end is None else (start, end)


def auto_in_words() -> str:
    """Return in words what model `AUTO` is, as `REPAIRS`, `NOISY` and `BLURRED` have it: what follows "is"."""
    (much, least), (soft, softish) = ([level for level, _ in rows] for rows in (NOISY, BLURRED))
    (jpeg, most_jpeg), (webp, most_webp), (avif, most_avif) = ([most for most, _ in rows] for rows in REPAIRS.values())
    return (
        f"{REPAIRING} for what is, or once was, a JPEG of quality {jpeg} or less, is a WebP of {webp}, an AVIF of"
        f" {avif}, or has noise of {much:g} levels of 255 or more, halfway to it up to {most_jpeg}, {most_webp} and"
        f" {most_avif}, and from {least:g} levels; {DEBLURRING} for what is blurred by {soft:g} pixels or more,"
        f" halfway to it from {softish:g}; and {SHARP} for all else"
    )


def counterpart(name: str) -> str:
    """Return the shipped network with whose result that of another is compared, to see what was invented."""
    return SHARP if name == FAITHFUL else FAITHFUL


def find_weights(model: str | Path) -> WeightsFiles:
    """Return the files of a shipped network by its name, or of a path to an .onnx or .safetensors file.

    Raises WeightsError where there is no such network or file, and ArgumentError for what is no name or path.
    """
    if not isinstance(model, (str, Path)):
        raise ArgumentError(f"a model is a name or a path, not {model!r}")
    if str(model) in NAMES:
        files = WeightsFiles(_FOLDER / f"{model}.onnx", _FOLDER / f"{model}.safetensors")
        if missing := [path.name for path in (files.onnx, files.safetensors) if path and not path.is_file()]:
            raise WeightsError(f"{model}: this installation lacks {' and '.join(missing)}")
        return files
    path = Path(model)
    suffix = path.suffix.lower()
    if suffix == ".pt":
        raise WeightsError(f"{model}: a checkpoint, which srgan export makes weights of")
    try:
        there = path.is_file()
    except OSError as error:
        raise WeightsError(f"{model}: cannot be read: {error.strerror}") from error
    if suffix not in (".onnx", ".safetensors"):
        if there:
            raise WeightsError(f"{model}: neither .onnx nor .safetensors; other programs' networks: docs/models.md")
        known = ", ".join(NAMES)
        raise WeightsError(f"{model}: no model of this name ({known}), and no .onnx or .safetensors file")
    if not there:
        raise WeightsError(f"{model}: no such file")
    return WeightsFiles(path, None) if suffix == ".onnx" else WeightsFiles(None, path)


def checksum(weights: bytes | Path) -> str:
    """Return the SHA-256 of a weights file, or of its bytes, in hex. Raises OSError where it cannot be read.

    A file is read once, and again when its time or its size has changed.
    """
    if isinstance(weights, bytes):
        return hashlib.sha256(weights).hexdigest()
    state = weights.stat()
    return _checksum_of_file(weights.absolute(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _checksum_of_file(path: Path, _modified: int, _size: int) -> str:
    return checksum(path.read_bytes())


def shipped() -> list[Shipped]:
    """Return what is shipped, with the cards. Raises WeightsError where a file is missing or damaged."""
    networks = []
    for name in NAMES:
        files = find_weights(name)
        assert files.onnx is not None
        assert files.safetensors is not None
        networks.append(Shipped(name, files.onnx.stat().st_size, read_card(files.safetensors)))
    return networks


def parse_card(text: str | None, where: str) -> Card:
    """Return the card that a weights file holds; `where` is the file's name for errors.

    Raises WeightsError where there is none, or one that does not say what running the network needs.
    """
    if text is None:
        raise WeightsError(f"{where}: holds no card under the metadata key {METADATA_KEY!r}: not a file of srgan's")
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where}: its card is not JSON") from error
    if not isinstance(card, dict):
        raise WeightsError(f"{where}: its card is not a JSON object")
    for key, kind in _REQUIRED.items():
        if type(card.get(key)) is not kind:
            raise WeightsError(f"{where}: its card lacks {key!r}, or has one of the wrong kind")
    training, scores = card.get("training", {}), card.get("scores", {})
    if not isinstance(training, dict):
        raise WeightsError(f"{where}: its card has 'training' of the wrong kind")
    if not (isinstance(scores, dict) and all(isinstance(values, dict) for values in scores.values())):
        raise WeightsError(f"{where}: its card has 'scores' of the wrong kind")
    if card["scale"] < 2 or card["halo"] < 0:
        raise WeightsError(f"{where}: its card has an impossible scale or halo")
    return card


def read_card(path: Path) -> Card:
    """Return the card of an .onnx or .safetensors file, without its tensors. Raises WeightsError."""
    kind = "an ONNX model" if path.suffix.lower() == ".onnx" else "a safetensors file"
    try:
        with path.open("rb") as file:
            text = _card_of_onnx(file) if kind == "an ONNX model" else _card_of_safetensors(file, path.stat().st_size)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged, or not {kind}") from error
    return parse_card(text, str(path))


def _card_of_safetensors(file: BinaryIO, size: int) -> str | None:
    """Return the card in the metadata of the header, None where it lacks. Raises ValueError for another file."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
        raise ValueError
    header = json.loads(file.read(length))
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    card = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    return card if isinstance(card, str) else None


def _card_of_onnx(file: BinaryIO) -> str | None:
    """Return the card among the `metadata_props` of a ModelProto, None where it lacks.

    The graph with its tensors is skipped. Raises ValueError for another file.
    """
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for number, place in fields(content, slice(0, len(content))):
            if number == _METADATA_PROPS:
                pair = {inner: content[part].decode() for inner, part in fields(content, place)}
                if pair.get(1) == METADATA_KEY:
                    return pair.get(2)
    return None
