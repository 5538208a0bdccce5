from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import runs
from srgan.errors import CheckpointError, WeightsError
from srgan.losses import Distance
from srgan.training import checkpoint
from srgan.training.start import check_initial, content_loss

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.mark.parametrize("activated", [True, False])
@pytest.mark.parametrize(("distance", "order"), [("l2", 2), ("l1", 1)])
def test_the_content_loss_is_the_recipe_s_by_hand(
    tmp_path: Path, distance: Distance, order: int, *, activated: bool
) -> None:
    """Phi_1,1 of a network that copies red into one of 64 channels; under the mean of 0.485 it is below 0."""
    weights = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    weights["features.0.weight"][0, 0, 1, 1] = 1
    save_file(weights, tmp_path / "vgg19_features.safetensors")
    chosen = {"content_layers": {"1,1": 3.0}, "content_distance": distance, "content_activated": activated}
    loss = content_loss(runs.recipe(loss={"content": 0.5, **chosen}), tmp_path)
    assert loss is not None
    expected = 3 * (0.1 / 0.229) ** order / 64
    for level, found in ((0.7, expected), (0.3, 0.0 if activated else expected)):
        sr, hr = torch.full((1, 3, 4, 4), level), torch.full((1, 3, 4, 4), level - 0.1)
        assert float(loss(sr, hr)) == pytest.approx(found, rel=1e-5)
    assert content_loss(runs.recipe(loss=chosen), tmp_path / "nowhere") is None


def test_what_is_to_be_added_to_the_initial_network_is_looked_at_before_the_work(tmp_path: Path) -> None:
    state = {"patches": 8, "seconds": 1.0, "origin": {}}
    files = {}
    for network, build in (("tiny_x4", runs.tiny_x4), ("tiny_plain_x4", runs.tiny_plain_x4)):
        of_one = replace(runs.recipe(), network=network)
        files[network] = str(
            checkpoint.save(tmp_path / network, of_one, state | {"average": build().state_dict()}, keep=1)
        )
    good, normed, none = files["tiny_plain_x4"], files["tiny_x4"], str(tmp_path / "none.pt")
    recipe = replace(runs.recipe(), network="tiny_plain_x4", initial=good)
    check_initial(replace(recipe, shift=[good, normed]))
    for shift in ([none, good], [good, none]):
        with pytest.raises(CheckpointError, match=r"none\.pt: no such checkpoint"):
            check_initial(replace(recipe, shift=shift))
    with pytest.raises(WeightsError, match="srresnet: a srresnet_plain_x4, where the recipe trains a tiny_plain_x4"):
        check_initial(replace(recipe, shift=[good, "srresnet"]))
    with pytest.raises(WeightsError, match=r"\.pt: shift needs a network without batch norm"):
        check_initial(replace(runs.recipe(), initial=normed, shift=[normed, normed]))
