"""Where a run starts: the pictures, the perceptual weights and the initial network, found and loaded."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srgan.errors import WeightsError
from srgan.image.resize import imresize
from srgan.losses import ContentLoss
from srgan.metrics import LPIPS, load_lpips
from srgan.models.tensors import load_generator
from srgan.models.vgg import load_vgg19
from srgan.training import checkpoint
from srgan.training.recipe import Recipe
from srgan.weights import find_weights


def default_perceptual() -> Path:
    """Return the folder of the perceptual weights: `srgan/perceptual` under XDG_CACHE_HOME, or under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "srgan" / "perceptual"


def content_loss(recipe: Recipe, perceptual: Path) -> ContentLoss | None:
    """Return the recipe's content loss, not yet calibrated, or None where it has no weight.

    Reads vgg19_features.safetensors or torchvision's vgg19-dcbb9e9d.pth from `perceptual`. Raises
    WeightsError that says how to get them.
    """
    if not recipe.loss.content:
        return None
    files = [perceptual / name for name in ("vgg19_features.safetensors", "vgg19-dcbb9e9d.pth")]
    found = next((f for f in files if f.is_file()), None)
    if found is None:
        raise WeightsError(
            f"{perceptual}: no VGG19 weights; put torchvision's vgg19-dcbb9e9d.pth there, or name the folder"
            " that holds it with --perceptual"
        )
    layers = recipe.loss.layers()
    return ContentLoss(load_vgg19(found, layers, activated=recipe.loss.content_activated), layers)


def perceptual_metric(perceptual: Path) -> LPIPS | None:
    """Return LPIPS with the weights in `perceptual`, or None where there are none."""
    file = perceptual / "lpips_alex.safetensors"
    return load_lpips(file) if file.is_file() else None


def initial_tensors(recipe: Recipe) -> dict[str, Tensor]:
    """Return the tensors of the generator that `recipe.initial` names: a checkpoint, a file or a shipped model."""
    path = Path(recipe.initial)
    if path.suffix == ".pt":
        theirs, state = checkpoint.load(path)
        network, tensors = theirs.network, checkpoint.generator_state(state)
    else:
        file = find_weights(recipe.initial).safetensors
        if file is None:
            raise WeightsError(f"{recipe.initial}: training starts from .safetensors or a checkpoint, not from ONNX")
        generator, card = load_generator(file)
        network, tensors = str(card["network"]), generator.state_dict()
    if network != recipe.network:
        raise WeightsError(f"{recipe.initial}: a {network}, where the recipe trains a {recipe.network}")
    return tensors


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Return lr (N, 3, H, W) in [0, 1] upscaled by MATLAB's bicubic, on lr's device."""
    pictures = lr.permute(0, 2, 3, 1).cpu().numpy()
    larger = np.stack([imresize(picture, scale=float(scale)) for picture in pictures])
    return torch.from_numpy(larger).permute(0, 3, 1, 2).to(lr.device)
