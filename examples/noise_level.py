"""Learn how much noise a picture has: train the network of src/srgan/image/noise.npz anew, in minutes of two CPU cores.

    python examples/noise_level.py --data PHOTOGRAPHS -o noise.npz

Photographs are made smaller, which leaves them without noise, some are sharpened, softened or made gray, a few are
drawings instead. Most get noise, of 0 to 15 levels: in each channel, in all the same, or both; white or of neighbours
that are alike; the same everywhere or more of it in the light. Then most are saved as JPEG or WebP.
"""

import argparse
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor, nn
from tqdm import tqdm

from srgan.data.degradation import as_jpeg
from srgan.errors import SrganError
from srgan.image.colour import BT601, to_levels
from srgan.image.noise import blocks_of
from srgan.image.reading import read_picture

SIDE, MARGIN = 64, 8  # pixels a side of a patch, and around it, for what its borders would change
SUFFIXES = (".avif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")


class NoiseLevel(nn.Module):
    """From what is seen of blocks, (N, blocks, 192), to log2(1 + noise), (N,)."""

    def __init__(self, values: int = 48, means: int = 4) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(192, values), nn.Linear(values, values)
        self.weights, self.third, self.last = nn.Linear(values, means), nn.Linear(means * values, 32), nn.Linear(32, 1)

    def forward(self, blocks: Tensor) -> Tensor:
        """Return one number for each picture."""
        values = torch.relu(self.second(torch.relu(self.first(blocks))))
        means = self.weights(values).softmax(1).transpose(1, 2) @ values
        told: Tensor = self.last(torch.relu(self.third(means.flatten(1))))
        return told[:, 0]


def patches_of(file: Path, *, each: int, seed: int) -> list[tuple[NDArray[np.uint8], float]]:
    """Return patches of a photograph and the noise of each, none of one that is too small."""
    draws = np.random.default_rng([seed, *file.name.encode()])
    pixels = to_levels(read_picture(file).pixels)
    if min(pixels.shape[:2]) < 2 * (SIDE + 2 * MARGIN):
        return []
    photograph = Image.fromarray(pixels).convert("RGB")
    return [degraded(clean(photograph, draws), draws) for _ in range(each)]


def clean(photograph: Image.Image, draws: np.random.Generator) -> NDArray[np.float32]:
    """Return a patch without noise, (H, W, 3)."""
    side = SIDE + 2 * MARGIN
    if draws.random() < 0.06:
        image = drawing(side, draws)
    else:
        cut = int(side * draws.uniform(1.6, min(5.0, min(photograph.size) / side)))
        left, top = (int(draws.integers(length - cut + 1)) for length in photograph.size)
        filters = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX, Image.Resampling.HAMMING
        box = (left, top, left + cut, top + cut)
        image = photograph.resize((side, side), filters[draws.choice(4, p=(0.5, 0.2, 0.2, 0.1))], box)
        finish = draws.random()
        if finish < 0.2:
            image = image.filter(ImageFilter.UnsharpMask(draws.uniform(0.5, 1.5), int(draws.integers(30, 150)), 0))
        elif finish < 0.35:
            image = image.filter(ImageFilter.GaussianBlur(draws.uniform(0.3, 1.5)))
    if draws.random() < 0.15:
        image = image.convert("L").convert("RGB")
    return np.asarray(image, np.float32)


