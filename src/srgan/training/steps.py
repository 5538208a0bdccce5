"""The networks of a run and one step of each (Ledig et al. 2017, section 2): first the discriminator, then the
generator, on the same batch (k = 1)."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from srgan import losses
from srgan.losses import GAMES, ContentLoss
from srgan.metrics import DISTS, LPIPS
from srgan.models.discriminator import (
    feature_discriminator,
    patch_discriminator,
    srgan_discriminator,
    unet_discriminator,
)
from srgan.models.generator import GENERATORS, Generator
from srgan.models.vgg import Maps
from srgan.training.checkpoint import State
from srgan.training.clip import Clip
from srgan.training.muon import Muon
from srgan.training.ranks import Ranks, share_batch_norm
from srgan.training.recipe import Optimiser as Rates
from srgan.training.recipe import Recipe
from srgan.training.terms import Terms

N = TypeVar("N", bound=nn.Module)


@dataclass
class Trained(Generic[N]):
    """A network in training. `call` is what a step calls in its place: gradients become the run's mean.

    `optimisers` share its parameters out, by the names of their states. It learns at `factor` times the run's
    learning rate, from gradients that `clip`, if any, has shortened.
    """

    network: N
    call: nn.Module
    optimisers: dict[str, Optimizer]
    clip: Clip | None
    factor: float = 1.0

    def groups(self) -> Iterator[dict[str, Any]]:
        """Go through the optimisers' groups of parameters, each with its settings."""
        for optimiser in self.optimisers.values():
            yield from optimiser.param_groups

    def update(self, loss: Tensor) -> Terms:
        """Go one step down the loss's gradient; return its length, 1 being the usual one, where it is clipped."""
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        torch.autograd.backward(loss)
        terms = {} if self.clip is None else {"gradient": self.clip(self.network.parameters())}
        for optimiser in self.optimisers.values():
            optimiser.step()
        return terms


@dataclass
class Networks:
    """What a run trains, with what it needs for that; all but the first two only where the recipe asks.

    `average` is the generator's exponential moving average, running statistics included. `distances` are learned ones,
    by the names of the loss's terms.
    """

    generator: Trained[Generator]
    average: Generator
    discriminator: Trained[nn.Module] | None
    content: ContentLoss | None
    distances: Mapping[str, LPIPS | DISTS]

    def trained(self) -> dict[str, Trained[Any]]:
        """Return the networks in training by name."""
        both = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: trained for name, trained in both.items() if trained is not None}

    def state(self) -> State:
        """Return all that changes during a run."""
        state: State = {"average": self.average.state_dict()}
        for name, trained in self.trained().items():
            state[name] = trained.network.state_dict()
            for part, optimiser in trained.optimisers.items():
                state[f"{name}_{part}"] = optimiser.state_dict()
            if trained.clip is not None:
                state[f"{name}_clip"] = trained.clip.state_dict()
        if self.content is not None:
            state["content_factor"] = self.content.factor
        return state

    def load_state(self, state: State) -> None:
        """Take over what `state` returned."""
        self.average.load_state_dict(state["average"])
        for name, trained in self.trained().items():
            trained.network.load_state_dict(state[name])
            for part, optimiser in trained.optimisers.items():
                settings = {"param_groups": optimiser.state_dict()["param_groups"]}  # of this recipe, its betas
                optimiser.load_state_dict(state[f"{name}_{part}"] | settings)
            if trained.clip is not None and f"{name}_clip" in state:  # else it begins here
                trained.clip.load_state_dict(state[f"{name}_clip"])
        if self.content is not None:
            self.content.factor = state["content_factor"]

    def compile(self) -> None:
        """Have the next steps run kernels that PyTorch's compiler writes, for the shapes that these steps have."""
        for trained in self.trained().values():
            trained.network.compile()
        if self.content is not None:
            self.content.vgg.compile()

    def finite(self) -> bool:
        """Return whether every weight is a finite number."""
        weights = [p for trained in self.trained().values() for p in trained.network.parameters()]
        return bool(torch.stack([torch.isfinite(p).all() for p in weights]).all())

    def set_learning_rate(self, learning_rate: float) -> None:
        """Let the next updates have this learning rate."""
        for trained in self.trained().values():
            rate = trained.factor * learning_rate
            for group in trained.groups():
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def make_recordable(self) -> None:
        """Have the optimisers read their learning rates on the device, where a CUDA graph will look for them."""
        for trained in self.trained().values():
            for group in trained.groups():
                rate = torch.tensor(group["lr"], device=group["params"][0].device)
                group |= {"lr": rate, "capturable": True}

    @cached_property
    def averaged(self) -> "Averaged":
        """The tensors that `update_average` goes through."""
        means, values = (network.state_dict() for network in (self.average, self.generator.network))
        moving = [key for key, mean in means.items() if mean.is_floating_point()]
        copied = [key for key, mean in means.items() if not mean.is_floating_point()]
        pairs = (([means[key] for key in keys], [values[key] for key in keys]) for keys in (moving, copied))
        return Averaged(*pairs)


