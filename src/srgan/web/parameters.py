"""What a request may ask for: one table, by which parameters are read and described."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from srgan.errors import ArgumentError
from srgan.image.size import Size
from srgan.image.writing import FORMATS, SAME, WriteOptions, options_for
from srgan.web.problems import Problem
from srgan.weights import (
    AUTO,
    AUTO_FAST,
    DEBLURRING,
    FAITHFUL,
    FAST,
    FAST_DEBLURRING,
    FAST_REPAIRING,
    NAMES,
    REPAIRING,
    SHARP,
    auto_in_words,
    choose,
)

BICUBIC = "bicubic"
"""The model that is no network: MATLAB's bicubic."""

MOST_TIMES = 16
MOST_TIMES_SMALLER = 64
"""As bicubic makes a side at most: for a pixel it reads four times as many of the picture's."""

MOST_PIXELS = 1_000_000
"""Of a side of a result; what may be made is a matter of limits."""

_LONGEST_NAME = 120  # of a picture, without its suffix
_LONGEST_SUFFIX = 10


@dataclass(frozen=True)
class Parameter:
    """A parameter: its JSON schema, what it does, and a value to show."""

    name: str
    schema: Mapping[str, Any]
    about: str
    example: str


PARAMETERS = (
    Parameter(
        "model",
        {"type": "string"},
        f"One of /v1/models; {BICUBIC} makes a side at most {MOST_TIMES_SMALLER} times as small. Or {AUTO}:"
        f" {auto_in_words()}. {AUTO_FAST} is the same of {FAST}, {FAST_REPAIRING} and"
        f" {FAST_DEBLURRING}.",
        SHARP,
    ),
    Parameter(
        "scale",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_TIMES},
        "How many times as wide and high; 4 where no size is asked for.",
        "4",
    ),
    Parameter(
        "width",
        {"type": "integer", "minimum": 1, "maximum": MOST_PIXELS},
        "In pixels; the height follows. With a height: as large as fits into the two.",
        "1920",
    ),
    Parameter(
        "height",
        {"type": "integer", "minimum": 1, "maximum": MOST_PIXELS},
        "In pixels; the width follows.",
        "1080",
    ),
    Parameter(
        "format",
        {"type": "string", "enum": [*FORMATS, SAME]},
        f"Of the result; png by default. {SAME} is that of the picture by its name, or png where that is not written.",
        "webp",
    ),
    Parameter("quality", {"type": "integer", "minimum": 1, "maximum": 100}, "Of jpeg, webp and avif.", "90"),
    Parameter(
        "detail",
        {"type": "number", "minimum": 0, "maximum": 1},
        f"From {FAITHFUL}, 0, which invents least, to {SHARP}, 1; for the models {SHARP} and {AUTO} alone.",
        "0.5",
    ),
    Parameter(
        "repair",
        {"type": "number", "minimum": 0, "maximum": 2},
        f"From {SHARP}, 0, over {REPAIRING}, 1, which leaves noise and JPEG's blocks behind, to {DEBLURRING}, 2, which"
        f" takes blur away as well; for the models {SHARP} and {AUTO}, and not with detail. For {FAST} and {AUTO_FAST}"
        f" from {FAST} over {FAST_REPAIRING} to {FAST_DEBLURRING}.",
        "0.5",
    ),
    Parameter(
        "consistent",
        {"type": "boolean"},
        "Correct the result until, made small again, it is the picture it came from.",
        "true",
    ),
    Parameter(
        "ensemble",
        {"type": "boolean"},
        "The mean of what a network makes of eight orientations: closer, smoother, eight times the work.",
        "true",
    ),
    Parameter(
        "seamless",
        {"type": "boolean"},
        "The picture continues where it wraps around, as a texture does, and so does the result. Not of a crop.",
        "true",
    ),
    Parameter("strip", {"type": "boolean"}, "Leave out what the picture carries, but for its colour profile.", "true"),
    Parameter(
        "crop",
        {"type": "string", "pattern": r"^\d{1,7},\d{1,7},\d{1,7},\d{1,7}$"},
        "LEFT,TOP,WIDTH,HEIGHT: this part alone, in pixels of the picture as it is shown.",
        "0,0,64,64",
    ),
    Parameter(
        "show",
        {"type": "string", "enum": ["result", "first", "confidence"]},
        "The result, that of the first frame or page alone, or of the first a map of where detail was invented: the"
        f" difference of its result and {FAITHFUL}'s.",
        "result",
    ),
    Parameter("name", {"type": "string"}, "What the picture is called: for the result's name.", "photo.jpg"),
)
"""Every parameter of /v1/upscale, in the query or as fields of a form."""

_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


@dataclass(frozen=True)
class Crop:
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Order:
    """What was asked for.

    model    a name of those offered, or auto
    size     of the result
    crop     the part of the picture that is enlarged, None for all of it
    first    the first frame or page alone
    doubt    the map of where detail was invented, in place of the result
    name     what the picture is called, without folders
    """

    model: str
    size: Size
    options: WriteOptions
    detail: float | None = None
    repair: float | None = None
    consistent: bool = False
    ensemble: bool = False
    seamless: bool = False
    crop: Crop | None = None
    first: bool = False
    doubt: bool = False
    name: str = "picture"

    @property
    def file_name(self) -> str:
        """The name of the result: photo_x4.png."""
        result = FORMATS[self.options.format or "png"]
        ending = f"{self.size.ending}_confidence" if self.doubt else self.size.ending
        return f"{PurePosixPath(self.name).stem}{ending}{result.suffixes[0]}"


