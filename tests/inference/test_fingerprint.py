"""What the settings of a network say in a fingerprint, with the tiny network in the place of the shipped ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srgan.image import flaws
from srgan.image.size import Size
from srgan.inference.fingerprint import network_settings
from srgan.weights import BLURRED, NAMES, NOISY, REPAIRS, checksum

ASKED: dict[str, Any] = {"precision": "fp32", "size": Size(scale=4), "detail": None, "repair": None}


def settings(model: str = "srgan-plus", **how: Any) -> str:
    return network_settings(model, **ASKED | {"consistent": False} | how)


@pytest.mark.usefixtures("shipped")
def test_all_that_changes_a_result_changes_its_settings() -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"model": "srgan"},
        {"precision": "bf16"},
        {"size": Size(scale=2)},
        {"size": Size(width=400)},
        {"detail": 0.5},
        {"detail": 0.25},
        {"repair": 0.5},
        {"consistent": True},
        {"ensemble": True},
        {"seamless": True},
        {"ensemble": True, "seamless": True},
    ]
    assert len({settings(**how) for how in asked}) == len(asked)


@pytest.mark.usefixtures("shipped")
def test_results_of_before_pixels_told_the_network_are_others_where_they_tell_it() -> None:
    noise, blur = map(checksum, flaws.WEIGHTS)
    told = f" {REPAIRS} {NOISY} {noise}"
    for model in ("auto", "auto-fast"):
        assert settings(model).endswith(f"{told} {BLURRED} {blur}")
        assert settings(model, consistent=True).endswith(told)
    for how in ({"model": "auto", "repair": 1}, {"model": "auto", "detail": 0.5}, {"model": "srgan-plus"}):
        assert told not in settings(**how)


@pytest.mark.usefixtures("shipped")
def test_a_scale_is_the_same_however_it_is_said() -> None:
    assert settings(size=Size(scale=4)) == settings(size=Size(scale=4.0)) == settings(size=Size(scale=np.float32(4)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ({"model": "srgan"}, {"srgan"}),
        ({"model": "srgan-plus"}, {"srgan-plus"}),
        ({"model": "srgan-plus", "detail": 0.5}, {"srgan-plus", "srresnet"}),
        ({"model": "auto", "detail": 0.5}, {"srgan-plus", "srresnet"}),
        ({"model": "srgan-plus", "repair": 0.5}, {"srgan-plus", "srgan-photo"}),
        ({"model": "auto", "repair": 1.5}, {"srgan-photo", "srgan-deblur"}),
        ({"model": "auto", "repair": 2}, {"srgan-deblur"}),
        ({"model": "auto"}, {"srgan-plus", "srgan-photo", "srgan-deblur"}),
        ({"model": "auto", "consistent": True}, {"srgan-plus", "srgan-photo"}),
        ({"model": "auto-fast"}, {"srgan-fast", "srgan-fast-photo", "srgan-fast-deblur"}),
        ({"model": "srgan-fast"}, {"srgan-fast"}),
    ],
)
def test_the_weights_of_every_network_that_takes_part_count(
    shipped: Path, how: dict[str, Any], names: set[str]
) -> None:
    said = settings(**how)
    assert {name for name in NAMES if checksum(shipped / f"{name}.safetensors") in said} == names
