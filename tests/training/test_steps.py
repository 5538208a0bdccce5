import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import runs
from srgan.losses import Distance
from srgan.models.discriminator import SpectralConv2d
from srgan.training.ranks import Ranks
from srgan.training.recipe import Recipe
from srgan.training.steps import (
    Batch,
    Networks,
    build_discriminator,
    build_networks,
    discriminator_step,
    generated,
    generator_step,
)

PATCHES: dict[str, Any] = {"kind": "patch", "width": 4}


pytestmark = pytest.mark.usefixtures("small_networks")


def recipe(**groups: dict[str, Any]) -> Recipe:
    groups["run"] = {"precision": "fp32"} | groups.get("run", {})
    return replace(runs.recipe(**groups), network="tiny_plain_x4")


def begun(recipe: Recipe) -> tuple[Networks, Batch]:
    """Return a run's networks, and the first batch that they see."""
    networks = build_networks(recipe, None, Ranks())
    random = torch.Generator().manual_seed(1)
    lr, hr = (torch.rand(2, 3, size, size, generator=random) for size in (8, 32))
    return networks, generated(networks.generator, networks.content, recipe, lr, hr)


def test_networks_are_drawn_from_the_recipe_s_seed() -> None:
    def weights(seed: int) -> dict[str, Any]:
        networks = build_networks(
            recipe(loss={"adversarial": 1e-3}, discriminator=PATCHES, run={"seed": seed}), None, Ranks()
        )
        return {name: trained.network.state_dict() for name, trained in networks.trained().items()}

    zero, one = weights(0), weights(1)
    assert runs.differences(zero, weights(0)) == []
    found = runs.differences(zero, one)
    for convolution in ("/generator/head", "/generator/tail", "/discriminator/classifier"):
        assert f"{convolution}.weight" in found


@pytest.mark.parametrize("kind", ["srgan", "patch", "unet", "features"])
@pytest.mark.parametrize("spectral", [False, True])
def test_the_discriminator_is_the_recipe_s(kind: str, *, spectral: bool) -> None:
    chosen = {"kind": kind, "width": 4, "spectral": spectral}
    loss = {"content": 1.0, "content_layers": {"1,2": 1.0}, "adversarial": 1e-3}
    discriminator = build_discriminator(recipe(loss=loss, discriminator=chosen))
    kinds = {type(module) for module in discriminator.modules()}
    assert (nn.BatchNorm2d in kinds) is not spectral
    assert (SpectralConv2d in kinds) is spectral
    assert next(m for m in discriminator.modules() if isinstance(m, nn.Conv2d)).out_channels == 4


def test_muon_gets_the_convolutions_but_those_that_end_in_a_picture_or_a_judgement() -> None:
    networks, _ = begun(
        recipe(loss={"adversarial": 1e-3}, discriminator=PATCHES, optimiser={"kind": "muon"}),
    )
    shared: dict[str, dict[str, set[str]]] = {}
    for network, trained in networks.trained().items():
        names = {parameter: name for name, parameter in trained.network.named_parameters()}
        shared[network] = {
            kind: {names[parameter] for group in optimiser.param_groups for parameter in group["params"]}
            for kind, optimiser in trained.optimisers.items()
        }
        assert set.union(*shared[network].values()) == set(names.values())
        assert sum(map(len, shared[network].values())) == len(names)
    inside = {f"blocks.{i}.conv{j}.weight" for i in (0, 1) for j in (1, 2)}
    inside |= {"head.weight", "trunk_conv.weight", "upsample.0.conv.weight", "upsample.1.conv.weight"}
    assert shared["generator"]["muon"] == inside
    assert shared["discriminator"]["muon"] == {f"features.{i}.weight" for i in (0, 2, 5, 8)}
    only_adam, _ = begun(recipe())
    assert only_adam.generator.optimisers.keys() == {"optimiser"}


@pytest.mark.parametrize(("distance", "order"), [("l2", 2), ("l1", 1)])
def test_the_pixel_term_takes_the_recipe_s_distance(distance: Distance, order: int) -> None:
    chosen = recipe(loss={"pixel_distance": distance})
    networks, batch = begun(chosen)
    error = 2 * (batch.sr - batch.hr).detach().double().abs()  # in [-1, 1]
    terms = generator_step(networks, chosen, batch)
    assert float(terms["pixel"]) == pytest.approx(float((error**order).mean()), rel=1e-5)


def test_what_is_an_artefact_the_average_says() -> None:
    """Where it is farther from hr than the generator in training nothing is one, and where it is nearer it may be."""
    chosen = recipe(loss={"artefacts": 1.0})
    for farther in ("average", "generator"):
        networks, _ = begun(chosen)
        generator = networks.average if farther == "average" else networks.generator.network
        random = torch.Generator().manual_seed(2)
        with torch.no_grad():
            assert generator.tail.bias is not None
            generator.tail.bias += 9.0
            nearer = networks.generator.network if farther == "average" else networks.average
            lr = torch.rand(2, 3, 8, 8, generator=random)
            hr = nearer(lr) + 0.1 * torch.rand(2, 3, 32, 32, generator=random)
        terms = generator_step(networks, chosen, generated(networks.generator, networks.content, chosen, lr, hr))
        assert (float(terms["artefacts"]) > 0) is (farther == "generator")


def test_real_is_what_the_discriminator_says_of_hr_and_fake_what_it_says_of_sr() -> None:
    chosen = recipe(loss={"adversarial": 1e-3}, discriminator=PATCHES)
    networks, batch = begun(chosen)
    assert networks.discriminator is not None
    before = copy.deepcopy(networks.discriminator.network)
    terms = discriminator_step(networks, chosen, batch)
    with torch.no_grad():
        said = {"real": float(before(batch.hr).mean()), "fake": float(before(batch.sr).mean())}
    assert said["real"] != pytest.approx(said["fake"], rel=0.1)
    assert {name: float(terms[name]) for name in said} == pytest.approx(said, rel=1e-4)
