"""The training loop."""

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from srgan.data.patches import PatchSampler
from srgan.data.store import Store
from srgan.errors import CheckpointError, TrainingError
from srgan.losses import ContentLoss
from srgan.metrics import LPIPS
from srgan.training import checkpoint
from srgan.training.recipe import Recipe
from srgan.training.start import bicubic, initial_tensors
from srgan.training.steps import (
    Networks,
    Terms,
    autocast,
    build_networks,
    discriminator_step,
    generator_step,
    update_average,
)
from srgan.training.validation import held_out_pairs, validate
from srgan.training.watch import Watch


def train(
    recipe: Recipe,
    store: Store,
    out: Path,
    *,
    content: ContentLoss | None = None,
    lpips: LPIPS | None = None,
    resume: bool = False,
    device: torch.device | None = None,
) -> Path:
    """Train as the recipe says and return the last checkpoint, OUT/checkpoints/PATCHES.pt.

    SIGTERM and Ctrl-C save a checkpoint and end the run early; `resume` goes on from the newest one. On a
    CPU a run that was stopped and resumed equals the unbroken run bit for bit. `content` must be there just
    where the recipe gives it a weight. Raises CheckpointError where `out` holds a run that is not to be
    resumed, or one of another recipe, and TrainingError where a term is no longer finite.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = out / "checkpoints"
    inside, outside = store.split(recipe.data.held_out)
    networks = build_networks(recipe, content, device)
    scale, batch_size = networks.generator.scale, recipe.optimiser.batch_size
    sampler = PatchSampler(
        store, inside, patch_size=recipe.data.patch_size, scale=scale, seed=recipe.run.seed, device=device
    )
    pairs = held_out_pairs(store, outside, crop=recipe.data.held_out_crop, scale=scale)

    origin = {
        "pictures": len(inside),
        "megapixels": round(sum(e.height * e.width for e in inside) / 1e6, 1),
        "device": device_name(device),
    }
    patches, seconds = _begin(recipe, networks, sampler, folder, resume=resume)
    with Watch(out, patches=patches, total=recipe.optimiser.patches) as watch, stop_signals() as stop:
        began, waited, logged = time.perf_counter() - seconds, 0.0, time.perf_counter()
        while patches < recipe.optimiser.patches and not stop:
            # the batch
            start = time.perf_counter()
            lr, hr = sampler.batch(patches // batch_size, batch_size)
            waited += time.perf_counter() - start

            # one update of each network
            learning_rate = recipe.optimiser.learning_rate_at(patches)
            for optimiser in (networks.generator_optimiser, networks.discriminator_optimiser):
                for group in optimiser.param_groups if optimiser else ():
                    group["lr"] = learning_rate
            networks.generator.train()
            with autocast(recipe, device):
                sr = networks.generator(lr.contiguous(memory_format=torch.channels_last))
            terms: Terms = {}
            if networks.discriminator is not None:
                terms |= discriminator_step(networks, recipe, sr, hr)
            terms |= generator_step(networks, recipe, sr, hr)
            decay = 0.5 ** (batch_size / recipe.run.average_over)
            update_average(networks, min(decay, (patches + batch_size) / (patches + 10 * batch_size)))
            patches += batch_size
            watch.stepped(batch_size)

            # what is due after it
            last = patches >= recipe.optimiser.patches or bool(stop)
            due = {
                name: last or patches // every > (patches - batch_size) // every
                for name, every in [
                    ("log", recipe.run.log_every),
                    ("validate", recipe.run.validate_every),
                    ("checkpoint", recipe.run.checkpoint_every),
                ]
            }
            if due["log"] or due["checkpoint"]:
                values = {name: float(value) for name, value in terms.items()}
                _check(values, patches, folder)
                now = time.perf_counter()
                watch.values(
                    "train",
                    patches,
                    values
                    | {"learning_rate": learning_rate, "seconds": now - began, "waiting": waited / (now - logged)},
                )
                waited, logged = 0.0, now
            if due["validate"]:
                scores, pictures = validate(networks.average, pairs, lpips)
                watch.values("validation", patches, scores)
                watch.strips(patches, pairs, pictures)
            if due["checkpoint"]:
                progress = {"patches": patches, "seconds": time.perf_counter() - began, "origin": origin}
                checkpoint.save(folder, recipe, networks.state() | progress, keep=recipe.run.keep)
    return checkpoint.found(folder)[-1]


def _begin(
    recipe: Recipe, networks: Networks, sampler: PatchSampler, folder: Path, *, resume: bool
) -> tuple[int, float]:
    """Load what the run starts from and return the patches and seconds that lie behind it."""
    earlier = checkpoint.found(folder)
    if earlier and not resume:
        raise CheckpointError(f"{folder}: holds a run already; --resume goes on with it")
    if resume:
        if not earlier:
            raise CheckpointError(f"{folder}: no checkpoint to resume from")
        theirs, state = checkpoint.load(earlier[-1])
        for part in ("network", "data", "loss"):
            if getattr(theirs, part) != getattr(recipe, part):
                raise CheckpointError(f"{earlier[-1]}: of a run whose recipe, {theirs.name}, has another {part}")
        networks.load_state(state)
        return int(state["patches"]), float(state["seconds"])
    if recipe.initial:
        tensors = initial_tensors(recipe)
        networks.generator.load_state_dict(tensors)
        networks.average.load_state_dict(tensors)
    if networks.content is not None:
        networks.content.factor = recipe.loss.content_factor
        if not recipe.loss.content_factor:
            lr, hr = sampler.batch(0, 16)
            networks.content.calibrate(bicubic(lr, networks.generator.scale), hr)
    return 0, 0.0


def device_name(device: torch.device) -> str:
    """Return what computes, for a card to say."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU cores"


def _check(values: dict[str, float], patches: int, folder: Path) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            saved = checkpoint.found(folder)
            last = f"the last good checkpoint is {saved[-1]}" if saved else "no checkpoint was saved yet"
            raise TrainingError(f"the {name} term is {value} after {patches} patches; {last}")


@contextmanager
def stop_signals() -> Iterator[Sequence[int]]:
    """Collect SIGTERM and SIGINT in the list returned instead of dying of them; a second one does kill."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, earlier[signal.Signals(number)])

    earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in earlier:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