def read_order(given: Iterable[tuple[str, str]], models: Iterable[str], default: str) -> Order:
    """Return the order that parameters make; the first of `models` by default is `default`. Raises Problem."""
    values: dict[str, Any] = {}
    for name, text in given:
        if name not in _BY_NAME:
            near = get_close_matches(name, _BY_NAME, 1)
            raise _bad(f"no parameter {name!r}" + (f": {near[0]}?" if near else f": {', '.join(_BY_NAME)}"))
        if name in values:
            raise _bad(f"{name} is given twice")
        values[name] = _value(_BY_NAME[name], text)
    model = values.get("model", default)
    if model not in models:
        raise _bad(f"no model {model!r}: {', '.join(models)}")
    options = WriteOptions(values.get("format", "png"), values.get("quality"), strip=values.get("strip", False))
    name = _plain_name(values.get("name", ""))
    if options.format == SAME and not values.get("name"):
        raise _bad(f"format {SAME} goes by the picture's name, which is not said: name=photo.jpg")
    order = Order(
        model=model,
        size=_size(values.get("scale"), values.get("width"), values.get("height")),
        options=options_for(name, options),
        detail=values.get("detail"),
        repair=values.get("repair"),
        consistent=values.get("consistent", False),
        ensemble=values.get("ensemble", False),
        seamless=values.get("seamless", False),
        crop=Crop(*map(int, values["crop"].split(","))) if "crop" in values else None,
        first=values.get("show") == "first",
        doubt=values.get("show") == "confidence",
        name=name,
    )
    try:
        network = choose(model, order.detail, order.repair).model
    except ArgumentError as error:
        raise _bad(str(error)) from error
    if order.doubt and network not in NAMES:
        raise _bad(f"the map of confidence compares {', '.join(NAMES)}; {model} is none of them")
    if order.consistent and model == BICUBIC:
        raise _bad("bicubic is not corrected: consistent is for networks")
    if order.ensemble and model == BICUBIC:
        raise _bad("bicubic makes the same of every orientation: ensemble is for networks")
    if order.seamless and model == BICUBIC:
        raise _bad("bicubic is not wrapped around: seamless is for networks")
    if order.seamless and order.crop is not None:
        raise _bad("a crop does not continue where it wraps around: seamless is for whole pictures")
    if order.crop is not None and 0 in (order.crop.width, order.crop.height):
        raise _bad("a crop without pixels: LEFT,TOP,WIDTH,HEIGHT")
    return order


def _bad(detail: str) -> Problem:
    return Problem("bad-parameter", detail)


def _value(parameter: Parameter, text: str) -> Any:
    """Return a parameter's value by its schema. Raises Problem."""
    schema, name = parameter.schema, parameter.name
    kind = schema["type"]
    if kind == "boolean":
        if text not in ("true", "false"):
            raise _bad(f"{name} is true or false, not {_shown(text)}")
        return text == "true"
    if kind in ("integer", "number"):
        pattern = r"-?\d{1,18}" if kind == "integer" else r"-?(\d{1,18}(\.\d{0,400})?|\.\d{1,400})([eE][-+]?\d{1,3})?"
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise _bad(f"{name} is {'a whole number' if kind == 'integer' else 'a number'}, not {_shown(text)}")
        value = int(text) if kind == "integer" else float(text)
        most, above = schema["maximum"], schema.get("exclusiveMinimum")
        if above is not None and not above < value <= most:
            raise _bad(f"{name} is more than {above}, and up to {most}, not {_shown(text)}")
        if above is None and not schema["minimum"] <= value <= most:
            raise _bad(f"{name} goes from {schema['minimum']} to {most}, not {_shown(text)}")
        return value
    if "enum" in schema and text not in schema["enum"]:
        raise _bad(f"no {name} {_shown(text)}: {', '.join(schema['enum'])}")
    if "pattern" in schema and re.search(schema["pattern"], text, re.ASCII) is None:
        raise _bad(f"{name} is {parameter.about.split(':')[0]}, whole numbers, not {_shown(text)}")
    return text


def _size(scale: float | None, width: int | None, height: int | None) -> Size:
    if scale is not None and (width is not None or height is not None):
        raise _bad("one of scale, width and height says the size, not two")
    try:
        return Size(
            scale=4 if width is None and height is None and scale is None else scale, width=width, height=height
        )
    except ArgumentError as error:
        raise _bad(str(error)) from error


def _plain_name(name: str) -> str:
    """Return the last part of a path of any system, without what cannot be in a header or a file's name."""
    last = PurePosixPath(PureWindowsPath(name).as_posix()).name
    plain = "".join(character for character in last if character.isprintable() and character not in '<>:"|?*\\/')
    path = PurePosixPath(plain.strip(". ") or "picture")
    return f"{path.stem[:_LONGEST_NAME]}{path.suffix[:_LONGEST_SUFFIX]}"


def _shown(text: str) -> str:
    """Return a value for a message, short and on one line."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
