"""Networks measured on benchmark folders, as the field measures.

A score travels with its protocol: the low-resolution picture is MATLAB's bicubic of the high-resolution one on
uint8 (or taken from the folder LRx4 beside it), the result is rounded to uint8; PSNR and SSIM are taken on Y
(BT.601, 16 to 235; a gray picture is its own Y, as in MATLAB scripts) with `scale` pixels cut from each
border; LPIPS (v0.1, AlexNet) on RGB, whole.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from srgan.atomic import written_whole
from srgan.errors import DataError
from srgan.image.files import PICTURE_SUFFIXES, read_picture
from srgan.image.resize import imresize
from srgan.inference.upscaler import Upscaler
from srgan.metrics import LPIPS, as_tensor, cropped, luma, psnr, ssim

Picture8: TypeAlias = NDArray[np.uint8]
SCALE = 4
SMALLEST = 2 * SCALE + 11 + 1
"""A side that, cropped to a multiple of the scale and without its borders, still holds SSIM's window."""

PROTOCOL = {
    "channel": "PSNR and SSIM on Y of BT.601, 16..235, not rounded (gray: the picture itself); LPIPS on RGB",
    "border": f"{SCALE} pixels cut from each side for PSNR and SSIM, none for LPIPS",
    "range": "uint8, 255 the peak",
    "rounding": "sr rounded to uint8, halves up",
    "lr": "the folder LRx4 where there is one, else MATLAB's imresize bicubic, antialiased, on uint8",
    "ssim": "11x11 Gaussian, sigma 1.5, valid",
    "lpips": "v0.1, AlexNet",
}


@dataclass(frozen=True)
class Score:
    """One picture's values: psnr_y in dB, ssim_y, and lpips where its weights were at hand."""

    picture: str
    values: dict[str, float]


@dataclass(frozen=True)
class SetScores:
    """A model's scores on one folder; `device` says what computed them."""

    model: str
    folder: str
    device: str
    scores: tuple[Score, ...]

    def mean(self) -> dict[str, float]:
        """Return each value's mean over the pictures."""
        return {name: float(np.mean([s.values[name] for s in self.scores])) for name in self.scores[0].values}


def evaluate(
    models: Sequence[str],
    folders: Sequence[Path],
    *,
    lpips: LPIPS | None = None,
    precision: str = "fp32",
    threads: int | None = None,
) -> Iterator[SetScores]:
    """Yield the scores of every model on every folder of high-resolution pictures, one folder at a time.

    A model is "bicubic", a shipped name, or an .onnx or .safetensors file. Raises DataError for a folder
    without pictures, or whose LRx4 does not fit.
    """
    for model in models:
        run, device = _model(model, precision, threads)
        for folder in folders:
            scores = tuple(_score(name, run(lr), hr, lpips) for name, lr, hr in _pairs(folder))
            yield SetScores(model, folder.name, device, scores)


def as_json(results: Sequence[SetScores]) -> dict[str, Any]:
    """Return the results with their protocol and the versions that computed them; an infinite score is None."""

    def finite(values: dict[str, float]) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

    return {
        "protocol": PROTOCOL,
        "versions": {name: version(name) for name in ("srgan", "numpy", "torch", "openvino")},
        "results": [
            {
                "model": r.model,
                "set": r.folder,
                "device": r.device,
                "mean": finite(r.mean()),
                "pictures": {s.picture: finite(s.values) for s in r.scores},
            }
            for r in results
        ],
    }


def write_json(results: Sequence[SetScores], path: Path) -> None:
    """Write `as_json` to a file, whole or not at all."""
    with written_whole(path) as file:
        file.write(json.dumps(as_json(results), indent=1).encode())


def table(results: Sequence[SetScores]) -> str:
    """Return the means as lines of text, one for each model and set."""
    names = list(results[0].mean())
    lines = [f"{'model':<24} {'set':<10} {'pictures':>8} " + " ".join(f"{name:>8}" for name in names)]
    for r in results:
        values = " ".join(
            f"{value:>8.2f}" if name == "psnr_y" else f"{value:>8.4f}" for name, value in r.mean().items()
        )
        lines.append(f"{r.model:<24} {r.folder:<10} {len(r.scores):>8} {values}")
    return "\n".join(lines)


def _model(model: str, precision: str, threads: int | None) -> tuple[Callable[[Picture8], Picture8], str]:
    """Return what upscales lr to sr, and what computes it."""
    if model == "bicubic":
        return lambda lr: imresize(lr, scale=float(SCALE)), "numpy"
    upscaler = Upscaler(model, precision=precision, threads=threads)
    if upscaler.scale != SCALE:
        raise DataError(f"{model}: of scale {upscaler.scale}; the evaluation is for {SCALE}")
    network = upscaler.network
    return upscaler.upscale, f"{network.runtime} {network.precision} on {network.device}"


def _pairs(folder: Path) -> Iterator[tuple[str, Picture8, Picture8]]:
    """Yield name, lr and hr of each picture in a folder, hr cropped to a multiple of the scale."""
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise DataError(f"{folder}: no pictures in this folder")
    for file in files:
        hr = _pixels(file)
        if min(hr.shape[:2]) < SMALLEST:
            raise DataError(f"{file}: {hr.shape[1]}x{hr.shape[0]}, a side under {SMALLEST} pixels cannot be measured")
        hr = hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE]
        beside = folder / f"LRx{SCALE}" / file.name
        lr = _pixels(beside) if beside.is_file() else imresize(hr, scale=1 / SCALE)
        if (lr.shape[0] * SCALE, lr.shape[1] * SCALE) != hr.shape[:2]:
            raise DataError(f"{beside}: {lr.shape[1]}x{lr.shape[0]} is not a quarter of {hr.shape[1]}x{hr.shape[0]}")
        yield file.name, lr, hr


def _pixels(path: Path) -> Picture8:
    pixels = read_picture(path).pixels
    assert pixels.dtype == np.uint8
    return pixels  # type: ignore[return-value]


def _score(name: str, sr: Picture8, hr: Picture8, lpips: LPIPS | None) -> Score:
    a, b = (cropped(luma(picture), SCALE) for picture in (sr, hr))
    values = {"psnr_y": psnr(a, b), "ssim_y": ssim(a, b)}
    if lpips is not None:
        with torch.inference_mode():
            values["lpips"] = float(lpips(as_tensor(sr), as_tensor(hr))[0])
    return Score(name, values)
