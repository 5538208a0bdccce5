"""SRGAN (Ledig et al. 2017) as software: pictures of four times the size.

    >>> import srgan
    >>> srgan.upscale("photo.jpg").save("photo_x4.png")

    >>> upscaler = srgan.Upscaler("srresnet")
    >>> large = [upscaler.upscale(picture) for picture in pictures]

Importing the package is cheap; NumPy, Pillow and a runtime come with the first use of a name that needs them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from srgan.errors import (
    ArgumentError,
    BulkError,
    CheckpointError,
    DataError,
    ExportError,
    InferenceError,
    OutputError,
    PictureError,
    RecipeError,
    RuntimeMissingError,
    ServeError,
    SrganError,
    TooLargeError,
    TrainingError,
    UnknownKindError,
    WeightsError,
)

if TYPE_CHECKING:
    from srgan.image.size import Size
    from srgan.inference.upscaler import Upscaler, upscale

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "BulkError",
    "CheckpointError",
    "DataError",
    "ExportError",
    "InferenceError",
    "OutputError",
    "PictureError",
    "RecipeError",
    "RuntimeMissingError",
    "ServeError",
    "Size",
    "SrganError",
    "TooLargeError",
    "TrainingError",
    "UnknownKindError",
    "Upscaler",
    "WeightsError",
    "__version__",
    "upscale",
]

_LAZY = {"Size": "srgan.image.size", "Upscaler": "srgan.inference.upscaler", "upscale": "srgan.inference.upscaler"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
