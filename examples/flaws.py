"""Learn how much noise or blur a picture has: train a network of src/srgan/image anew, in minutes of two CPU cores.

    python examples/flaws.py noise --data PHOTOGRAPHS -o noise.npz
    python examples/flaws.py blur --data PHOTOGRAPHS -o blur.npz

Photographs are made smaller, which leaves them without noise and sharp; some are made gray, a few are drawings instead.
For noise some are sharpened or softened, and most get noise, of 0 to 15 levels: in each channel, in all the same, or
both; white or of neighbours that are alike; the same everywhere or more of it in the light. For blur most are blurred
by a Gaussian, by a disc or by being enlarged, of some a part alone, which does not count; some are sharpened after it,
some get noise, a border or a stamp. How blurred that is, is the Gaussian that comes nearest to it, none where there are
no edges. Then most are saved as JPEG or WebP.
"""

import argparse
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, pairwise
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
from srgan.image.flaws import blocks_of
from srgan.image.reading import read_picture

SIDE, MARGIN = 64, 8  # pixels a side of a patch, and around it, for what its borders would change
TIMES = 2.2  # as large is a part of a photograph at least that, made smaller, is sharp
WITHIN = slice(MARGIN, MARGIN + SIDE)
FILTERS = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX, Image.Resampling.HAMMING
ENLARGING = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR, Image.Resampling.NEAREST
SUFFIXES = (".avif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")


class Level(nn.Module):
    """From what is seen of blocks, (N, blocks, 192), to log2(1 + level), (N,)."""

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


def patches_of(file: Path, *, flaw: str, each: int, seed: int) -> list[tuple[NDArray[np.uint8], float]]:
    """Return patches of a photograph and the noise or the blur of each, none of one that is too small."""
    draws = np.random.default_rng([seed, *file.name.encode()])
    pixels = to_levels(read_picture(file).pixels)
    if min(pixels.shape[:2]) < TIMES * (SIDE + 2 * MARGIN):
        return []
    photograph = Image.fromarray(pixels).convert("RGB")
    make = {"noise": noisy, "blur": blurred}[flaw]
    return [make(photograph, draws) for _ in range(each)]


def part_of(photograph: Image.Image, draws: np.random.Generator, least: float) -> Image.Image:
    """Return a part of a photograph, at least so many times as large as a patch with its margins."""
    side = SIDE + 2 * MARGIN
    cut = int(side * draws.uniform(least, min(5.0, min(photograph.size) / side)))
    left, top = (int(draws.integers(length - cut + 1)) for length in photograph.size)
    return photograph.crop((left, top, left + cut, top + cut))


def clean(photograph: Image.Image, draws: np.random.Generator) -> NDArray[np.float32]:
    """Return a patch without noise, (H, W, 3)."""
    side = SIDE + 2 * MARGIN
    if draws.random() < 0.06:
        image = drawing(side, draws)
    else:
        part = part_of(photograph, draws, 1.6)
        image = part.resize((side, side), FILTERS[draws.choice(4, p=(0.5, 0.2, 0.2, 0.1))])
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
            pen.text((corners[0], corners[1]), letters(draws), fill=colour(draws))
    return image


def letters(draws: np.random.Generator) -> str:
    """Return some letters, digits and signs."""
    return bytes(draws.integers(33, 127, 12).tolist()).decode()


def colour(draws: np.random.Generator) -> tuple[int, ...]:
    """Return any colour."""
    return tuple(draws.integers(256, size=3).tolist())


