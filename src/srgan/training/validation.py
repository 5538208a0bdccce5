"""Scores on pictures held out of training, or of a test folder."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from srgan.data.degradation import Degradation
from srgan.data.folders import Pair, TestFolder
from srgan.data.pairs import SCALE
from srgan.data.store import Entry, Store
from srgan.errors import ArgumentError, DataError
from srgan.image.colour import from_network
from srgan.image.resize import imresize
from srgan.metrics import DISTS, LPIPS, as_tensor, cropped, lr_psnr, luma, psnr, ssim
from srgan.models.generator import Generator

SMALLEST = 32
"""Pixels a side of a picture that LPIPS can measure."""


def held_out_pairs(
    store: Store, entries: Sequence[Entry], *, crop: int, scale: int, degradation: Degradation | None = None
) -> list[Pair]:
    """Return the middle of each picture, at most `crop` hr pixels a side, and its lr, degraded or not.

    Raises ArgumentError for a crop under an lr pixel.
    """
    if crop < scale:
        raise ArgumentError(f"a crop of {crop} pixels is under one of lr, {scale}")
    pairs = []
    for number, entry in enumerate(entries):
        picture = store.picture(entry)
        height, width = (min(crop, side) // scale * scale for side in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        own = store.lr(entry) if scale == SCALE else None
        if own is not None:
            top, left = top // scale * scale, left // scale * scale
        hr = np.ascontiguousarray(picture[top : top + height, left : left + width])
        if own is None:
            lr = imresize(hr, scale=1 / scale)
        else:
            lr = own[top // scale : (top + height) // scale, left // scale : (left + width) // scale]
        if degradation is not None:
            lr = degradation(lr, np.random.default_rng(number))
        pairs.append(Pair(Path(entry.name), lr, hr))
    return pairs


def whole_pairs(folder: Path) -> list[Pair]:
    """Return the whole pictures of a test folder as `srgan evaluate` has them: with those in LRx4, else bicubic's.

    Raises DataError where there are none, one cannot be measured, LPIPS has no place in it, or its lr does not fit, and
    PictureError where one cannot be read.
    """
    pairs = list(TestFolder(folder))
    small = next((pair for pair in pairs if min(pair.hr.shape[:2]) < SMALLEST), None)
    if small is not None:
        size = f"{small.hr.shape[1]}x{small.hr.shape[0]}"
        raise DataError(f"{small.file}: {size}, a side under {SMALLEST} pixels cannot be validated on")
    return pairs


def identity(pairs: Sequence[Pair]) -> str:
    """Return what the same pairs have in common, wherever they lie, as `Store.identity` does; nothing of none."""
    digest = hashlib.sha256()
    for pair in pairs:
        for picture in (pair.lr, pair.hr):
            digest.update(f"{picture.shape}".encode() + picture.tobytes())
    return digest.hexdigest()[:16] if pairs else ""


def upscaled(generator: Generator, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the generator's sr for an lr picture (h, w, 3), or its luma for a gray one (h, w), rounded to 8 bits.

    One in training mode is in eval mode for it.
    """
    device, training = next(generator.parameters()).device, generator.training
    generator.eval()
    try:
        with torch.inference_mode():
            sr = generator(as_tensor(lr).to(device))[0].cpu().numpy()
    finally:
        generator.train(training)
    return from_network(sr, gray=lr.ndim == 2, dtype=np.dtype(np.uint8)).astype(np.uint8, copy=False)


def validate(
    upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    pairs: Sequence[Pair],
    networks: Mapping[str, LPIPS | DISTS],
) -> tuple[dict[str, float], list[NDArray[np.uint8]]]:
    """Return the mean scores over the pairs, PSNR-Y, SSIM-Y, LR-PSNR and those of the networks by name, and every sr.

    The border of one lr pixel is cut for PSNR-Y and SSIM-Y. Raises DataError for no pairs.
    """
    if not pairs:
        raise DataError("no pictures to validate on")
    scores: dict[str, list[float]] = {name: [] for name in ("psnr_y", "ssim_y", "lr_psnr", *networks)}
    pictures = []
    for pair in pairs:
        sr = upscale(pair.lr)
        a, b = (cropped(luma(picture), pair.scale) for picture in (sr, pair.hr))
        scores["psnr_y"].append(psnr(a, b))
        scores["ssim_y"].append(ssim(a, b))
        scores["lr_psnr"].append(lr_psnr(sr, pair.lr))
        for name, network in networks.items():
            device = next(network.parameters()).device
            with torch.inference_mode():
                distance = network(*(as_tensor(picture).to(device) for picture in (sr, pair.hr)))
            scores[name].append(float(distance[0]))
        pictures.append(sr)
    return {name: float(np.mean(values)) for name, values in scores.items()}, pictures