def drawing(side: int, draws: np.random.Generator) -> Image.Image:
    """Return shapes and letters in flat colours."""
    image = Image.new("RGB", (side, side), colour(draws))
    pen = ImageDraw.Draw(image)
    for _ in range(draws.integers(1, 25)):
        corners = np.sort(draws.integers(-side // 4, side, (2, 2)), axis=0).ravel().tolist()
        kind = draws.integers(4)
        if kind == 0:
            pen.rectangle(corners, fill=colour(draws))
        elif kind == 1:
            pen.ellipse(corners, fill=colour(draws), outline=colour(draws))
        elif kind == 2:
            pen.line(corners, fill=colour(draws), width=int(draws.integers(1, 4)))
        else:
            pen.text((corners[0], corners[1]), bytes(draws.integers(33, 127, 12).tolist()).decode(), fill=colour(draws))
    return image


def colour(draws: np.random.Generator) -> tuple[int, ...]:
    """Return any colour."""
    return tuple(draws.integers(256, size=3).tolist())


def degraded(patch: NDArray[np.float32], draws: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """Return a patch (64, 64, 3) with noise or none, as a codec keeps it or not, and how much noise that is."""
    noisy = patch
    if draws.random() < 0.6:
        kind, noise = draws.random(), draws.normal(size=patch.shape)
        if kind < 0.5:
            shared = draws.normal(size=(*patch.shape[:2], 1))
            noise = np.broadcast_to(shared, patch.shape) if kind < 0.35 else (noise + shared) / np.sqrt(2)
        if draws.random() < 0.35:
            like = draws.uniform(0.1, 0.6)
            for axis in (0, 1):
                noise = noise + like * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
            noise = noise / noise.std()
        if draws.random() < 0.3:
            noise = noise * np.sqrt(patch.mean(axis=-1, keepdims=True).clip(8) / 128)
        noisy = np.rint(patch + (2 ** draws.uniform(0, 4) - 1) * noise).clip(0, 255).astype(np.float32)
    within = slice(MARGIN, MARGIN + SIDE)
    brightness = ((noisy - patch)[within, within] @ BT601).std() / np.linalg.norm(BT601)
    return kept(noisy.astype(np.uint8), draws)[within, within], float(brightness)


def kept(pixels: NDArray[np.uint8], draws: np.random.Generator) -> NDArray[np.uint8]:
    """Return pixels as a file keeps them."""
    codec, fine = draws.random(), draws.random() < 0.67
    if codec < 0.5:
        top, left = draws.integers(8, size=2).tolist() if draws.random() < 0.7 else (0, 0)
        quality = int(draws.integers(88, 101) if fine else draws.integers(50, 88))
        return as_jpeg(pixels, quality, halved=bool(draws.random() < 0.6), top=top, left=left)
    if codec < 0.6:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "WEBP", quality=int(draws.integers(50, 101)), method=2)
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    return pixels


def seen(patches: NDArray[np.uint8]) -> Tensor:
    """Return what is seen of the blocks of each patch (N, blocks, 192)."""
    return torch.from_numpy(blocks_of(patches).reshape(len(patches), -1, 192))


def learn(patches: NDArray[np.uint8], noise: NDArray[np.float32], steps: int, held_out: int) -> NoiseLevel:
    """Return the network after so many steps of 64 patches; on the first ones, held out, it is tried at the end."""
    network, draws = NoiseLevel(), np.random.default_rng(0)
    target = torch.log2(1 + torch.from_numpy(noise))
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for _ in tqdm(range(steps), unit=" steps"):
        chosen = draws.integers(held_out, len(patches), 64)
        turned = patches[chosen, :: draws.choice((-1, 1)), :: draws.choice((-1, 1))]
        told = network(seen(turned.swapaxes(1, 2) if draws.random() < 0.5 else turned))
        optimiser.zero_grad()
        torch.autograd.backward(nn.functional.smooth_l1_loss(told, target[chosen], beta=0.1))
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        told = torch.cat([network(seen(part)) for part in np.array_split(patches[:held_out], max(held_out // 100, 1))])
    for least, most in ((0, 0.001), (0.001, 1.5), (1.5, 3), (3, 6), (6, 16)):
        within = [2**value - 1 for value, true in zip(told.tolist(), noise, strict=False) if least <= true < most]
        if within:
            spread = " ".join(f"{value:5.2f}" for value in np.quantile(within, (0.05, 0.25, 0.5, 0.75, 0.95)))
            print(f"noise of {least:g} to {most:g} is taken for (5, 25, 50, 75, 95 % of {len(within)}): {spread}")
    return network


def main() -> None:
    """Make patches, learn, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, .npz")
    parser.add_argument("--each", type=int, default=100, help="patches of a photograph; 100 by default")
    parser.add_argument("--steps", type=int, default=5_000, help="of 64 patches; 5,000 by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = sorted(file for file in options.data.glob("*") if file.suffix.lower() in SUFFIXES)
    torch.manual_seed(options.seed)
    with ThreadPoolExecutor() as pool:
        work = pool.map(partial(patches_of, each=options.each, seed=options.seed), files)
        made: list[tuple[Any, float]] = list(chain.from_iterable(tqdm(work, "patches", len(files), unit=" pictures")))
    if not made:
        parser.error(f"no photograph in {options.data} has {2 * (SIDE + 2 * MARGIN)} pixels a side")
    patches, noise = (np.array(part) for part in zip(*made, strict=True))
    network = learn(patches, noise.astype(np.float32), options.steps, min(3_000, len(made) // 2))
    layers: dict[str, Any] = {name: values.numpy().astype(np.float16) for name, values in network.state_dict().items()}
    np.savez_compressed(options.output, **layers)


if __name__ == "__main__":
    try:
        main()
    except (OSError, SrganError) as error:
        sys.exit(f"noise_level: {error}")
