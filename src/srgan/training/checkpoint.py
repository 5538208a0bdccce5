"""Checkpoints: all that a run needs to go on as if it had never stopped, written whole or not at all."""

import re
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from srgan.atomic import written_whole
from srgan.errors import CheckpointError, OutputError
from srgan.memory import is_out_of_memory
from srgan.models.generator import GENERATORS, Generator
from srgan.training.recipe import Recipe, recipe_from

VERSION = 1
State = dict[str, Any]
"""Nested dictionaries of tensors, numbers and texts, as state_dict() gives them."""

BEST = "best.pt"

_OF_A_RUN: dict[str, Any] = {"average": dict, "patches": int, "seconds": float, "origin": dict}


def save(folder: Path, recipe: Recipe, state: State, *, keep: int, best: bool = False) -> Path:
    """Write `state`, which counts "patches", to FOLDER/PATCHES.pt, and remove all but the `keep` newest.

    With `best` it is written to FOLDER/best.pt as well; first, so that a run that is killed in between and
    resumed from the one before finds nothing missing.
    """
    path = folder / f"{state['patches']:012d}.pt"
    for target in (folder / BEST, path) if best else (path,):
        with written_whole(target) as file:
            try:
                torch.save({"version": VERSION, "recipe": asdict(recipe), **state}, file)
            except RuntimeError as error:  # torch's, of a disk that takes no more
                raise OutputError(f"{target}: cannot be written: is there room?") from error
    for old in found(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def found(folder: Path) -> list[Path]:
    """Return the checkpoints of a run's folder, the newest last."""
    return sorted(p for p in folder.glob("*.pt") if re.fullmatch(r"\d{12}\.pt", p.name))


def load(path: Path) -> tuple[Recipe, State]:
    """Return the recipe and the state of a checkpoint, on the CPU, without running any code in it.

    Raises CheckpointError for a file that is damaged or not one of ours, naming the one before it.
    """
    try:
        _require_whole(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        version, recipe = state.pop("version"), dict(state.pop("recipe"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch.load raises whatever a damaged file makes happen
        if is_out_of_memory(error):
            raise
        every = found(path.parent)
        before = [p for p in every if p.name < path.name] if path in every else []
        offer = f"; delete it, and --resume goes on from the one before, {before[-1]}" if before else ""
        raise CheckpointError(f"{path}: a damaged checkpoint, or none of srgan's{offer}") from error
    if version != VERSION:
        raise CheckpointError(f"{path}: a checkpoint of version {version}, not {VERSION}")
    return recipe_from(recipe, where=str(path)), state


def _require_whole(path: Path) -> None:
    """Raise BadZipFile for a file whose checksums are others: torch does not look at them."""
    with zipfile.ZipFile(path) as whole:
        if (damaged := whole.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def of_a_run(path: Path) -> tuple[Recipe, State]:
    """Return what `load` does. Raises CheckpointError as well where the state is not that of a run."""
    recipe, state = load(path)
    if lacking := [key for key, kind in _OF_A_RUN.items() if not isinstance(state.get(key), kind)]:
        raise CheckpointError(f"{path}: not of a run: it has no {lacking[0]}")
    return recipe, state


def trained(path: Path) -> tuple[Generator, Recipe, State]:
    """Return the averaged generator of a checkpoint, which is what a run makes, in eval mode; and `of_a_run`'s two.

    Raises CheckpointError as that does.
    """
    recipe, state = of_a_run(path)
    generator = GENERATORS[recipe.network]()
    try:
        generator.load_state_dict(state["average"])
    except (RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{path}: not the tensors of a {recipe.network}") from error
    return generator.eval(), recipe, state
