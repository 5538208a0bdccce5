"""A training run from files to checkpoint: what the command line calls."""

from collections.abc import Sequence
from pathlib import Path

from srgan.data.store import default_cache, prepare_store
from srgan.training.loop import train
from srgan.training.recipe import read_recipe
from srgan.training.start import content_loss, default_perceptual, perceptual_metric


def run(
    recipe_file: Path,
    sources: Sequence[str],
    out: Path,
    *,
    settings: Sequence[str] = (),
    resume: bool = False,
    perceptual: Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Train the recipe on the pictures in `sources` and return the last checkpoint.

    `perceptual` is the folder with the weights of VGG19 and LPIPS, `cache` the one for decoded pictures.
    """
    recipe = read_recipe(recipe_file, settings)
    perceptual = perceptual or default_perceptual()
    content = content_loss(recipe, perceptual)
    lpips = perceptual_metric(perceptual)
    side = max(recipe.data.patch_size, 32)
    store = prepare_store(sources, cache or default_cache(), min_side=side, gray=recipe.data.gray)
    return train(recipe, store, out, content=content, lpips=lpips, resume=resume)
