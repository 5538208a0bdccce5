"""All the scores of one picture, and the time that each of them takes."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from srgan.data.folders import Picture8
from srgan.data.pairs import SCALE
from srgan.errors import ArgumentError, DataError, WeightsError
from srgan.metrics import (
    DISTS,
    LPIPS,
    as_tensor,
    cropped,
    grid,
    load_dists,
    load_lpips,
    lr_psnr,
    luma,
    niqe,
    psnr,
    ssim,
)
from srgan.metrics.lpips import FILES
from srgan.weights import checksum

PERCEPTUAL = {"lpips": FILES["alex"], "lpips_vgg": FILES["vgg"], "dists": FILES["vgg"]}
"""The file with a learned metric's weights."""

METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lr_psnr", "grid", "lpips", "lpips_vgg", "dists", "niqe")
"""All metrics in the order of the tables. `srgan.evaluation.protocol` says how each is measured."""

BATCH_PIXELS = 1_000_000
"""How many pixels go through a learned metric's network at once; VGG16's maps of them take 500 MB."""

HIGHER_IS_BETTER = frozenset({"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lr_psnr"})


class Profile:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time inside the block to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def lines(self) -> list[str]:
        """Return a line for each name, the longest first, with its part of all."""
        total = sum(self.seconds.values()) or 1.0
        spent = sorted(self.seconds.items(), key=lambda item: -item[1])
        return [f"{name:<12} {seconds:>8.2f} s {seconds / total:>6.1%}" for name, seconds in spent]


class Meters:
    """The metrics that were asked for, or all those whose weights are at hand."""

    def __init__(
        self, perceptual: str | Path | None = None, *, metrics: Sequence[str] | None = None, border: int = SCALE
    ) -> None:
        """Load what the metrics need from the folder `perceptual`.

        Where none are named, `missing` says which were left out for want of weights, and what file they need. `border`
        is how many pixels are cut off each side for PSNR, SSIM and NIQE. Raises ArgumentError for an unknown metric or
        a border below 0, WeightsError for a damaged file, or where one that is named has no weights.
        """
        if border < 0:
            raise ArgumentError(f"a border of {border} pixels cannot be cut off")
        self.border = border
        perceptual = None if perceptual is None else Path(perceptual)
        if unknown := [name for name in metrics or () if name not in METRICS]:
            raise ArgumentError(f"no metric {unknown[0]!r}: {', '.join(METRICS)}")
        wanted = METRICS if metrics is None else metrics
        self.checksums: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self._learned: dict[str, LPIPS | DISTS] = {}
        for name, file in PERCEPTUAL.items():
            if name not in wanted:
                continue
            if perceptual is None or not (perceptual / file).is_file():
                self.missing[name] = file
                continue
            path = perceptual / file
            if name == "dists":
                self._learned[name] = load_dists(path)
            else:
                self._learned[name] = load_lpips(path, "alex" if name == "lpips" else "vgg")
            self.checksums[file] = checksum(path)
        if metrics is not None and self.missing:
            name, file = next(iter(self.missing.items()))
            where = "" if perceptual is None else f"{perceptual}: "
            raise WeightsError(f"{where}no {file}, which {name} needs; srgan fetch lpips lpips-vgg gets it")
        self.metrics = tuple(name for name in METRICS if name in wanted and name not in self.missing)

    def measure(
        self, results: Sequence[Picture8], hr: Picture8, lr: Picture8, profile: Profile
    ) -> list[dict[str, float]]:
        """Return the scores of several results for the same picture; what a metric needs of hr is computed once.

        The results have hr's shape. A picture that is too small for a network or for windows has no such score; raises
        DataError for one that is so for all.
        """
        scores: list[dict[str, float]] = [{} for _ in results]
        for name in self.metrics:
            with profile(name):
                learned = self._learned.get(name)
                values = (
                    _distances(learned, results, hr)
                    if learned
                    else [_plain(name, sr, hr, lr, self.border) for sr in results]
                )
            for score, value in zip(scores, values, strict=True):
                if value is not None:
                    score[name] = value
        return scores


def _plain(name: str, sr: Picture8, hr: Picture8, lr: Picture8, border: int) -> float | None:
    if name == "lr_psnr":
        return lr_psnr(sr, lr)
    try:
        if name == "grid":
            return grid(sr, hr)
        if name == "niqe":
            return niqe(cropped(np.rint(luma(sr)), border))
    except DataError:  # too small a picture for its windows
        return None
    a, b = (cropped(luma(x) if name.endswith("_y") else x.astype(np.float64), border) for x in (sr, hr))
    if name.startswith("psnr"):
        return psnr(a, b)
    channels = (np.moveaxis(np.atleast_3d(picture), 2, 0) for picture in (a, b))
    return float(np.mean([ssim(*planes) for planes in zip(*channels, strict=True)]))


def _distances(metric: LPIPS | DISTS, results: Sequence[Picture8], hr: Picture8) -> Sequence[float | None]:
    """Return the distance of each result, several of small pictures at once."""
    together = max(1, BATCH_PIXELS // (hr.shape[0] * hr.shape[1]))
    batches = (results[i : i + together] for i in range(0, len(results), together))
    with torch.inference_mode():
        try:
            original = metric.features(as_tensor(hr))
        except DataError:  # too small a picture for its network
            return [None] * len(results)
        found = [metric.distance(metric.features(torch.cat([*map(as_tensor, b)])), original) for b in batches]
    return [float(distance) for distances in found for distance in distances]
