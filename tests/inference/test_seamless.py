from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import Shift
from srgan.image.alpha import bleed
from srgan.image.picture import Picture
from srgan.image.seamless import margin, wrapped
from srgan.image.size import Size
from srgan.inference.upscaler import Upscaler


class Larger(Shift):
    """Twice as large, and one pixel of that to the right."""

    scale = 2


@pytest.fixture
def texture() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (20, 28, 3), np.uint8)


def test_what_leaves_on_one_side_comes_in_on_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that moves all to the right, where zeros come in, moves all of a texture round."""
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Larger())
    lr = np.arange(12, dtype=np.uint8).reshape(3, 4)
    larger = lr.repeat(2, axis=0).repeat(2, axis=1)
    assert Upscaler(size=Size(scale=2)).upscale(lr)[0].tolist() == [0, 0, 0, 1, 1, 2, 2, 3]
    np.testing.assert_array_equal(Upscaler(size=Size(scale=2), seamless=True).upscale(lr), np.roll(larger, 1, axis=1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 16},
        {"size": 2.5},
        {"size": 0.5},
        {"consistent": True},
        {"consistent": True, "size": 3.25, "tile": 40},
        {"size": Size(width=84, height=20, stretch=True)},
        {"ensemble": True},
    ],
)
def test_a_texture_is_enlarged_as_among_copies_of_itself(
    options: dict[str, Any], texture: NDArray[np.uint8], tiny_onnx: str
) -> None:
    options = {"precision": "fp32"} | options
    size = options.get("size")
    if isinstance(size, Size):
        assert size.width is not None
        assert size.height is not None
        options |= {"size": Size(width=5 * size.width, height=5 * size.height, stretch=True)}
    among = Upscaler(tiny_onnx, **options).upscale(np.tile(texture, (5, 5, 1)))
    alone = Upscaler(tiny_onnx, **options | {"size": size}, seamless=True).upscale(texture)
    height, width = (side // 5 for side in among.shape[:2])
    wanted = among[2 * height : 3 * height, 2 * width : 3 * width]
    assert alone.shape == wanted.shape
    assert np.abs(alone.astype(int) - wanted).max() <= 1
    assert (alone != wanted).mean() < 0.01, "rounding, where values are halfway"
    plain = Upscaler(tiny_onnx, **options | {"size": size}).upscale(texture)
    assert np.abs(plain.astype(int) - wanted).max() > 1, "it matters"


def test_transparency_continues_as_well(texture: NDArray[np.uint8], tiny_onnx: str) -> None:
    clear = np.random.default_rng(6).integers(1, 256, (20, 28), np.uint8)
    among = Upscaler(tiny_onnx, precision="fp32").upscale_picture(
        Picture(np.tile(texture, (3, 3, 1)), np.tile(clear, (3, 3)))
    )
    alone = Upscaler(tiny_onnx, precision="fp32", seamless=True).upscale_picture(Picture(texture, clear))
    assert alone.alpha is not None
    assert among.alpha is not None
    for ours, theirs in ((alone.pixels, among.pixels), (alone.alpha, among.alpha)):
        assert np.abs(ours.astype(int) - theirs[80:160, 112:224]).max() <= 1


def test_what_fills_the_clear_parts_continues_as_well(texture: NDArray[np.uint8], tiny_onnx: str) -> None:
    alpha = np.zeros((20, 28), np.uint8)
    alpha[3:9, 5:17] = 255
    around = margin((20, 28), (80, 112), halo=12, scale=4, consistent=False)
    filled = bleed(wrapped(texture, around), wrapped(alpha, around))[around:-around, around:-around]
    tiled: NDArray[np.uint8] = np.tile(filled, (3, 3, 1)).astype(np.uint8)
    among = Upscaler(tiny_onnx, precision="fp32").upscale(tiled)
    alone = Upscaler(tiny_onnx, precision="fp32", seamless=True).upscale_picture(Picture(texture, alpha))
    assert np.abs(alone.pixels.astype(int) - among[80:160, 112:224]).max() <= 1


def test_how_far_a_result_sees_by_hand() -> None:
    near: dict[str, Any] = {"halo": 40, "scale": 4, "consistent": False}
    assert margin((100, 100), (400, 400), **near) == 40 + 2, "of Lanczos, .75 of a pixel; and one"
    assert margin((100, 100), (1600, 1600), **near) == 40 + 10 + 2
    assert margin((100, 100), (1600, 1600), **near | {"consistent": True}) == 72 + 18 + 2
    assert margin((100, 100), (10, 20), **near) == 31, "three pixels of ten, where no network is asked"
    assert margin((100, 300), (1, 3), **near) == 101, "a whole picture at most"
