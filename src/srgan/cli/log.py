"""What became of each picture, as lines of JSON in a file."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from srgan.atomic import as_output_error
from srgan.errors import OutputError

if TYPE_CHECKING:
    from srgan.inference.batch import Result

_FIRST = b'{"time": '  # how a line begins


class ResultLog:
    """Adds a line to a file for each result, at once: a run that is killed leaves those of what it did.

    The keys are time, source, target, status, seconds (read, network and write, as far as it came), pixels_in,
    pixels_out, codec, codec_quality, noise, blur, model and error. Null are target for standard output, codec where not
    JPEG, WebP or AVIF has rounded the picture, as far as its file says and --model auto sees, noise and blur where that
    has not looked for them, or a side has fewer than 32 pixels, and model where no network was needed. Raises
    OutputError where the file cannot be written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._where = f"{path}:"
        with as_output_error(self._where):
            self._file = path.open("a+b", buffering=0)
            if self._file.seekable():  # no pipe, nor a terminal
                self._file.seek(0)
                if not _FIRST.startswith(self._file.read(len(_FIRST))):
                    self._file.close()
                    raise OutputError(
                        f"{path}: is there already and no log: lines are added to one, or to a file of a new name"
                    )
                if self._file.seek(0, os.SEEK_END):
                    self._file.seek(-1, os.SEEK_END)
                    if self._file.read() != b"\n":  # a kill cut the last line
                        self._file.write(b"\n")

    def __enter__(self) -> "ResultLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, result: "Result") -> None:
        """Write the line of a result."""
        coding, noise, blur = result.condition
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "source": result.job.source_name,
            "target": None if result.job.target is None else str(result.job.target),
            "status": result.status,
            "seconds": {part: round(seconds, 4) for part, seconds in result.seconds.items()},
            "pixels_in": result.pixels_in,
            "pixels_out": result.pixels_out,
            "codec": coding and coding.codec,
            "codec_quality": coding and coding.quality,
            "noise": None if noise is None else round(noise, 1),
            "blur": None if blur is None else round(blur, 2),
            "model": result.model,
            "error": None if result.error is None else str(result.error),
        }
        # a name that is not Unicode is written with lone surrogates, which backslashes stand for in JSON as well
        content = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        with as_output_error(self._where):
            self._file.write(content)
