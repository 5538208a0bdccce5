"""Tensors in files, read without ever running what is in them."""

import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from srgan.atomic import written_whole
from srgan.errors import WeightsError
from srgan.models.generator import GENERATORS, Generator
from srgan.weights import METADATA_KEY, Card, read_card


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file, or of a .pt or .pth state dict read with weights_only.

    Raises WeightsError where the file is missing, damaged or of another kind, or holds more than tensors.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        raise WeightsError(f"{path}: an ONNX file is run, not read into PyTorch: its .safetensors is")
    try:
        if path.suffix.lower() == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except UnpicklingError as error:  # whose text tells how to run what the file holds
        raise WeightsError(f"{path}: not readable weights: damaged, or more than a state dict's tensors") from error
    except Exception as error:  # torch.load raises whatever a damaged file makes happen
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: not readable weights: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: holds more than a state dict's tensors")
    return state


def load_generator(path: str | Path) -> tuple[Generator, Card]:
    """Return the generator of a .safetensors file that `save_generator` wrote, in eval mode, and its card.

    Raises WeightsError where the file is missing, damaged or not a generator of ours.
    """
    path = Path(path)
    card = read_card(path)
    if card["network"] not in GENERATORS:
        raise WeightsError(f"{path}: of an unknown network, {card['network']!r}")
    generator = GENERATORS[card["network"]]()
    tensors = load_tensors(path)
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not the tensors of a {card['network']}") from error
    return generator.eval(), card


def new_card(name: str, network: str, generator: Generator, training: dict[str, Any]) -> Card:
    """Return the card of a generator: what it is by itself, and how it was trained.

    name      what it is to be called
    network   its function's name in GENERATORS
    training  what there is to say of that, "patches" at least
    """
    return {
        "name": name,
        "network": network,
        "scale": generator.scale,
        "halo": generator.halo,
        "parameters": sum(p.numel() for p in generator.parameters()),
        "licence": "Apache-2.0",
        "summary": "",
        "training": training,
        "scores": {},
    }


def save_generator(generator: Generator, path: str | Path, card: Card, *, half: bool = True) -> None:
    """Write a generator's tensors and its card as .safetensors, as float16 unless `half` is false."""
    tensors = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in generator.state_dict().items()
    }
    with written_whole(Path(path)) as file:
        file.write(save(tensors, {METADATA_KEY: json.dumps(card)}))
