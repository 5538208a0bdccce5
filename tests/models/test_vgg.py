from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from srgan.errors import ArgumentError, WeightsError
from srgan.models.discriminator import feature_discriminator
from srgan.models.vgg import MEAN, STD, Phi, VGG19Features, load_vgg19

CONFIGURATION_E = [[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4]
"""Configuration E of Simonyan and Zisserman 2015: convolutions between max-poolings."""


def torchvision_layout(until: int) -> nn.Sequential:
    """Build `features` of VGG19 as torchvision does, up to the layer of that index, with random weights."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for widths in CONFIGURATION_E:
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers[: until + 1])


def state_of(features: nn.Sequential) -> dict[str, Tensor]:
    return {f"features.{key}": value for key, value in features.state_dict().items()}


@pytest.mark.parametrize(
    ("phi", "index"), [(Phi(1, 1), 1), (Phi(1, 2), 3), (Phi(2, 2), 8), (Phi(3, 4), 17), (Phi(5, 4), 35)]
)
def test_phi_is_that_layer_of_torchvisions_vgg19(phi: Phi, index: int) -> None:
    features = torchvision_layout(index)
    picture = torch.rand(1, 3, 36, 33)
    normalised = (picture - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    after, before = VGG19Features([phi]), VGG19Features([phi], activated=False)
    for network in (after, before):
        network.load(state_of(features))
    torch.testing.assert_close(after(picture)[phi], features(normalised))
    torch.testing.assert_close(before(picture)[phi], features[:-1](normalised))


def test_several_layers_at_once_and_nothing_deeper() -> None:
    network = VGG19Features([Phi(2, 2), Phi(1, 2)])
    assert len(network.convs) == 4
    maps = network(torch.rand(1, 3, 8, 8))
    assert {phi: tuple(m.shape) for phi, m in maps.items()} == {Phi(1, 2): (1, 64, 8, 8), Phi(2, 2): (1, 128, 4, 4)}


def test_it_is_frozen_but_lets_gradients_through() -> None:
    network = VGG19Features([Phi(2, 1)])
    picture = torch.rand(1, 3, 8, 8, requires_grad=True)
    network(picture)[Phi(2, 1)].sum().backward()
    assert not any(p.requires_grad for p in network.parameters())
    assert picture.grad is not None
    assert picture.grad.abs().min() > 0


def test_phi_is_read_from_text() -> None:
    assert Phi.parse("5,4") == (5, 4)


@pytest.mark.parametrize("text", ["1,3", "6,1", "0,1", "2,0", "5", "a,b", ""])
def test_a_layer_that_vgg19_lacks_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"VGG19 has no layer|is no layer: 5,4, say"):
        Phi.parse(text)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_from_safetensors_or_a_state_dict(tmp_path: Path, suffix: str) -> None:
    state = state_of(torchvision_layout(3))
    path = tmp_path / f"vgg{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    network = load_vgg19(path, [Phi(1, 2)])
    assert torch.equal(network.convs[1].weight, state["features.2.weight"])  # type: ignore[arg-type]
    assert not network.training


@pytest.mark.parametrize("build", [VGG19Features, feature_discriminator])
def test_layers_that_vgg19_lacks_are_refused(build: Callable[[list[Any]], torch.nn.Module]) -> None:
    refused: list[tuple[list[Any], str]] = [
        ([], "no layer of VGG19"),
        ([Phi(2, 2), Phi(6, 1)], r"VGG19 has no layer Phi\(i=6, j=1\)"),
        ([Phi(1, 9)], r"VGG19 has no layer Phi\(i=1, j=9\)"),
        (["5,4"], "VGG19 has no layer '5,4'"),
        ([(2, 2)], r"VGG19 has no layer \(2, 2\)"),
    ]
    for layers, message in refused:
        with pytest.raises(ArgumentError, match=message):
            build(layers)


def test_weights_of_another_network_are_named() -> None:
    state = state_of(torchvision_layout(3))
    network = VGG19Features([Phi(1, 2)])
    with pytest.raises(WeightsError, match=r"not VGG19's weights: features\.2\.bias is missing, not \(64,\)"):
        network.load({k: v for k, v in state.items() if k != "features.2.bias"})
    with pytest.raises(WeightsError, match=r"features\.0\.weight is of shape \(2, 2\)"):
        network.load(state | {"features.0.weight": torch.zeros(2, 2)})


def test_gradients_go_through_maps_before_their_relu_where_these_are_below_zero() -> None:
    network = VGG19Features([Phi(1, 1)], activated=False)
    picture = torch.rand(1, 3, 8, 8, requires_grad=True)
    maps = network(picture)[Phi(1, 1)]
    maps.clamp(max=0).sum().backward()
    assert maps.min() < 0
    assert picture.grad is not None
    assert picture.grad.abs().min() > 0
