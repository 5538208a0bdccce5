"""What tests of training share: photographs in miniature, a small network by name, short recipes.

As a program it is `srgan` with these networks: python tests/runs.py train RECIPE ... With RUNS_IN_FLOAT64 set it
computes everything in that type, so that what differs from another run does so for another reason than rounding;
with RUNS_DIE_AT=RANK,STEP that process is killed at that step.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srgan.data.patches import PatchSampler
from srgan.data.store import Store, prepare_store
from srgan.image.resize import imresize
from srgan.models.discriminator import Discriminator
from srgan.models.generator import GENERATORS, Generator
from srgan.training import steps
from srgan.training.recipe import Recipe, recipe_from


def tiny_x4() -> Generator:
    return Generator(channels=8, blocks=2, stages=2, end_kernel=9)


def tiny_plain_x4() -> Generator:
    return Generator(channels=8, blocks=2, stages=2, end_kernel=9, plain=True)


def small_discriminator(patch_size: int = 32, _: int = 64, *, spectral: bool = False) -> Discriminator:
    return Discriminator(widths=(4, 8), dense=8, patch_size=patch_size, slope=0.2, spectral=spectral)


SMALL = {"tiny_x4": tiny_x4, "tiny_plain_x4": tiny_plain_x4}


def scene(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Return a picture with large shapes and fine grain."""
    random = np.random.default_rng(seed)
    shapes = imresize(random.random((height // 8 + 2, width // 8 + 2, 3)) * 255, size=(height, width))
    return np.clip(shapes + random.normal(0, 10, shapes.shape), 0, 255).astype(np.uint8)


def photographs(folder: Path, count: int = 4, size: tuple[int, int] = (48, 64)) -> Path:
    """Write pictures as PNG files into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(scene(*size, seed=i)).save(folder / f"{i:02d}.png")
    return folder


def store(folder: Path, **options: Any) -> Store:
    return prepare_store([str(photographs(folder / "photographs", **options))], folder / "cache", min_side=32)


def recipe(**groups: dict[str, Any]) -> Recipe:
    """Return a recipe of a few steps of four patches each, with these keys instead."""
    tree: dict[str, dict[str, Any]] = {
        "data": {"patch_size": 32, "held_out": 1, "held_out_crop": 32},
        "optimiser": {"patches": 24, "batch_size": 4, "learning_rate": 1e-3},
        "loss": {"pixel": 1.0},
        "run": {"average_over": 8, "checkpoint_every": 8, "validate_every": 12, "log_every": 4, "keep": 9},
    }
    for group, keys in groups.items():
        tree[group] = tree.get(group, {}) | keys
    return recipe_from({"name": "short", "network": "tiny_x4", **tree})


def toml(recipe: dict[str, Any]) -> str:
    """Return a recipe's keys as a TOML file holds them."""
    lines = [f"{key} = {_toml(value)}" for key, value in recipe.items() if not isinstance(value, dict)]
    for group, keys in recipe.items():
        if isinstance(keys, dict):
            lines += [f"[{group}]", *(f"{key} = {_toml(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(v)}' for key, v in value.items()) + " }"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def differences(a: object, b: object, place: str = "") -> list[str]:
    """Return the places at which two nested states are not the same, bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        missing = [f"{place}/{key}" for key in a.keys() ^ b.keys()]
        return missing + [d for key in a.keys() & b.keys() for d in differences(a[key], b[key], f"{place}/{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{place}/{i}")]
    same = torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b
    return [] if same else [place]


def in_float64() -> None:
    cut = PatchSampler.batch

    def batch(self: PatchSampler, step: int, size: int, *, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
        lr, hr = cut(self, step, size, rank=rank, world=world)
        return lr.double(), hr.double()

    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    PatchSampler.batch = batch  # type: ignore[method-assign]


def die_at(rank: int, step: int) -> None:
    cut = PatchSampler.batch

    def batch(self: PatchSampler, number: int, *args: Any, **options: Any) -> Any:
        if number == step and os.environ.get("RANK") == str(rank):
            os.kill(os.getpid(), signal.SIGKILL)
        return cut(self, number, *args, **options)

    PatchSampler.batch = batch  # type: ignore[assignment]


if __name__ == "__main__":
    from srgan.cli import main

    GENERATORS.update(SMALL)
    steps.srgan_discriminator = small_discriminator  # type: ignore[attr-defined, assignment]
    if "RUNS_IN_FLOAT64" in os.environ:
        in_float64()
    if "RUNS_DIE_AT" in os.environ:
        die_at(*map(int, os.environ["RUNS_DIE_AT"].split(",")))
    sys.exit(main(sys.argv[1:]))
