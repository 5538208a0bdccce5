"""The networks of a run and one step of each (Ledig et al. 2017, section 2): first the discriminator, then the
generator, on the same batch (k = 1)."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from srgan import losses
from srgan.losses import ContentLoss
from srgan.models.discriminator import Discriminator, srgan_discriminator
from srgan.models.generator import GENERATORS, Generator
from srgan.training.checkpoint import State
from srgan.training.recipe import Optimiser, Recipe

N = TypeVar("N", bound=nn.Module)
Terms = dict[str, Tensor]
"""The values of a step by name, each a scalar still on the device."""


@dataclass
class Networks:
    """What a run trains, with what it needs for that; `discriminator` and `content` only where the recipe asks.

    `average` is the generator's exponential moving average, running statistics included.
    """

    generator: Generator
    generator_optimiser: Adam
    average: Generator
    discriminator: Discriminator | None
    discriminator_optimiser: Adam | None
    content: ContentLoss | None

    def state(self) -> State:
        """Return all that changes during a run."""
        state: State = {
            "generator": self.generator.state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
            "average": self.average.state_dict(),
        }
        if self.discriminator is not None and self.discriminator_optimiser is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["discriminator_optimiser"] = self.discriminator_optimiser.state_dict()
        if self.content is not None:
            state["content_factor"] = self.content.factor
        return state

    def load_state(self, state: State) -> None:
        """Take over what `state` returned."""
        self.generator.load_state_dict(state["generator"])
        self.generator_optimiser.load_state_dict(state["generator_optimiser"])
        self.average.load_state_dict(state["average"])
        if self.discriminator is not None and self.discriminator_optimiser is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
        if self.content is not None:
            self.content.factor = state["content_factor"]


def build_networks(recipe: Recipe, content: ContentLoss | None, device: torch.device) -> Networks:
    """Return fresh networks on the device, their weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.run.seed)
    generator = _placed(GENERATORS[recipe.network](), device)
    discriminator = None
    if recipe.loss.adversarial:
        discriminator = _placed(srgan_discriminator(recipe.data.patch_size), device)
    return Networks(
        generator=generator,
        generator_optimiser=_adam(generator, recipe.optimiser),
        average=copy.deepcopy(generator).eval().requires_grad_(False),
        discriminator=discriminator,
        discriminator_optimiser=_adam(discriminator, recipe.optimiser) if discriminator is not None else None,
        content=None if content is None else _placed(content, device),
    )


def discriminator_step(networks: Networks, recipe: Recipe, sr: Tensor, hr: Tensor) -> Terms:
    """Update the discriminator on hr and the generator's sr, each a batch of its own."""
    discriminator, optimiser = networks.discriminator, networks.discriminator_optimiser
    assert discriminator is not None
    assert optimiser is not None
    with autocast(recipe, sr.device):
        real, fake = discriminator(hr), discriminator(sr.detach())
    loss = losses.discriminator_loss(real, fake)
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    optimiser.step()
    return {"discriminator": loss.detach(), "real": real.detach().mean(), "fake": fake.detach().mean()}


def generator_step(networks: Networks, recipe: Recipe, sr: Tensor, hr: Tensor) -> Terms:
    """Update the generator, whose sr carries the graph, on the weighted sum of the recipe's terms."""
    weights = recipe.loss
    terms: Terms = {}
    total = sr.new_zeros(())
    if weights.pixel:
        terms["pixel"] = losses.pixel_loss(sr, hr)
        total = total + weights.pixel * terms["pixel"]
    if weights.total_variation:
        terms["total_variation"] = losses.total_variation(sr)
        total = total + weights.total_variation * terms["total_variation"]
    if networks.content is not None:
        with autocast(recipe, sr.device):
            terms["content"] = networks.content(sr, hr)
        total = total + weights.content * terms["content"]
    if networks.discriminator is not None:
        with frozen(networks.discriminator), autocast(recipe, sr.device):
            fake = networks.discriminator(sr)
        terms["adversarial"] = losses.adversarial_loss(fake)
        total = total + weights.adversarial * terms["adversarial"]
    networks.generator_optimiser.zero_grad()
    torch.autograd.backward(total)
    networks.generator_optimiser.step()
    return {name: value.detach() for name, value in terms.items()} | {"generator": total.detach()}


@torch.no_grad()
def update_average(networks: Networks, decay: float) -> None:
    """Move the averaged generator towards the trained one, which it keeps `decay` of itself against."""
    for mean, value in zip(
        networks.average.state_dict().values(), networks.generator.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Return the context in which networks run in the recipe's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.run.precision == "bf16")


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Keep gradients away from the network's parameters, not from its input."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _adam(network: nn.Module, optimiser: Optimiser) -> Adam:
    betas = (optimiser.beta1, optimiser.beta2)
    return Adam(network.parameters(), optimiser.learning_rate, betas=betas, fused=True)


def _placed(network: N, device: torch.device) -> N:
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
