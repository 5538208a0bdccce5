"""How many patches a second training takes in: ours, and a plain loop on the same pictures, batch and device.

    python benchmarks/train.py --data PHOTOGRAPHS --seconds 30

The plain loop is what the field has: PNG pictures, high and low resolution, through a DataLoader with all cores,
float32, the network as the paper draws it, Adam as it comes, every loss read at every step.

"of peak" counts the floating-point operations of the paper's drawing (PyTorch's counter) against the fastest matrix
product measured here in the same arithmetic. "waiting" is the time to cut a batch over the time of a step for ours,
the time spent in the DataLoader for the plain loop. VGG19's weights are random numbers: they cost the same.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from given import positive
from plain import PlainGenerator, device_name, matrix_peaks, synchronise
from srgan.data.store import Store, prepare_store
from srgan.errors import SrganError
from srgan.image.resize import imresize
from srgan.losses import ContentLoss
from srgan.memory import keep_freed_memory
from srgan.models.discriminator import srgan_discriminator
from srgan.models.vgg import VGG19Features
from srgan.training.loop import patch_sampler, updating
from srgan.training.ranks import Ranks
from srgan.training.recipe import Recipe, recipe_from
from srgan.training.steps import build_networks, update_average

PICTURES = Path(__file__).parents[1] / "examples" / "pictures"
CROP = 480
SCALE = 4
LOSSES = {"SRResNet": {"pixel": 1.0}, "SRGAN-VGG54": {"content": 1.0, "adversarial": 1e-3}}
DEVICE = Ranks().device


@dataclass(frozen=True)
class Speed:
    """Patches a second, and the share of the time in which a step waited for its batch."""

    patches: float
    waiting: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[str(PICTURES)], help="photographs, as for srgan train")
    parser.add_argument("--batch-size", type=positive, default=16)
    parser.add_argument("--patch-size", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each loop is timed, warm-up besides")
    parser.add_argument("--networks", nargs="+", choices=LOSSES, default=list(LOSSES))
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = DEVICE.type == "cuda"  # for both loops, as srgan.training.loop has it
    torch.backends.cudnn.allow_tf32 = False
    peak = matrix_peaks(DEVICE)
    print(f"{device_name(DEVICE)}; PyTorch {torch.__version__}")
    print("matrix products: " + ", ".join(f"{name} {value / 1e12:.2f} TFLOP/s" for name, value in peak.items()))
    print(f"batches of {options.batch_size} patches of {options.patch_size}x{options.patch_size}\n")
    print("| | patches/s | of bf16 peak | waiting | plain loop, patches/s | of fp32 peak | waiting | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        store = prepare_store(options.data, Path(folder), min_side=options.patch_size)
        files = write_pngs(store, Path(folder) / "png")
        recipes = [
            recipe_from(
                {
                    "name": name,
                    "data": {"patch_size": options.patch_size},
                    "optimiser": {"batch_size": options.batch_size},
                    "loss": LOSSES[name],
                }
            )
            for name in options.networks
        ]
        plain = [time_plain(recipe, files, options.seconds) for recipe in recipes]
        keep_freed_memory()  # as srgan train does
        ours = [time_ours(recipe, store, options.seconds) for recipe in recipes]
        for recipe, our, their in zip(recipes, ours, plain, strict=True):
            work = floating_point_operations(recipe)
            shares = [s.patches * work / peak[p] for s, p in [(our, "bf16"), (their, "fp32")]]
            print(
                f"| {recipe.name} | {our.patches:.1f} | {shares[0]:.0%} | {our.waiting:.1%} |"
                f" {their.patches:.1f} | {shares[1]:.0%} | {their.waiting:.1%} | {our.patches / their.patches:.2f} |",
                flush=True,
            )


def content_of(recipe: Recipe) -> ContentLoss | None:
    return ContentLoss(VGG19Features(recipe.loss.layers()), recipe.loss.layers()) if recipe.loss.content else None


def timed(step: Callable[[], None], seconds: float) -> float:
    """Return the seconds that a step takes: three to warm up, then as many as there is time for."""
    for _ in range(3):
        step()
    synchronise(DEVICE)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or not steps:
        step()
        steps += 1
    synchronise(DEVICE)
    return (time.perf_counter() - start) / steps


def time_ours(recipe: Recipe, store: Store, seconds: float) -> Speed:
    """Time the steps of srgan.training.loop, with all that it does at every one."""
    size = recipe.optimiser.batch_size
    networks = build_networks(recipe, content_of(recipe), Ranks())
    sampler = patch_sampler(recipe, store, store.entries, scale=SCALE, device=DEVICE)
    update = updating(recipe, networks, Ranks())
    numbers = iter(range(10**9))

    def cut() -> None:
        sampler.batch(next(numbers), size)

    def step() -> None:
        lr, hr = sampler.batch(next(numbers), size)
        networks.set_learning_rate(1e-4)
        update(lr, hr)
        update_average(networks, 0.999)

    whole = timed(step, seconds)
    return Speed(size / whole, timed(cut, seconds / 10) / whole)


def write_pngs(store: Store, folder: Path) -> list[tuple[Path, Path]]:
    """Write crops of at most CROP pixels a side, and their low-resolution pictures, as the field prepares its data."""
    folder.mkdir()
    files = []
    for i, entry in enumerate(tqdm(store.entries, desc="writing PNGs", leave=False)):
        picture = store.picture(entry)
        for top in range(0, max(1, entry.height - CROP + 1), CROP):
            for left in range(0, max(1, entry.width - CROP + 1), CROP):
                hr = picture[top : top + CROP, left : left + CROP]
                hr = np.ascontiguousarray(hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE])
                pair = (folder / f"{i}_{top}_{left}_lr.png", folder / f"{i}_{top}_{left}_hr.png")
                for path, pixels in zip(pair, (imresize(hr, scale=1 / SCALE), hr), strict=True):
                    Image.fromarray(pixels).save(path)
                files.append(pair)
    return files


class PngPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of PNG files, cut, flipped and turned at random."""

    def __init__(self, files: Sequence[tuple[Path, Path]], patch_size: int) -> None:
        self.files, self.small = files, patch_size // SCALE

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        lr, hr = (np.asarray(Image.open(path)) for path in self.files[index])
        top, left = (int(torch.randint(side - self.small + 1, ())) for side in lr.shape[:2])
        lr = lr[top : top + self.small, left : left + self.small]
        hr = hr[SCALE * top : SCALE * (top + self.small), SCALE * left : SCALE * (left + self.small)]
        flip, turns = int(torch.randint(2, ())), int(torch.randint(4, ()))
        turned = (np.rot90(p[:, :: 1 - 2 * flip], turns).astype(np.float32) / 255 for p in (lr, hr))
        lr_patch, hr_patch = (torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1) for p in turned)
        return lr_patch, hr_patch


