"""What a person and a machine see of a run: a progress line, a log of JSON Lines, TensorBoard."""

import json
import math
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from srgan.atomic import as_output_error, written_whole
from srgan.data.folders import Pair
from srgan.errors import OutputError
from srgan.image.resize import imresize

_BESIDE = ("seconds", "learning_rate", "waiting")
"""Values of a step that are no terms of its loss."""


class Watch:
    """Writes RUN/log.jsonl and RUN/tensorboard, and keeps the progress line on standard error.

    A resumed run drops the lines that an earlier one wrote past `patches`, where it takes over; a new one all. What
    cannot be written is an OutputError.
    """

    def __init__(self, folder: Path, *, patches: int, total: int) -> None:
        log = folder / "log.jsonl"
        kept = [line for line in _lines(log) if line["patches"] <= patches and patches]
        with written_whole(log) as file:
            file.write("".join(json.dumps(line) + "\n" for line in kept).encode())
        self._folder = folder
        with self._writing():
            self._log = log.open("a", buffering=1)
        self._purge = patches and patches + 1
        self._strips = folder / "strips"
        self._progress = tqdm(
            total=total, initial=patches, unit=" patches", unit_scale=True, smoothing=0.05, mininterval=1
        )

    def __enter__(self) -> "Watch":
        self._hook, threading.excepthook = threading.excepthook, self._of_thread
        try:
            with self._writing():
                self._board = SummaryWriter(os.fspath(self._folder / "tensorboard"), purge_step=self._purge)
        except BaseException:
            threading.excepthook = self._hook
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.close()
        try:
            with self._writing():
                self._log.close()
                self._board.close()
        except OutputError:
            if error is None:  # which it would else hide
                raise
        finally:
            threading.excepthook = self._hook

    def _writing(self) -> AbstractContextManager[None]:
        return as_output_error(f"{self._folder}: the log")

    def _of_thread(self, told: threading.ExceptHookArgs) -> None:
        """Pass over what TensorBoard's thread dies of where it cannot write, as the next that is written raises it."""
        if not isinstance(told.exc_value, OSError):
            self._hook(told)

    def stepped(self, patches: int) -> None:
        """Count patches that were seen."""
        self._progress.update(patches)

    def values(self, kind: str, patches: int, values: Mapping[str, float]) -> None:
        """Log values that belong together, measured after `patches` patches.

        The kinds are "train", "validation", and "bicubic", the score that a run starts against, or goes on against.
        """
        rounded: dict[str, Any] = {k: _rounded(v) for k, v in values.items()}
        with self._writing():
            self._log.write(json.dumps({"kind": kind, "patches": patches, **rounded}) + "\n")
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, patches)
        if kind == "train":
            shown = [f"{name} {value:.4g}" for name, value in values.items() if name not in _BESIDE]
            self._progress.set_postfix_str(", ".join([*shown, f"waiting {values['waiting']:.1%}"]))
        else:
            line = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            self._progress.write(f"{patches:>10} patches: {kind} {line}", file=sys.stderr)

    def alarm(self, patches: int, line: str | None) -> None:
        """Print and log what a person should look at, if there is anything."""
        if line is not None:
            self._progress.write(f"{patches:>10} patches: ALARM: {line}", file=sys.stderr)
            with self._writing():
                self._log.write(json.dumps({"kind": "alarm", "patches": patches, "alarm": line}) + "\n")
                self._board.add_text("alarm", line, patches)

    def strips(self, patches: int, pairs: Sequence[Pair], pictures: Sequence[NDArray[np.uint8]], most: int) -> None:
        """Keep a picture of every pair's middle, at most `most` hr pixels a side: lr, bicubic, sr, hr side by side.

        The newest are in RUN/strips, and none of pairs that are no longer there.
        """
        with self._writing():
            for stale in self._strips.glob("*.png"):
                if stale.stem.isdecimal() and int(stale.stem) >= len(pairs):
                    stale.unlink(missing_ok=True)
        for i, (pair, sr) in enumerate(zip(pairs, pictures, strict=True)):
            nearest = pair.lr.repeat(pair.scale, axis=0).repeat(pair.scale, axis=1)
            row = (nearest, imresize(pair.lr, scale=float(pair.scale)), sr, pair.hr)
            height, width = (min(most, side) for side in pair.hr.shape[:2])
            top, left = (pair.hr.shape[0] - height) // 2, (pair.hr.shape[1] - width) // 2
            strip = np.concatenate([part[top : top + height, left : left + width] for part in row], axis=1)
            with written_whole(self._strips / f"{i:02d}.png") as file:
                Image.fromarray(strip).save(file, "PNG")
            with self._writing():
                self._board.add_image(f"validation/{i:02d}", np.atleast_3d(strip), patches, dataformats="HWC")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log: "kind", "patches" and the values."""
    return _lines(folder / "log.jsonl")


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    lines = []
    for text in log.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # the last line of a run that was killed while it wrote
            continue
        if isinstance(line, dict) and isinstance(line.get("patches"), int):  # what is not, others have written
            lines.append(line)
    return lines


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
