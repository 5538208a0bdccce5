"""Scores of models on folders, their means and differences, and the file that they are written to."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from srgan.atomic import written_whole
from srgan.data.pairs import SCALE
from srgan.evaluation.meters import METRICS
from srgan.evaluation.protocol import PROTOCOL, versions
from srgan.evaluation.statistics import Interval, interval


@dataclass(frozen=True)
class Score:
    """One picture's values by the names in METRICS; one that could not be measured is not there."""

    picture: str
    values: dict[str, float]


@dataclass(frozen=True)
class SetScores:
    """A model's scores on one folder.

    device   what computed the results
    weights  the SHA-256 of the network's file, None where there is none
    lr       where the low-resolution pictures are from
    border   how many pixels were cut off each side where `PROTOCOL` says so
    """

    model: str
    folder: str
    device: str
    scores: tuple[Score, ...]
    weights: str | None = None
    lr: str = "imresize"
    border: int = SCALE

    @property
    def metrics(self) -> list[str]:
        """The names of the values that at least one picture has."""
        return list(dict.fromkeys(name for score in self.scores for name in score.values))

    def column(self, metric: str) -> list[float]:
        """Return one metric's values, of the pictures that have it."""
        return [score.values[metric] for score in self.scores if metric in score.values]

    def mean(self) -> dict[str, float]:
        """Return each value's mean over the pictures that have it."""
        return {name: float(np.mean(self.column(name))) for name in self.metrics}

    def interval(self) -> dict[str, Interval | None]:
        """Return the interval of each mean."""
        return {name: interval(self.column(name)) for name in self.metrics}


@dataclass(frozen=True)
class Difference:
    """How much higher one model's scores are than another's on the same pictures, on the mean."""

    folder: str
    model: str
    baseline: str
    mean: dict[str, float]
    interval: dict[str, Interval | None]


def metrics_of(results: Sequence[SetScores]) -> list[str]:
    """Return the names of the values that at least one of some results has."""
    return list(dict.fromkeys(name for r in results for name in r.metrics))


def left_out(results: Sequence[SetScores], metrics: Sequence[str]) -> list[tuple[str, str]]:
    """Return each metric that no picture of a folder has a value of, being too small, say, and the folder."""
    measured = {(name, r.folder) for r in results for name in r.metrics}
    folders = dict.fromkeys(r.folder for r in results)
    return [(name, folder) for folder in folders for name in metrics if (name, folder) not in measured]


def fewer(results: Sequence[SetScores]) -> dict[str, int]:
    """Return the metrics of one folder that some pictures have no value of, and how many have one.

    The fewest of a model; one that was not measured by it at all does not count.
    """
    counts = {name: min(len(r.column(name)) for r in results if name in r.metrics) for name in metrics_of(results)}
    return {name: count for name, count in counts.items() if count < len(results[0].scores)}


def differences(results: Sequence[SetScores]) -> list[Difference]:
    """Return the differences of every two models that were measured on the same folder, the later less the earlier."""
    return [_difference(b, a) for a, b in combinations(results, 2) if a.folder == b.folder]


def _difference(model: SetScores, baseline: SetScores) -> Difference:
    theirs = {score.picture: score.values for score in baseline.scores}
    columns: dict[str, list[float]] = {}
    for score in model.scores:
        for name, value in score.values.items():
            other = theirs.get(score.picture, {}).get(name)
            if other is not None:
                columns.setdefault(name, []).append(0.0 if value == other else value - other)
    for name in [name for name, values in columns.items() if {math.inf, -math.inf} <= {*values}]:
        del columns[name]  # each is without error on another picture, and there is no mean
    return Difference(
        model.folder,
        model.model,
        baseline.model,
        {name: float(np.mean(values)) for name, values in columns.items()},
        {name: interval(values) for name, values in columns.items()},
    )


def as_json(results: Sequence[SetScores], checksums: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the results with their protocol and what computed them; a value that is not finite is None.

    `checksums` are of the files with perceptual weights, by name.
    """

    def finite(values: Mapping[str, float]) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

    return {
        "protocol": PROTOCOL,
        "versions": versions(),
        "weights": dict(checksums or {}),
        "results": [
            {
                "model": r.model,
                "set": r.folder,
                "device": r.device,
                "weights": r.weights,
                "lr": r.lr,
                "border": r.border,
                "mean": finite(r.mean()),
                "interval": r.interval(),
                "pictures": {s.picture: finite(s.values) for s in r.scores},
            }
            for r in results
        ],
        "differences": [
            {
                "set": d.folder,
                "model": d.model,
                "baseline": d.baseline,
                "mean": finite(d.mean),
                "interval": d.interval,
            }
            for d in differences(results)
        ],
    }


def protocol_lines(results: Sequence[SetScores], checksums: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what a table's reader has to know, as names and texts: how these metrics are measured, and by what."""
    metrics = {name for r in results for name in r.metrics}
    for name, text in PROTOCOL.items():
        if name not in METRICS or name in metrics:
            yield name, text
    yield "border", " or ".join(f"{border} pixels a side" for border in dict.fromkeys(r.border for r in results))
    yield "versions", ", ".join(f"{name} {number}" for name, number in versions().items())
    for r in {r.model: r for r in results}.values():
        yield "model", f"{r.model}: {r.device}" + ("" if r.weights is None else f", SHA-256 {r.weights}")
    for file, checksum in checksums.items():
        yield "weights", f"{file}: SHA-256 {checksum}"


def write_json(results: Sequence[SetScores], path: Path, checksums: Mapping[str, str] | None = None) -> None:
    """Write `as_json` to a file, whole or not at all."""
    with written_whole(path) as file:
        file.write(json.dumps(as_json(results, checksums), indent=1, allow_nan=False).encode())