def noisy(photograph: Image.Image, draws: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """Return a patch (64, 64, 3) with noise or none, as a codec keeps it or not, and how much noise that is."""
    patch = clean(photograph, draws)
    result = with_noise(patch, draws, 4) if draws.random() < 0.6 else patch
    brightness = ((result - patch)[WITHIN, WITHIN] @ BT601).std() / np.linalg.norm(BT601)
    return kept(result.astype(np.uint8), draws)[WITHIN, WITHIN], float(brightness)


def with_noise(patch: NDArray[np.float32], draws: np.random.Generator, doublings: float) -> NDArray[np.float32]:
    """Return a patch with noise of up to so many doublings of a level, less that level."""
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
    return np.rint(patch + (2 ** draws.uniform(0, doublings) - 1) * noise).clip(0, 255).astype(np.float32)


def blurred(photograph: Image.Image, draws: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """Return a patch (64, 64, 3), blurred or not, as a codec keeps it or not, and the Gaussian nearest to that blur."""
    side = SIDE + 2 * MARGIN
    part = drawing(3 * side, draws) if draws.random() < 0.04 else part_of(photograph, draws, TIMES)
    if draws.random() < 0.15:
        part = part.convert("L").convert("RGB")
    sharp = np.asarray(part.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    kind, result = draws.random(), sharp
    if kind < 0.35:
        result = by_lines(gaussian(draws.uniform(0, 2.5)), sharp)
    elif kind < 0.45:
        result = out_of_focus(sharp, draws.uniform(0.5, 4))
    elif kind < 0.6:
        small = part.resize((int(side / draws.uniform(1.15, 3)),) * 2, FILTERS[draws.integers(2)])
        result = np.asarray(small.resize((side, side), ENLARGING[draws.integers(4)]), np.float32)
    elif kind < 0.7:
        result = np.asarray(part.resize((side, side), FILTERS[draws.integers(1, 4)]), np.float32)
    if draws.random() < 0.15:
        sharpened = Image.fromarray(np.rint(result).clip(0, 255).astype(np.uint8))
        mask = ImageFilter.UnsharpMask(draws.uniform(0.5, 1.5), int(draws.integers(30, 150)), 0)
        result = np.asarray(sharpened.filter(mask), np.float32)
    edges = edges_of(sharp)
    blur = nearest_gaussian(sharp, result) if edges.mean() > 1 else 0.0
    if blur and draws.random() < 0.25:  # the foreground alone is in focus
        direction = draws.uniform(0, 2 * np.pi)
        rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
        along = rows * np.sin(direction) + columns * np.cos(direction) + draws.uniform(-0.4, 0.3) * SIDE
        foreground = (1 / (1 + np.exp(-along / 2)))[..., None].astype(np.float32)
        if np.average(edges, weights=foreground[WITHIN, WITHIN]) > 1:
            result, blur = result + foreground * (sharp - result), 0.0
    result = with_noise(result, draws, 3.5) if draws.random() < 0.4 else np.rint(result).clip(0, 255)
    pixels = result.astype(np.uint8)
    if draws.random() < 0.15:
        pixels = covered(pixels, draws)
    return kept(pixels, draws, 10)[WITHIN, WITHIN], blur


def covered(pixels: NDArray[np.uint8], draws: np.random.Generator) -> NDArray[np.uint8]:
    """Return pixels (side, side, 3) with a border or a stamp of one colour, which say nothing of the rest's blur."""
    image = Image.fromarray(pixels)
    fill = tuple(draws.choice(((0, 0, 0), (255, 255, 255), colour(draws))).tolist())
    pen, ends = ImageDraw.Draw(image), np.array([0, 0, *image.size])
    if draws.random() < 0.6:
        for edge in draws.permutation(4)[: draws.integers(1, 5)]:
            corners, reach = ends.copy(), MARGIN + int(draws.integers(3, SIDE // 3))
            corners[(edge + 2) % 4] = reach if edge < 2 else len(pixels) - reach
            pen.rectangle(corners.tolist(), fill)
    else:
        left, top = draws.integers(MARGIN, SIDE - MARGIN, 2).tolist()
        if draws.random() < 0.5:
            pen.rectangle((left, top, left + draws.integers(4, 24), top + draws.integers(4, 24)), fill)
        pen.text((left, top), letters(draws), fill=colour(draws))
    return np.asarray(image)


def gaussian(deviation: NDArray[np.float64] | float) -> NDArray[np.float32]:
    """Return the matrix (..., side, side) that blurs along a side by so many pixels, which may be several (...)."""
    away = np.subtract.outer(*[np.arange(SIDE + 2 * MARGIN)] * 2) / np.maximum(deviation, 1e-3)
    weights = np.exp(-0.5 * away**2)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), np.float32)


def by_lines(matrix: NDArray[np.float32], pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pixels (side, side, 3) blurred along both sides."""
    return np.asarray(np.einsum("ij,jkc,lk->ilc", matrix, pixels, matrix, optimize=True))


def out_of_focus(pixels: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Return pixels (side, side, 3) blurred by a disc."""
    reach = int(radius + 1)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    weights = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = sum(
        weight * padded[top : top + len(pixels), left : left + len(pixels)]
        for (top, left), weight in np.ndenumerate(weights)
        if weight
    )
    return np.asarray(total / weights.sum(), np.float32)


GAUSSIANS = np.arange(31) / 10
MATRICES = gaussian(GAUSSIANS[:, None, None])
ONE_PIXEL = gaussian(1)


def edges_of(sharp: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how much a blur of one pixel changes pixels (side, side, 3), squared, (64, 64, 1).

    Where that is less than a level no blur can be seen, in a sky say.
    """
    change = np.square(sharp - by_lines(ONE_PIXEL, sharp)).mean(axis=-1, keepdims=True)
    return np.asarray(change[WITHIN, WITHIN])


def nearest_gaussian(sharp: NDArray[np.float32], pixels: NDArray[np.float32]) -> float:
    """Return the blur in pixels, of `GAUSSIANS`, that makes of what is sharp what is nearest to these."""
    tried = MATRICES @ (sharp @ BT601).astype(np.float32) @ MATRICES.swapaxes(1, 2)
    distances = np.square((tried - pixels @ BT601)[:, WITHIN, WITHIN]).mean(axis=(1, 2))
    return float(GAUSSIANS[distances.argmin()])


def kept(pixels: NDArray[np.uint8], draws: np.random.Generator, lowest: int = 50) -> NDArray[np.uint8]:
    """Return pixels as a file keeps them, of that quality at least where it is a JPEG."""
    codec, fine = draws.random(), draws.random() < 0.67
    if codec < 0.5:
        top, left = draws.integers(8, size=2).tolist() if draws.random() < 0.7 else (0, 0)
        quality = int(draws.integers(88, 101) if fine else draws.integers(lowest, 88))
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


def learn(patches: NDArray[np.uint8], levels: NDArray[np.float32], steps: int, held_out: int) -> Level:
    """Return the network after so many steps of 64 patches; on the first ones, held out, it is tried at the end."""
    network, draws = Level(), np.random.default_rng(0)
    target = torch.log2(1 + torch.from_numpy(levels))
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
    for least, most in pairwise((0, 0.001, 0.3, 0.6, 0.9, 1.2, 1.5, 3, 6, 16)):
        within = [2**value - 1 for value, true in zip(told.tolist(), levels, strict=False) if least <= true < most]
        if within:
            spread = " ".join(f"{value:5.2f}" for value in np.quantile(within, (0.05, 0.25, 0.5, 0.75, 0.95)))
            print(f"{least:g} to {most:g} is taken for (5, 25, 50, 75, 95 % of {len(within)}): {spread}")
    return network


def main() -> None:
    """Make patches, learn, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("flaw", choices=("noise", "blur"))
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, .npz")
    parser.add_argument("--each", type=int, default=100, help="patches of a photograph; 100 by default")
    parser.add_argument("--steps", type=int, default=5_000, help="of 64 patches; 5,000 by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = sorted(file for file in options.data.glob("*") if file.suffix.lower() in SUFFIXES)
    torch.manual_seed(options.seed)
    with ThreadPoolExecutor() as pool:
        work = pool.map(partial(patches_of, flaw=options.flaw, each=options.each, seed=options.seed), files)
        made: list[tuple[Any, float]] = list(chain.from_iterable(tqdm(work, "patches", len(files), unit=" pictures")))
    if not made:
        parser.error(f"no photograph in {options.data} has {TIMES * (SIDE + 2 * MARGIN):.0f} pixels a side")
    patches, levels = (np.array(part) for part in zip(*made, strict=True))
    network = learn(patches, levels.astype(np.float32), options.steps, min(3_000, len(made) // 2))
    layers: dict[str, Any] = {name: values.numpy().astype(np.float16) for name, values in network.state_dict().items()}
    np.savez_compressed(options.output, **layers)


if __name__ == "__main__":
    try:
        main()
    except (OSError, SrganError) as error:
        sys.exit(f"flaws: {error}")