class Averaged(NamedTuple):
    """Tensors of the averaged generator and, in the same order, of the trained one."""

    moving: tuple[list[Tensor], list[Tensor]]
    copied: tuple[list[Tensor], list[Tensor]]


def build_networks(
    recipe: Recipe,
    content: ContentLoss | None,
    ranks: Ranks,
    *,
    distances: Mapping[str, LPIPS | DISTS] = MappingProxyType({}),
) -> Networks:
    """Return fresh networks on this process's device, their weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.run.seed)
    generator = _trained(GENERATORS[recipe.network](), recipe, ranks)
    discriminator = None
    if recipe.loss.adversarial:
        discriminator = _trained(build_discriminator(recipe), recipe, ranks)
        discriminator.factor = recipe.discriminator.learning_rate_factor
    return Networks(
        generator=generator,
        average=copy.deepcopy(generator.network).eval().requires_grad_(False),
        discriminator=discriminator,
        content=None if content is None else _content_on(content, recipe, ranks.device),
        distances={name: _placed(network, ranks.device) for name, network in distances.items()},
    )


def build_discriminator(recipe: Recipe) -> nn.Module:
    """Return the recipe's discriminator, fresh."""
    choice = recipe.discriminator
    if choice.kind == "features":
        return feature_discriminator(recipe.loss.layers(), choice.width, spectral=choice.spectral)
    if choice.kind == "srgan":
        return srgan_discriminator(recipe.data.patch_size, choice.width, spectral=choice.spectral)
    build = patch_discriminator if choice.kind == "patch" else unet_discriminator
    return build(choice.width, spectral=choice.spectral)


class Batch(NamedTuple):
    """What a step looks at: the pictures and, where there is a content loss, VGG19's maps of sr and hr."""

    lr: Tensor
    sr: Tensor
    hr: Tensor
    sr_maps: Maps
    hr_maps: Maps


def step(networks: Networks, recipe: Recipe, lr: Tensor, hr: Tensor) -> Terms:
    """Update each network once on a batch, lr (N, 3, P/4, P/4) and hr (N, 3, P, P) in [0, 1].

    Returns the values of the losses' terms before it, and how long clipped gradients were.
    """
    batch = generated(networks.generator, networks.content, recipe, lr, hr)
    terms = discriminator_step(networks, recipe, batch) if networks.discriminator else {}
    return terms | generator_step(networks, recipe, batch)


def head_start(networks: Networks, recipe: Recipe, lr: Tensor, hr: Tensor) -> Terms:
    """Update the discriminator alone, once, on a batch as `step` takes it; return its terms."""
    content = networks.content if recipe.discriminator.kind == "features" else None
    with torch.no_grad():
        batch = generated(networks.generator, content, recipe, lr, hr)
    return discriminator_step(networks, recipe, batch)


def generated(
    generator: Trained[Generator], content: ContentLoss | None, recipe: Recipe, lr: Tensor, hr: Tensor
) -> Batch:
    """Return the batch with the generator's sr, which carries the graph, as do its maps."""
    lr = lr.contiguous(memory_format=torch.channels_last)
    with autocast(recipe, lr.device):
        sr = generator.call(lr)
        if content is None:
            return Batch(lr, sr, hr, {}, {})
        return Batch(lr, sr, hr, content.vgg(sr), content.vgg(hr))


def discriminator_step(networks: Networks, recipe: Recipe, batch: Batch) -> Terms:
    """Update the discriminator on hr and the generator's sr, each a batch of its own."""
    assert networks.discriminator is not None
    hr, sr = _judged(recipe, batch)
    sr = sr.detach() if isinstance(sr, Tensor) else {phi: values.detach() for phi, values in sr.items()}
    with autocast(recipe, batch.sr.device):
        real, fake = networks.discriminator.call(hr), networks.discriminator.call(sr)
    loss = GAMES[recipe.loss.adversarial_kind].discriminator(real, fake)
    terms = {"discriminator": loss.detach(), "real": real.detach().mean(), "fake": fake.detach().mean()}
    return terms | _of("discriminator", networks.discriminator.update(loss))


