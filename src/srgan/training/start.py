"""Where a run starts: what its loss looks through and the initial network, found and loaded."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srgan.errors import WeightsError
from srgan.image.resize import imresize
from srgan.losses import ContentLoss
from srgan.metrics import DISTS, LPIPS
from srgan.models.generator import GENERATORS, balanced, folded
from srgan.models.tensors import load_generator
from srgan.perceptual import find_dists, find_lpips, find_vgg19
from srgan.training import checkpoint
from srgan.training.recipe import Recipe
from srgan.training.steps import Networks
from srgan.weights import find_weights


def content_loss(recipe: Recipe, perceptual: Path) -> ContentLoss | None:
    """Return the recipe's content loss, not yet calibrated, or None where it has no weight.

    Raises WeightsError where VGG19's weights are not in the folder `perceptual`.
    """
    if not recipe.loss.content:
        return None
    layers = recipe.loss.layers()
    vgg = find_vgg19(perceptual, layers, activated=recipe.loss.content_activated)
    return ContentLoss(vgg, layers, distance=recipe.loss.content_distance)


def loss_distances(recipe: Recipe, perceptual: Path) -> dict[str, LPIPS | DISTS]:
    """Return the learned distances that the recipe gives a weight, by the names of the loss's terms.

    Raises WeightsError where VGG16's weights, which all of them take, are not in the folder `perceptual`.
    """
    found: dict[str, LPIPS | DISTS | None] = {}
    if recipe.loss.lpips:
        found["lpips"] = find_lpips(perceptual, "vgg")
    if recipe.loss.dists:
        found["dists"] = find_dists(perceptual)
    if lacking := [name for name, network in found.items() if network is None]:
        raise WeightsError(f"{perceptual}: loss.{lacking[0]} needs LPIPS's VGG16; srgan fetch lpips-vgg gets it")
    return {name: network for name, network in found.items() if network is not None}


def check_initial(recipe: Recipe) -> None:
    """Look, before the work, whether what a recipe starts from is there and fits. Raises as `load_initial` does."""
    for name in filter(None, (recipe.initial, *recipe.shift)):
        _initial(name, recipe)


def load_initial(recipe: Recipe, networks: Networks) -> None:
    """Give the generator the weights that `recipe.initial` names: a shipped model, a file, or a checkpoint's average.

    What `recipe.shift` names is added. A generator with batch norm may become one without, which gives the same
    values; one without is balanced. A checkpoint of a run with the same discriminator gives that as well, at whatever
    rate it learned; the paper's, whose dense layers fix it, only for the same patch size, heads for the same maps.
    Raises WeightsError or CheckpointError.
    """
    tensors, run = _initial(recipe.initial, recipe)
    if recipe.shift:
        (towards, _), (away, _) = (_initial(name, recipe) for name in recipe.shift)
        for key, tensor in tensors.items():
            if tensor.is_floating_point():
                tensor += towards[key] - away[key]
    networks.generator.network.load_state_dict(tensors)
    networks.average.load_state_dict(tensors)
    if run is not None:
        theirs, state = run
        judge = networks.discriminator and networks.discriminator.network
        same = theirs.discriminator.without_rate() == recipe.discriminator.without_rate()
        if recipe.discriminator.kind == "features":  # whose heads know maps before their ReLU, or behind it
            same = same and theirs.loss.content_activated == recipe.loss.content_activated
        if judge and same and _shapes(state.get("discriminator", {})) == _shapes(judge.state_dict()):
            judge.load_state_dict(state["discriminator"])


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _initial(name: str, recipe: Recipe) -> tuple[dict[str, Tensor], tuple[Recipe, checkpoint.State] | None]:
    """Return the weights of a shipped model, a file or a checkpoint, as the recipe's network has them.

    And, of a checkpoint, the recipe and the state of its run.
    """
    run = None
    if Path(name).suffix == ".pt":
        generator, theirs, state = checkpoint.trained(Path(name))
        network, run = theirs.network, (theirs, state)
    else:
        file = find_weights(name).safetensors
        if file is None:
            raise WeightsError(f"{name}: training starts from .safetensors or a checkpoint, not from ONNX")
        generator, card = load_generator(file)
        network = str(card["network"])
    if network != recipe.network:
        wanted = GENERATORS[recipe.network]()
        if not wanted.plain or generator.shape != wanted.shape:
            raise WeightsError(f"{name}: a {network}, where the recipe trains a {recipe.network}")
        generator = folded(generator)
    if recipe.shift and not generator.plain:
        raise WeightsError(f"{name}: shift needs a network without batch norm, which takes the weights of one with it")
    return (balanced(generator) if generator.plain else generator).state_dict(), run


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Return lr (N, 3, H, W) in [0, 1] upscaled by MATLAB's bicubic, on lr's device."""
    pictures = lr.permute(0, 2, 3, 1).cpu().numpy()
    larger = np.stack([imresize(picture, scale=float(scale)) for picture in pictures])
    return torch.from_numpy(larger).permute(0, 3, 1, 2).to(lr.device)
