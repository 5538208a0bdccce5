"""A training run from files to checkpoint: what the command line calls."""

import sys
from collections.abc import Sequence
from pathlib import Path

from srgan.data.store import default_cache, prepare_store
from srgan.errors import DataError, TrainingError, WeightsError
from srgan.perceptual import default_folder, find_dists, find_lpips
from srgan.training.loop import check_begin, train
from srgan.training.ranks import joined
from srgan.training.recipe import read_recipe
from srgan.training.start import content_loss, loss_distances
from srgan.training.validation import whole_pairs

LEAST_SIDE = 32
"""Of pictures that are decoded, so that recipes of all patch sizes share a store; each leaves out what is too small."""


def run(
    recipe_file: Path,
    sources: Sequence[str],
    out: Path,
    *,
    originals: Sequence[str] = (),
    lr: Path | None = None,
    validation: Path | None = None,
    settings: Sequence[str] = (),
    resume: bool = False,
    perceptual: Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Train the recipe on the pictures in `sources`, and `originals` in their own size, and return the last checkpoint.

    `lr` is a folder with the low-resolution pictures of those in `sources`, which else are bicubic's, `validation` a
    test folder to validate on in place of pictures held out, `perceptual` the folder with the weights of VGG19 and
    LPIPS, `cache` the one for decoded pictures. Under torchrun this is one of several processes, which share every
    batch and the folders; the first one of a machine decodes for the others. Raises TrainingError where a signal ended
    it early.
    """
    recipe = read_recipe(recipe_file, settings)
    for told in filter(None, (recipe.optimiser.beyond(), recipe.optimiser.idle())):
        print(f"srgan: {told}", file=sys.stderr)
    check_begin(recipe, out, resume=resume)
    if lr is not None and recipe.data.grain:
        raise DataError(f"{lr}: data.grain needs lr that is made of the grainy hr: set it to 0")
    perceptual = perceptual or default_folder()
    content = content_loss(recipe, perceptual)
    found = {"lpips": find_lpips(perceptual), "dists": find_dists(perceptual)}
    scored = {name: network for name, network in found.items() if network is not None}
    if recipe.run.best == "lpips" and "lpips" not in scored:
        raise WeightsError(f"{perceptual}: run.best needs LPIPS's weights; srgan fetch lpips gets them")
    distances = loss_distances(recipe, perceptual)
    pairs = () if validation is None else whole_pairs(validation)
    with joined() as ranks:
        if ranks.local > 0:
            ranks.wait()
        store = prepare_store(
            sources,
            cache or default_cache(),
            min_side=LEAST_SIDE,
            gray=recipe.data.gray,
            sizes=recipe.data.sizes,
            originals=originals,
            lr=lr,
        )
        if ranks.local == 0:
            ranks.wait()
        last = train(
            recipe,
            store,
            out,
            content=content,
            distances=distances,
            scored=scored,
            validation=pairs,
            resume=resume,
            ranks=ranks,
        )
    if int(last.stem) < recipe.optimiser.patches:
        raise TrainingError(f"stopped; --resume goes on from {last}")
    return last