def generator_step(networks: Networks, recipe: Recipe, batch: Batch) -> Terms:
    """Update the generator on the weighted sum of the recipe's terms."""
    weights = recipe.loss
    lr, sr, hr = batch[:3]
    terms: Terms = {}
    if weights.pixel:
        terms["pixel"] = losses.pixel_loss(sr, hr, weights.pixel_distance)
    if weights.total_variation:
        terms["total_variation"] = losses.total_variation(sr)
    if weights.artefacts:
        with torch.no_grad(), autocast(recipe, sr.device):
            stable = networks.average(lr)
        terms["artefacts"] = losses.artefact_loss(sr, hr, stable)
    if weights.consistency:
        terms["consistency"] = losses.consistency_loss(sr, hr, networks.average.scale)
    if weights.fourier:
        terms["fourier"] = losses.fourier_loss(sr, hr)
    if weights.wavelet:
        terms["wavelet"] = losses.wavelet_loss(sr, hr)
    if weights.grid:
        terms["grid"] = losses.grid_loss(sr, hr)
    if networks.content is not None:
        terms["content"] = networks.content.between(batch.sr_maps, batch.hr_maps)
    for name, network in networks.distances.items():
        terms[name] = _distance(network, recipe, sr, hr)
    if networks.discriminator is not None:
        terms["adversarial"] = _adversarial(networks.discriminator.network, recipe, batch)
    total = sr.new_zeros(())
    for name, value in terms.items():
        total = total + getattr(weights, name) * value
    terms = {name: value.detach() for name, value in terms.items()} | {"generator": total.detach()}
    return terms | _of("generator", networks.generator.update(total))


def _of(name: str, terms: Terms) -> Terms:
    """Return the terms named as those of one network."""
    return {f"{name}_{term}": value for term, value in terms.items()}


def _judged(recipe: Recipe, batch: Batch) -> tuple[Tensor, Tensor] | tuple[Maps, Maps]:
    """Return what the recipe's discriminator looks at, of hr and of sr."""
    return (batch.hr_maps, batch.sr_maps) if recipe.discriminator.kind == "features" else (batch.hr, batch.sr)


def _adversarial(judge: nn.Module, recipe: Recipe, batch: Batch) -> Tensor:
    """Return the generator's loss in the recipe's game."""
    game = GAMES[recipe.loss.adversarial_kind]
    hr, sr = _judged(recipe, batch)
    with frozen(judge), autocast(recipe, batch.sr.device):
        fake = judge(sr)
        real = judge(hr) if game.needs_real else fake
    return game.generator(real, fake)


def _distance(network: LPIPS | DISTS, recipe: Recipe, sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean of a learned distance, feature maps in the recipe's precision, what lies between in float32."""
    with autocast(recipe, sr.device):
        maps = [[x.float() for x in network.features(picture)] for picture in (sr, hr)]
    return network.distance(*maps).mean()


@torch.no_grad()
def update_average(networks: Networks, decay: float) -> None:
    """Move the averaged generator towards the trained one, which it keeps `decay` of itself against."""
    torch._foreach_lerp_(*networks.averaged.moving, 1 - decay)
    if networks.averaged.copied[0]:
        torch._foreach_copy_(*networks.averaged.copied)


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Return the context in which networks run in the recipe's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(recipe, device))


def in_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Return whether networks run in bf16: as the recipe says or, where it leaves that open, if the device has it.

    PyTorch takes bf16 on processors without instructions for it too, and says that those with AVX-512 have it, but is
    slower then than in float32.
    """
    if recipe.run.precision != "auto":
        return recipe.run.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    said = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    emulated = torch.cpu._is_avx512_supported() and not torch.cpu._is_avx512_bf16_supported()
    return said and not emulated and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Keep gradients away from the network's parameters, not from its input."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _trained(network: N, recipe: Recipe, ranks: Ranks) -> Trained[N]:
    network = _placed(network, ranks.device)
    if recipe.run.share_batch_norm and ranks.world > 1:
        share_batch_norm(network)
    clip = Clip(recipe.optimiser.clip).to(ranks.device) if recipe.optimiser.clip else None
    return Trained(network, ranks.averaging(network), _optimisers(network, recipe.optimiser), clip)


def _optimisers(network: nn.Module, rates: Rates) -> dict[str, Optimizer]:
    """Return Adam for all parameters, or Muon for the convolutions but those of at most three values, colours say."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in network.parameters():
        inside = parameter.ndim == 4 and len(parameter) > 3
        (matrices if inside and rates.kind == "muon" else others).append(parameter)
    adam = Adam(others, rates.learning_rate, betas=(rates.beta1, rates.beta2), fused=True)
    optimisers: dict[str, Optimizer] = {"optimiser": adam}
    if matrices:
        optimisers["muon"] = Muon(matrices, rates.learning_rate)
    return optimisers


def _content_on(content: ContentLoss, recipe: Recipe, device: torch.device) -> ContentLoss:
    """Return the content loss on the device, VGG19's weights, which never change, in the precision they are used in."""
    if in_bf16(recipe, device):
        content.vgg.convs.bfloat16()
    return _placed(content, device)


def _placed(network: N, device: torch.device) -> N:
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
