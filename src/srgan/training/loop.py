"""The training loop."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean as mean
from types import MappingProxyType

import torch

from srgan.atomic import alone_in, remove_leftovers
from srgan.data.folders import Pair
from srgan.data.patches import PatchSampler
from srgan.data.store import Entry, Store
from srgan.errors import CheckpointError, OutputError, RecipeError, TrainingError
from srgan.image.resize import imresize
from srgan.losses import GAMES, ContentLoss
from srgan.memory import is_out_of_memory
from srgan.metrics import DISTS, LPIPS
from srgan.training import checkpoint
from srgan.training.graph import RecordedStep, Step
from srgan.training.ranks import Ranks
from srgan.training.recipe import Recipe
from srgan.training.start import bicubic, check_initial, load_initial
from srgan.training.steps import (
    Networks,
    autocast,
    build_networks,
    head_start,
    in_bf16,
    step,
    update_average,
)
from srgan.training.stopping import stop_signals
from srgan.training.terms import Alarm, Recent, first_bad
from srgan.training.validation import held_out_pairs, identity, upscaled, validate
from srgan.training.watch import Watch

ALONE = Ranks()

CALIBRATED = 128
"""Patches that a content loss is calibrated on: by 16 of them the factor of VGG54 was anything from 5e-4 to 2.5e-3."""

STAYS: Mapping[str, Callable[[Recipe], object]] = {
    "another network": lambda recipe: recipe.network,
    "another run.seed": lambda recipe: recipe.run.seed,
    "other data": lambda recipe: recipe.data.without_grain(),
    "another discriminator": lambda recipe: recipe.discriminator.without_rate(),
    "another optimiser.kind": lambda recipe: recipe.optimiser.kind,
    "other terms of the loss": lambda recipe: recipe.loss.unweighted(),
}
"""What a resumed run's recipe must not have, and what tells."""


@dataclass
class Progress:
    """How far a run is: `best` is the score of its best checkpoint, the higher the better.

    Steps number the batches, whatever their sizes, so that a run that goes on with others sees no patch again. `losses`
    are the discriminator's that the alarm has heard.
    """

    patches: int = 0
    steps: int = 0
    seconds: float = 0.0
    best: float = float("-inf")
    losses: Sequence[float] = ()


