from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes import Array, Broken, Nearest, Shift, eight_by_hand
from srgan.image.picture import Picture
from srgan.image.size import Size
from srgan.inference.ensemble import Ensemble
from srgan.inference.network import NotFiniteError
from srgan.inference.runtime import load_network
from srgan.inference.upscaler import Upscaler


class Larger(Shift):
    """Twice as large, and one pixel of that to the right."""

    scale = 2


def test_the_mean_of_eight_orientations_is_told_by_hand() -> None:
    """A network that moves all to the right moves it, turned back, to each of four sides in two of the eight."""
    lr = np.zeros((2, 3, 4, 6), np.float32)
    lr[0, 0, 1, 2], lr[1, 2, 3, 5] = 0.8, 0.4
    network = Shift()
    sr = Ensemble(network)(lr)
    expected = np.zeros_like(lr)
    for y, x in ((0, 2), (2, 2), (1, 1), (1, 3)):
        expected[0, 0, y, x] = 0.2
    expected[1, 2, 2, 5] = expected[1, 2, 3, 4] = 0.1  # in a corner two of the sides lie outside
    np.testing.assert_allclose(sr, expected, atol=1e-7)
    assert network.shapes == [(2, 3, 4, 6)] * 2 + [(2, 3, 6, 4)] * 2 + [(2, 3, 4, 6)] * 2 + [(2, 3, 6, 4)] * 2


def test_one_that_minds_no_orientation_is_left_as_it_is(noise: NDArray[np.uint8]) -> None:
    plain, eight = Nearest(), Ensemble(Nearest())
    np.testing.assert_array_equal(eight.levels(noise), plain.levels(noise))
    assert (eight.scale, eight.halo, eight.checksum, eight.in_fp32()) == (4, 0, plain.checksum, eight)
    assert eight.card["name"] == "nearest, ensemble"
    assert plain.card["name"] == "nearest"
    assert eight.pixel_bytes - plain.pixel_bytes == 2 * 3 * 4 * 16, "float32 RGB twice, 16 times as many pixels"


def test_the_mean_is_rounded_and_not_the_eight() -> None:
    """Four neighbours of 1, 0, 1 and 0 make half a level, which is rounded up; each level alone would stay as it is."""
    lr = np.zeros((3, 3, 3), np.uint8)
    lr[0, 1] = lr[1, 0] = 1
    assert Ensemble(Shift()).levels(lr)[1, 1].tolist() == [1, 1, 1]
    lr[1, 0] = 0
    assert Ensemble(Shift()).levels(lr)[1, 1].tolist() == [0, 0, 0]


def test_tiles_are_exact_and_values_that_are_not_finite_are_computed_again(
    noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: Any, **how: Any) -> Ensemble:
        assert how["ensemble"] is True
        return Ensemble(network)

    monkeypatch.setattr("srgan.inference.upscaler.load_network", loaded)
    network: Nearest = Larger()
    whole, tiled = (Upscaler(size=Size(scale=2), ensemble=True, tile=tile).upscale(noise) for tile in (0, 6))
    assert len(network.shapes) > 2 * 8
    np.testing.assert_array_equal(whole, tiled)
    np.testing.assert_array_equal(whole, Ensemble(Larger()).levels(noise))
    network = Broken(since=3, fp32_too=False)
    with pytest.raises(NotFiniteError):
        Ensemble(network).levels(noise)
    network = Broken(since=3, fp32_too=False)
    np.testing.assert_array_equal(Upscaler(ensemble=True).upscale(noise), Nearest().levels(noise))


def test_after_each_of_the_eight_it_is_asked_whether_to_go_on(
    noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Larger()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Ensemble(network))
    upscaler = Upscaler(size=Size(scale=2), ensemble=True, tile=0)
    picture, told, inside = Picture(noise), list[float](), list[NDArray[Any]]()

    def progress(fraction: float) -> None:
        told.append(fraction)
        if fraction == 0.5:
            inside.append(upscaler.upscale_picture(picture).pixels)

    result = upscaler.upscale_picture(picture, progress)
    assert told == [part / 8 for part in range(1, 9)]
    np.testing.assert_array_equal(inside, [result.pixels])

    def ends(fraction: float) -> None:
        if fraction > 0.2:
            raise LookupError("the client has gone") from KeyError("why")

    before = len(network.shapes)
    with pytest.raises(LookupError, match="the client has gone") as caught:
        upscaler.upscale_picture(picture, ends)
    assert isinstance(caught.value.__cause__, KeyError)
    assert len(network.shapes) - before == 2
    np.testing.assert_array_equal(upscaler.upscale_picture(picture).pixels, result.pixels)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_each_runtime_can_be_asked_eight_times(runtime: str, noise: NDArray[np.uint8]) -> None:
    """The mean by hand is of arrays turned by other means than the ensemble's."""
    network, eight = (
        load_network("srresnet", ensemble=yes, runtime=runtime, precision="fp32", threads=1) for yes in (False, True)
    )
    lr: Array = noise.astype(np.float32).transpose(2, 0, 1)[np.newaxis] / np.float32(255)
    np.testing.assert_allclose(eight(lr), eight_by_hand(network, lr, 2).mean(axis=0), atol=2e-5)
    assert eight.runtime == runtime