def plain_step(recipe: Recipe) -> Callable[[Tensor, Tensor], None]:
    """Return a step of the plain loop."""
    content = content_of(recipe)
    generator = PlainGenerator().to(DEVICE)
    optimiser = torch.optim.Adam(generator.parameters(), 1e-4)
    discriminator = srgan_discriminator(recipe.data.patch_size).to(DEVICE) if recipe.loss.adversarial else None
    judge_optimiser = torch.optim.Adam(discriminator.parameters(), 1e-4) if discriminator else None
    content = content.to(DEVICE) if content else None

    def step(lr: Tensor, hr: Tensor) -> None:
        sr = generator(lr)
        loss = F.mse_loss(sr, hr) if content is None else content(sr, hr)
        if discriminator and judge_optimiser:
            discriminator.requires_grad_(False)
            adversarial = F.binary_cross_entropy_with_logits(*with_target(discriminator(sr), 1.0))
            loss = loss + 1e-3 * adversarial
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        values = [loss]
        if discriminator and judge_optimiser:
            discriminator.requires_grad_(True)
            judge_optimiser.zero_grad()
            for picture, target in ((hr, 1.0), (sr.detach(), 0.0)):
                half = F.binary_cross_entropy_with_logits(*with_target(discriminator(picture), target))
                torch.autograd.backward(half)
                values.append(half)
            judge_optimiser.step()
        for value in values:
            value.item()

    return step


def with_target(logits: Tensor, target: float) -> tuple[Tensor, Tensor]:
    return logits, torch.full_like(logits, target)


def time_plain(recipe: Recipe, files: Sequence[tuple[Path, Path]], seconds: float) -> Speed:
    """Time the plain loop."""
    size = recipe.optimiser.batch_size
    pairs = PngPairs(list(files) * (1 + size // len(files)), recipe.data.patch_size)
    cuda = DEVICE.type == "cuda"
    loader = DataLoader(
        pairs,
        size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        pin_memory=cuda,
        persistent_workers=True,
    )

    def endlessly() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader

    batches, update, waited = endlessly(), plain_step(recipe), 0.0

    def step() -> None:
        nonlocal waited
        start = time.perf_counter()
        lr, hr = next(batches)
        waited += time.perf_counter() - start
        update(lr.to(DEVICE, non_blocking=True), hr.to(DEVICE, non_blocking=True))

    timed(step, 0)  # the workers start
    waited, start = 0.0, time.perf_counter()
    whole = timed(step, seconds)
    return Speed(size / whole, waited / (time.perf_counter() - start))


def floating_point_operations(recipe: Recipe) -> float:
    """Return how many a patch costs in the plain step."""
    step = plain_step(recipe)
    lr, hr = (
        torch.rand(2, 3, side, side, device=DEVICE)
        for side in (recipe.data.patch_size // SCALE, recipe.data.patch_size)
    )
    with FlopCounterMode(display=False) as counter:
        step(lr, hr)
    return float(counter.get_total_flops() / len(lr))


if __name__ == "__main__":
    try:
        main()
    except SrganError as error:
        sys.exit(f"train: {error}")