def train(
    recipe: Recipe,
    store: Store,
    out: Path,
    *,
    content: ContentLoss | None = None,
    distances: Mapping[str, LPIPS | DISTS] = MappingProxyType({}),
    scored: Mapping[str, LPIPS | DISTS] = MappingProxyType({}),
    validation: Sequence[Pair] = (),
    resume: bool = False,
    ranks: Ranks = ALONE,
) -> Path:
    """Train as the recipe says and return the last checkpoint, OUT/checkpoints/PATCHES.pt.

    SIGTERM, SIGHUP and Ctrl-C save a checkpoint and end the run early; `resume` goes on from the newest one. On a
    CPU a run that was stopped and resumed equals the unbroken run bit for bit. Rates and weights are those of the
    recipe that it goes on by; networks, data, the optimiser's kind, and which terms the loss has, stay. `content`
    and, by the names of their terms, `distances` must be there just where the recipe gives them a weight; `scored` are
    the networks that validate, by the names of their scores, of which one may choose the best checkpoint. They do so on
    `validation`, or where that is empty on photographs that are held out. Raises CheckpointError where `out` holds a
    run that is not to be resumed, one of another recipe, or one that another process is at, OutputError where it cannot
    be written to, DataError where the store has too few pictures that are large enough, WeightsError or
    CheckpointError for what the recipe begins with, RecipeError for a batch that the processes cannot share evenly, or
    whose parts are too small, and where the score that chooses is not measured, and TrainingError where a term is no
    longer finite.
    """
    if recipe.run.best == "lpips" and "lpips" not in scored:
        raise RecipeError("run.best: lpips is not among the scores of this run")
    _make(out)
    with ExitStack() as stack:
        if ranks.rank == 0 and not stack.enter_context(alone_in(out)):
            raise CheckpointError(f"{out}: another process trains in this folder")
        device, folder, end = ranks.device, out / "checkpoints", recipe.optimiser.patches
        batch_size = recipe.optimiser.batch_size
        if batch_size % ranks.world:
            raise RecipeError(f"optimiser.batch_size: {ranks.world} processes cannot share {batch_size} patches evenly")
        if not recipe.run.share_batch_norm:  # complains where a process's part is too small to be normalised
            replace(recipe, optimiser=replace(recipe.optimiser, batch_size=batch_size // ranks.world))
        side = recipe.data.patch_size
        held_out = 0 if validation else recipe.data.held_out
        inside, outside = store.split(held_out, recipe.data.sizes, min_side=side)
        small = sum(entry.size == 1 and min(entry.height, entry.width) < side for entry in store.entries)
        if small and ranks.rank == 0:
            print(f"left out: {small} of the pictures, with a side under {side} pixels", file=sys.stderr)
        torch.backends.cudnn.benchmark = device.type == "cuda"  # patches have one size
        torch.backends.cudnn.allow_tf32 = False  # what is not bf16 is fp32: scores, and a run in that precision
        networks = build_networks(recipe, content, ranks, distances=distances)
        scored = {name: network.to(device) for name, network in scored.items()}
        scale = networks.average.scale
        sampler = patch_sampler(recipe, store, inside, scale=scale, device=device)
        crop = recipe.data.held_out_crop
        pairs = validation or held_out_pairs(
            store, outside, crop=crop, scale=scale, degradation=recipe.data.degradation()
        )
        megapixels = sum(e.height * e.width for e in inside) / 1e6
        origin = {
            "pictures": len({e.name for e in inside}),
            "megapixels": round(megapixels, 1),
            "device": device_name(ranks),
            "precision": "bf16" if in_bf16(recipe, device) else "fp32",
        }
        if inside[0].lr_offset is not None:
            origin["lr"] = "pictures of their own"
        if validation:
            origin["validated on"] = "a test folder, no picture held out"

        photographs = store.identity(side) + identity(validation)
        progress, known = _begin(recipe, networks, folder, photographs, resume=resume)
        if networks.content is not None:
            if recipe.loss.content_factor:
                networks.content.factor = recipe.loss.content_factor
            elif not resume:
                _calibrate(networks.content, recipe, sampler)
        if recipe.run.compile:
            networks.compile()
        update = updating(recipe, networks, ranks)
        lead = partial(head_start, networks, recipe)

        def state() -> checkpoint.State:
            return networks.state() | asdict(progress) | {"origin": origin, "photographs": photographs}

        watch = stack.enter_context(Watch(out, patches=progress.patches, total=end)) if ranks.rank == 0 else None
        stop = stack.enter_context(stop_signals())
        recent, coin = Recent(), GAMES[recipe.loss.adversarial_kind].coin
        alarm = Alarm(recipe.run.alarm_after // batch_size, coin, progress.losses)
        logged, waited = time.perf_counter(), 0.0
        began = logged - progress.seconds
        if watch and not known:
            scores, _ = validate(lambda lr: imresize(lr, scale=float(scale)), pairs, scored)
            watch.values("bicubic", progress.patches, scores)
            largest = max((pair.lr for pair in pairs), key=lambda lr: lr.size)
            upscaled(networks.average, largest)  # where it has no room that is said now
        last = progress.patches >= end
        while not last:
            # the batch
            start = time.perf_counter()
            lr, hr = sampler.batch(progress.steps, batch_size, rank=ranks.rank, world=ranks.world)
            waited += time.perf_counter() - start

            # one update of each network, or of the discriminator alone
            learning_rate = recipe.optimiser.learning_rate_at(progress.patches)
            networks.set_learning_rate(learning_rate)
            recent.add((lead if progress.patches < recipe.optimiser.head_start else update)(lr, hr))
            progress.patches += batch_size
            progress.steps += 1
            decay = 0.5 ** (batch_size / recipe.run.average_over)
            update_average(networks, min(decay, progress.patches / (progress.patches + 9 * batch_size)))

            # what is due after it: all of it at the end
            stopped = ranks.any(bool(stop))
            last = stopped or progress.patches >= end
            save, score, log = (
                last or progress.patches % every < batch_size
                for every in (recipe.run.checkpoint_every, recipe.run.validate_every, recipe.run.log_every)
            )
            if watch:
                watch.stepped(batch_size)
            if log or score or save:
                values = recent.take(ranks)
                _check(values, networks, progress.patches, batch_size, folder)
                now = time.perf_counter()
                progress.seconds = now - began
                alarming, progress.losses = alarm.heard(values.get("discriminator", [])), alarm.losses
                if watch and stopped:  # at once, as whoever stops it may not wait for the validation
                    checkpoint.save(folder, recipe, state(), keep=recipe.run.keep)
                speed = {"learning_rate": learning_rate, "seconds": now - began, "waiting": waited / (now - logged)}
                logged, waited = now, 0.0
                if watch:
                    watch.values("train", progress.patches, {name: mean(row) for name, row in values.items()} | speed)
                    watch.alarm(progress.patches, alarming)
            if watch and (score or save):
                scores, pictures = validate(partial(upscaled, networks.average), pairs, scored)
                watch.values("validation", progress.patches, scores)
                watch.strips(progress.patches, pairs, pictures, crop)
                if save:
                    quality = -scores["lpips"] if recipe.run.best == "lpips" else scores[recipe.run.best]
                    best, progress.best = quality > progress.best, max(quality, progress.best)
                    checkpoint.save(folder, recipe, state(), keep=recipe.run.keep, best=best)
    ranks.wait()
    return checkpoint.found(folder)[-1]


def _make(out: Path) -> None:
    try:
        str(out).encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"{out}: a run's folder has a name in Unicode, which TensorBoard's files need") from error
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: no folder of a run can be made there: {error.strerror}") from error


def updating(recipe: Recipe, networks: Networks, ranks: Ranks) -> Step:
    """Return what updates the networks on a batch: on a GPU that is alone its kernels are recorded, and replayed."""
    update = partial(step, networks, recipe)
    if ranks.device.type == "cuda" and ranks.world == 1 and recipe.run.graph:
        return RecordedStep(update, networks.make_recordable)
    return update


def patch_sampler(
    recipe: Recipe, store: Store, entries: Sequence[Entry], *, scale: int, device: torch.device
) -> PatchSampler:
    """Return what cuts the recipe's patches of these pictures of the store."""
    return PatchSampler(
        store,
        entries,
        patch_size=recipe.data.patch_size,
        scale=scale,
        seed=recipe.run.seed,
        candidates=recipe.data.candidates,
        grain=recipe.data.grain,
        degradation=recipe.data.degradation(),
        device=device,
    )


def check_begin(recipe: Recipe, out: Path, *, resume: bool) -> None:
    """Look, before photographs are decoded, whether a run can begin, and make its folder. Raises as `train` does."""
    _make(out)
    if _earlier(recipe, out / "checkpoints", resume=resume) is None:
        check_initial(recipe)


def _earlier(recipe: Recipe, folder: Path, *, resume: bool) -> tuple[Path, Recipe, checkpoint.State] | None:
    """Return the newest checkpoint of the run that is to be resumed, with its recipe and state; None of a new one."""
    earlier = checkpoint.found(folder)
    if not resume:
        if earlier:
            raise CheckpointError(f"{folder}: holds a run already; --resume goes on with it")
        if (folder / checkpoint.BEST).exists():
            raise CheckpointError(f"{folder}: holds the {checkpoint.BEST} of a run; move it away to begin anew")
        return None
    if not earlier:
        raise CheckpointError(f"{folder}: no checkpoint to resume from")
    theirs, state = checkpoint.of_a_run(earlier[-1])
    for what, of in STAYS.items():
        if of(theirs) != of(recipe):
            said = _difference(of(theirs), of(recipe))
            raise CheckpointError(f"{earlier[-1]}: of a run whose recipe, {theirs.name}, has {what}{said}")
    return earlier[-1], theirs, state


def _begin(
    recipe: Recipe, networks: Networks, folder: Path, photographs: str, *, resume: bool
) -> tuple[Progress, bool]:
    """Load what the run starts from and return what lies behind it, and whether that was on the same photographs.

    The best score counts no more where a run goes on by another measure, or other photographs, as others are held out;
    nor where the best checkpoint is gone.
    """
    for place in (folder.parent, folder, folder.parent / "strips"):
        remove_leftovers(place)
    progress, same = Progress(), False
    earlier = _earlier(recipe, folder, resume=resume)
    if earlier is not None:
        path, theirs, state = earlier
        try:
            networks.load_state(state)
        except KeyError as error:
            raise CheckpointError(f"{path}: not of such a run: it has no {error.args[0]}") from error
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # PyTorch's, of other tensors
            if is_out_of_memory(error):
                raise
            raise CheckpointError(f"{path}: not the state of such a run") from error
        same = state.get("photographs", photographs) == photographs
        if not same:
            print(
                f"{path}: of a run on other photographs, other lr of them, or validated on others:"
                " its best score counts no more",
                file=sys.stderr,
            )
        alike = theirs.run.best == recipe.run.best and "best" in state and same and (folder / checkpoint.BEST).exists()
        steps = state.get("steps", state["patches"] // theirs.optimiser.batch_size)  # which were not always counted
        best, losses = state["best"] if alike else Progress.best, state.get("losses", ())  # nor these
        progress = Progress(state["patches"], steps, state["seconds"], best, losses)
    elif recipe.initial:
        load_initial(recipe, networks)
    return progress, same


def _calibrate(content: ContentLoss, recipe: Recipe, sampler: PatchSampler) -> None:
    """Measure the content loss's factor on the run's first patches, whatever its batch size."""
    lr, hr = sampler.batch(0, CALIBRATED)
    with autocast(recipe, sampler.device):
        content.calibrate(zip(torch.split(bicubic(lr, sampler.scale), 16), torch.split(hr, 16), strict=True))


def _difference(theirs: object, ours: object) -> str:
    """Return the first field in which two parts of recipes differ: ": patch_size 48, not 96"."""
    if not is_dataclass(theirs) or not is_dataclass(ours):
        return f": {theirs}, not {ours}"
    pairs = ((field.name, getattr(theirs, field.name), getattr(ours, field.name)) for field in fields(theirs))
    return next((f": {name} {one}, not {other}" for name, one, other in pairs if one != other), "")


def device_name(ranks: Ranks) -> str:
    """Return what computes, for a card to say."""
    if ranks.device.type == "cuda":
        name = torch.cuda.get_device_name(ranks.device)
        return name if ranks.world == 1 else f"{ranks.world} x {name}"
    cores = ranks.world * torch.get_num_threads()
    return f"{cores} CPU core{'s' if cores > 1 else ''}"


def _check(values: dict[str, list[float]], networks: Networks, patches: int, batch_size: int, folder: Path) -> None:
    """Raise TrainingError where a term or a weight is not finite, saying since when."""
    bad = first_bad(values)
    if bad is None and networks.finite():
        return
    saved = checkpoint.found(folder)
    good = f"the last good checkpoint is {saved[-1]}" if saved else "no checkpoint was saved yet"
    if bad is None:
        raise TrainingError(f"the weights are no longer finite after {patches} patches; {good}")
    step, name, value = bad
    steps_since = len(values[name]) - 1 - step
    raise TrainingError(f"the {name} term is {value} after {patches - steps_since * batch_size} patches; {good}")
