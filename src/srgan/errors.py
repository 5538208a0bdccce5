"""Everything that srgan raises on purpose.

    SrganError              one line that says what is wrong and where
    ├── ArgumentError       an argument that cannot be right, also a ValueError
    ├── PictureError        a picture cannot be found, read or decoded, or is too large
    │   └── UnknownKindError   a picture of a kind that is not read
    ├── OutputError         a result cannot be written
    │   └── TooLargeError   a picture or its result has more pixels than a limit; also a PictureError
    ├── WeightsError        an unknown model, or a weights file that is damaged or of another network
    ├── RuntimeMissingError a runtime that was asked for is not installed
    ├── InferenceError      a network failed, or gave values that are not finite
    ├── DataError           training or test pictures cannot be used
    ├── RecipeError         a recipe with an unknown key or a value of the wrong kind
    ├── CheckpointError     a checkpoint is damaged or belongs to another recipe
    ├── TrainingError       a run cannot go on (a loss that is not finite, say)
    ├── BulkError           a place of pictures or a cluster cannot be reached or used
    ├── ExportError         an exported network differs from the one it was made from
    └── ServeError          the service cannot be where it was asked to be

The command line prints the message and exits with status 1, for an ArgumentError 2; ``--debug`` shows the
cause as well.
"""


class SrganError(Exception):
    """Base of all errors that srgan raises on purpose; ``str()`` is one line for the user."""


class ArgumentError(SrganError, ValueError):
    """An argument that cannot be right."""


class PictureError(SrganError):
    """A picture cannot be found, read or decoded, or is too large."""


class UnknownKindError(PictureError):
    """A picture of a kind that is not read."""


class OutputError(SrganError):
    """A result cannot be written."""


class TooLargeError(OutputError, PictureError):
    """A picture or its result has more pixels than a limit."""

    @property
    def told(self) -> str:
        """What it says, without the option of the command line that raises the limit."""
        return str(self).partition("; --")[0]


class WeightsError(SrganError):
    """An unknown model, or a weights file that is damaged or of another network."""


class RuntimeMissingError(SrganError):
    """A runtime that was asked for is not installed."""


class InferenceError(SrganError):
    """A network failed, or gave values that are not finite."""


class DataError(SrganError):
    """Training or test pictures cannot be used."""


class RecipeError(SrganError):
    """A recipe with an unknown key or a value of the wrong kind."""


class CheckpointError(SrganError):
    """A checkpoint is damaged or belongs to another recipe."""


class TrainingError(SrganError):
    """A run cannot go on."""


class BulkError(SrganError):
    """A place of pictures or a cluster cannot be reached or used."""


class ExportError(SrganError):
    """An exported network differs from the one it was made from."""


class ServeError(SrganError):
    """The service cannot be where it was asked to be."""
