import numpy as np
import pytest
from PIL import Image

from srgan.errors import ArgumentError
from srgan.image.colour import Pixels
from srgan.image.resample import resample
from srgan.image.size import Size, passes


@pytest.mark.parametrize(
    ("size", "result", "ending"),
    [
        (Size(scale=4), (400, 800), "_x4"),
        (Size(scale=2.5), (250, 500), "_x2.5"),
        (Size(scale=0.001), (1, 1), "_x0.001"),
        (Size(scale=np.float32(2.5)), (250, 500), "_x2.5"),  # type: ignore[arg-type]
        (Size(width=np.int64(50)), (25, 50), "_50w"),  # type: ignore[arg-type]
        (Size(width=333), (166, 333), "_333w"),
        (Size(height=333), (333, 666), "_333h"),
        (Size(width=3840, height=2160), (1920, 3840), "_3840x2160"),
        (Size(width=3840, height=1000), (1000, 2000), "_3840x1000"),
        (Size(width=30, height=1000, stretch=True), (1000, 30), "_30x1000"),
    ],
)
def test_sizes_of_a_picture_of_100_by_200(size: Size, result: tuple[int, int], ending: str) -> None:
    assert size.of(100, 200) == result
    assert size.ending == ending


def test_a_side_that_follows_is_rounded_to_the_nearest() -> None:
    assert Size(width=100).of(200, 300) == (67, 100)  # 66.7
    assert Size(height=100).of(300, 200) == (100, 67)
    assert Size(scale=1.26).of(3, 5) == (4, 6)  # 3.78 and 6.3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a size is a scale, or a width, a height or both"),
        ({"scale": 2.0, "width": 3}, "a size is a scale, or"),
        ({"scale": -1.0}, "-1.0 is no size: a number more than 0 and less than 2147483648"),
        ({"scale": 0}, "0 is no size"),
        ({"scale": float("nan")}, "nan is no size"),
        ({"scale": float("inf")}, "inf is no size"),
        ({"scale": 1e308}, "1e\\+308 is no size"),
        ({"scale": "2"}, "'2' is no size"),
        ({"scale": (2, 2)}, r"\(2, 2\) is no size"),
        ({"width": 0}, "0 is no size: a whole number"),
        ({"width": 2**31}, "2147483648 is no size"),
        ({"width": 2.5, "height": 3, "stretch": True}, "2.5 is no size: a whole number"),
        ({"width": 3, "stretch": True}, "stretching needs a width and a height"),
    ],
)
def test_sizes_that_cannot_be(given: dict[str, float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Size(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sr", "count"),
    [((100, 100), 0), ((50, 400), 1), ((101, 100), 1), ((400, 400), 1), ((400, 401), 2), ((1601, 1), 3)],
)
def test_passes_make_at_least_what_is_wanted(sr: tuple[int, int], count: int) -> None:
    assert passes((100, 100), sr, 4) == count


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 77), (np.uint16, 40_000), (np.float32, 0.3)])
def test_a_resampled_picture_has_its_type_and_keeps_what_is_flat(dtype: type, value: float) -> None:
    for shape in ((9, 12, 3), (9, 12)):
        result = resample(np.full(shape, value, dtype=dtype), 5, 30)
        assert result.shape == (5, 30, *shape[2:])
        assert result.dtype == dtype
        np.testing.assert_allclose(result, value, atol=1e-6 if dtype is np.float32 else 0)


@pytest.mark.parametrize("size", [(20, 31), (90, 100), (3, 200), (200, 3), (37, 20)])
@pytest.mark.parametrize("shape", [(37, 41, 3), (41, 37), (150, 9)])
def test_bands_are_the_whole_within_a_level(
    shape: tuple[int, ...], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    pictures: list[Pixels] = [noise, (noise >> 8).astype(np.uint8), noise.astype(np.float32) / np.float32(65535)]
    whole = [resample(picture, *size) for picture in pictures]
    lanczos = Image.Resampling.LANCZOS
    wide = Image.fromarray(pictures[1]).resize((size[1], shape[0]), lanczos)
    assert np.array_equal(whole[1], np.asarray(wide.resize(size[::-1], lanczos))), "Pillow's, widths first"
    monkeypatch.setattr("srgan.image.resample._BAND_PIXELS", 200)
    for picture, expected, off in zip(pictures, whole, (1, 1, 2e-6), strict=True):
        assert np.abs(resample(picture, *size).astype(np.float64) - expected).max() <= off


def test_the_size_it_has_is_no_resampling() -> None:
    pixels = np.zeros((3, 4), dtype=np.uint8)
    assert resample(pixels, 3, 4) is pixels
