import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import references
import srgan
from fakes import Array, Box, Broken, Nearest
from made import as_jpeg, chunk
from srgan.errors import ArgumentError, InferenceError, PictureError, TooLargeError
from srgan.image.colour import Pixels, to_network, to_uint8
from srgan.image.picture import Coding, Maker, Metadata, Picture, Timing
from srgan.image.reading import read_picture
from srgan.image.resize import imresize
from srgan.image.size import Size
from srgan.image.tiles import plan_tiles
from srgan.inference.network import Network
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.runtime import load_network
from srgan.inference.upscaler import Upscaler
from srgan.inference.windows import upscale_pixels


def repeat(array: NDArray[np.uint8] | Array, scale: int = 4) -> NDArray[np.uint8] | Array:
    return array.repeat(scale, 0).repeat(scale, 1)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Nearest:
    network = Nearest()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: network)
    return network


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("tile", [None, 0, 5])
def test_arrays_come_back_as_what_they_came(noise: NDArray[np.uint8], tile: int | None) -> None:
    upscaler = Upscaler(tile=tile)
    for array in (noise, noise[..., 0], np.dstack([noise, noise[..., 1] | 1])):
        result = upscaler.upscale(array)
        assert result.dtype == np.uint8
        assert np.array_equal(result, repeat(array)), "no level is lost, and every tile is in its place"
    values = noise.astype(np.float32) / np.float32(255)
    assert upscaler.upscale(values).dtype == np.float32
    assert np.array_equal(upscaler.upscale(values), repeat(values))


@pytest.mark.usefixtures("network")
def test_a_path_and_an_image_give_an_image(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    image = Image.fromarray(noise)
    image.save(tmp_path / "photo.png")
    for picture in (image, tmp_path / "photo.png", str(tmp_path / "photo.png")):
        result = srgan.upscale(picture)
        assert isinstance(result, Image.Image)
        assert result.mode == "RGB"
        assert np.array_equal(np.asarray(result), repeat(noise))


def profile(space: bytes) -> bytes:
    return bytes(16) + space + bytes(16) + b"acsp" + bytes(100)


@pytest.mark.usefixtures("network")
def test_image_modes_and_profiles_are_kept(noise: NDArray[np.uint8]) -> None:
    for mode, expected in (("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("CMYK", "RGB"), ("1", "L")):
        image = Image.fromarray(noise).convert(mode)
        image.info["icc_profile"] = profile(b"GRAY" if expected in ("L", "LA") else b"RGB ")
        result = Upscaler().upscale(image)
        assert result.mode == expected
        assert result.size == (17 * 4, 13 * 4)
        assert result.info.get("icc_profile") == (None if mode == "CMYK" else image.info["icc_profile"])


def test_transparency_is_a_plane_of_its_own_unless_it_is_all_one(noise: NDArray[np.uint8], network: Nearest) -> None:
    upscaler = Upscaler()
    fractions: list[float] = []
    alpha = np.full((13, 17), 77, dtype=np.uint8)
    result = upscaler.upscale_picture(Picture(noise, alpha), fractions.append)
    assert len(network.shapes) == 1
    assert result.alpha is not None
    assert result.alpha.dtype == np.uint8
    assert result.alpha.shape == (52, 68)
    assert (result.alpha == 77).all()
    alpha[3, 4] = 200
    result = upscaler.upscale_picture(Picture(noise, alpha), fractions.append)
    assert len(network.shapes) == 3
    assert result.alpha is not None
    assert np.array_equal(result.alpha, repeat(alpha))
    assert fractions == [1, 0.5, 1]


def disc(side: int, kind: type) -> Picture:
    """Return a red disc with a soft edge on clear black."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    cover = np.clip(side / 3 - np.hypot(y, x), 0, 1)
    full = np.iinfo(kind).max
    alpha = np.floor(cover * full + 0.5).astype(kind)
    pixels: NDArray[Any] = np.zeros((side, side, 3), dtype=kind)
    pixels[alpha > 0, 0] = full
    return Picture(pixels, alpha)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_is_cut_out_has_no_dark_fringe(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Box mixes 7x7 pixels: the black under what is clear would darken the red beside it by a fifth."""
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Box())
    picture, full = disc(61, kind), np.iinfo(kind).max
    upscaler = Upscaler()
    result = upscaler.upscale_picture(picture)
    assert result.alpha is not None
    inner = np.s_[6:-6, 6:-6]  # Box darkens the border of every picture
    cover = result.alpha[inner][..., np.newaxis] / full
    on_white = (result.pixels[inner] / full * cover + (1 - cover)) * 255
    assert on_white[..., 0].min() >= 254, "red or white or between, nowhere dark"
    assert result.alpha[61, 61] == full
    assert (result.alpha[:18] == 0).all()
    darkened = upscaler.upscale_picture(Picture(picture.pixels)).pixels[inner] / full
    fringed = (darkened * cover + (1 - cover)) * 255
    assert fringed[..., 0].min() < 205, "so it would be without"


@pytest.mark.parametrize("scale", [0.5, 1.5, 2, 3, 5])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_an_edge_has_no_ghosts_at_any_size(scale: float, kind: type, network: Nearest) -> None:
    most = 1 if kind is np.float32 else np.iinfo(kind).max
    alpha: NDArray[Any] = np.zeros((24, 24), kind)
    alpha[:, 12:] = most
    picture = Picture(np.zeros((24, 24, 3), kind), alpha)
    made = Upscaler(str(network.card["name"]), size=scale).upscale_picture(picture).alpha
    assert made is not None
    edge = round(12 * scale)
    assert (made[:, : edge - 2] == 0).all()
    assert (made[:, edge + 2 :] == most).all()
    assert (np.diff(made.astype(float)) >= 0).all()


def test_progress_goes_tile_by_tile(network: Nearest) -> None:
    fractions: list[float] = []
    Upscaler(tile=5).upscale_picture(Picture(np.zeros((9, 10), dtype=np.uint8)), fractions.append)
    assert fractions == [0.25, 0.5, 0.75, 1]
    assert network.shapes == [(1, 3, 5, 5)] * 4


@pytest.mark.parametrize("picture", [3, None, [[1, 2]], b"photo.jpg"])
@pytest.mark.usefixtures("network")
def test_what_is_no_picture_is_refused(picture: object) -> None:
    with pytest.raises(ArgumentError, match="a picture is a path, a file, a Pillow image or an array, not"):
        Upscaler().upscale(picture)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"detail": "half"}, "detail is a number from 0 to 1, not 'half'"),
        ({"model": None}, "a model is a name or a path, not None"),
        ({"tile": "a"}, "tile is a whole number, not 'a'"),
        ({"threads": 2.5}, "threads is a whole number, not 2.5"),
        ({"memory": "1GB"}, "memory is a whole number, not '1GB'"),
    ],
)
def test_arguments_of_another_type_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        Upscaler(**how)


@pytest.mark.usefixtures("network")
def test_a_result_is_an_array_of_its_own(noise: NDArray[np.uint8]) -> None:
    upscaler = Upscaler(Path("srresnet"), size=1)  # a name that came as a path
    result = upscaler.upscale(noise)
    assert np.array_equal(result, noise)
    assert not np.shares_memory(result, noise)
    assert upscaler.making(2).upscale(noise).shape == (2 * noise.shape[0], 2 * noise.shape[1], *noise.shape[2:])


@pytest.mark.usefixtures("network")
def test_an_open_file_is_a_picture_and_a_damaged_one_an_error(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    Image.fromarray(noise).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    with (tmp_path / "a.png").open("rb") as file:
        assert np.array_equal(np.asarray(srgan.upscale(file)), repeat(noise))
    with pytest.raises(PictureError, match=r"^the file: damaged: "):
        srgan.upscale(io.BytesIO(whole[:-50]))
    image = Image.open(io.BytesIO(whole[:-50]))  # which reads no more than the header
    with pytest.raises(PictureError, match=r"^a Pillow image: damaged, or closed: "):
        srgan.upscale(image)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("kind", ["array", "image", "path"])
def test_a_result_over_the_limit_is_refused_before_the_work(
    kind: str, tmp_path: Path, network: Nearest, noise: NDArray[np.uint8]
) -> None:
    image = Image.fromarray(noise)
    image.save(tmp_path / "a.png")
    pictures: dict[str, Any] = {"array": noise, "image": image, "path": tmp_path / "a.png"}
    with pytest.raises(TooLargeError) as raised:
        srgan.upscale(pictures[kind], size=1920)
    made = 4**12 * noise.shape[0] * noise.shape[1] / 1e6
    expected = f"the result: the network makes {made:,.6f} megapixels on the way to that size, more than the limit of"
    assert str(raised.value) == f"{expected} 3,000 megapixels; upscale_picture has none"
    assert network.shapes == []


@pytest.mark.usefixtures("network")
def test_a_result_that_lies_in_a_file_is_an_ordinary_array(
    noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = srgan.upscale(noise)
    monkeypatch.setattr("srgan.image.large.IN_MEMORY", 100)
    result = srgan.upscale(noise)
    assert type(result) is np.ndarray
    assert isinstance(result.max(), np.uint8)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.usefixtures("network")
def test_what_wraps_around_counts_in_that_limit(noise: NDArray[np.uint8], network: Nearest) -> None:
    """A pixel is enlarged seven times to that size, with two and more on each side of it."""
    with pytest.raises(TooLargeError, match=r"more than the limit of 3,000 megapixels; upscale_picture has none$"):
        srgan.Upscaler(size=4097, seamless=True).upscale(noise[:1, :1])
    assert network.shapes == []


@pytest.mark.usefixtures("network")
def test_errors_of_files_go_through(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file"):
        srgan.upscale(tmp_path / "gone.png")


@pytest.mark.parametrize("tile", [7, 8, 11, 20])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (7, 7), (8, 7), (23, 31), (20, 21), (2, 9)])
def test_tiles_give_exactly_the_whole(tile: int, height: int, width: int) -> None:
    network = Box()
    lr = np.random.default_rng(2).random((height, width, 3), dtype=np.float32)
    whole, tiled = (
        upscale_pixels(network, lr, plan_tiles(height, width, halo=3, tile=side, pixels=1), lambda: None)
        for side in (0, tile)
    )
    assert np.array_equal(whole, tiled)


def test_a_halo_that_is_too_narrow_would_be_noticed() -> None:
    lr = np.random.default_rng(2).random((23, 31), dtype=np.float32)
    whole, tiled = (
        upscale_pixels(Box(), lr, plan_tiles(23, 31, halo=2, tile=side, pixels=1), lambda: None) for side in (0, 11)
    )
    assert not np.array_equal(whole, tiled)


@pytest.mark.parametrize(("height", "width"), [(61, 47), (1, 90), (77, 1), (40, 40), (26, 25)])
@pytest.mark.parametrize("tile", [25, 33, 40])
def test_tiles_of_a_generator_are_the_whole_within_a_level(tiny_onnx: Path, height: int, width: int, tile: int) -> None:
    network = OpenVinoNetwork(tiny_onnx, precision="fp32")
    lr = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole = to_uint8(network(to_network(lr))[0].transpose(1, 2, 0))
    plan = plan_tiles(height, width, halo=network.halo, tile=tile, pixels=1)
    tiled = upscale_pixels(network, lr, plan, lambda: None)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert (tiled != whole).mean() < 1e-3


def test_tiles_of_the_papers_network_are_the_whole_within_a_level(paper_onnx: Path) -> None:
    lr = np.random.default_rng(4).integers(0, 256, (97, 121, 3), dtype=np.uint8)
    whole = Upscaler(paper_onnx, precision="fp32", tile=0).upscale(lr)
    tiled = Upscaler(paper_onnx, precision="fp32", tile=90).upscale(lr)
    assert whole.std() > 20
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_a_gray_picture_is_the_luma_of_what_the_network_makes_of_it(tiny_onnx: Path) -> None:
    gray = np.random.default_rng(5).integers(0, 256, (9, 8), dtype=np.uint8)
    sr = OpenVinoNetwork(tiny_onnx, precision="fp32")(to_network(gray))[0]
    expected = to_uint8(0.299 * sr[0] + 0.587 * sr[1] + 0.114 * sr[2])
    result = Upscaler(tiny_onnx, precision="fp32").upscale(gray)
    assert np.abs(result.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_gray_in_three_channels_is_what_it_is_in_one(tiny_onnx: Path, kind: type[np.generic]) -> None:
    lr = np.random.default_rng(5).integers(0, 256, (300, 8), dtype=np.uint8)
    gray = (lr / np.float32(255)).astype(kind) if kind is np.float32 else lr.astype(kind)
    upscaler = Upscaler(tiny_onnx, precision="fp32", size=3)
    result = upscaler.upscale(np.dstack([gray] * 3))
    assert result.dtype == kind
    np.testing.assert_array_equal(result, np.dstack([upscaler.upscale(gray)] * 3))


def test_one_pixel_of_colour_makes_a_picture_of_colours(tiny_onnx: Path) -> None:
    lr = np.full((300, 8, 3), 90, dtype=np.uint8)
    lr[299, 7, 2] += 1
    upscaler = Upscaler(tiny_onnx, precision="fp32")
    result = upscaler.upscale(lr)
    upscaler.keeps_gray = False
    np.testing.assert_array_equal(result, upscaler.upscale(lr))


def test_a_window_that_is_not_finite_is_computed_again_in_fp32(noise: NDArray[np.uint8]) -> None:
    plan = plan_tiles(13, 17, halo=0, tile=10, pixels=1)
    sr = upscale_pixels(Broken(since=2, fp32_too=False), noise, plan, lambda: None)
    assert np.array_equal(sr, repeat(noise))


def test_a_window_that_stays_not_finite_is_an_error_that_names_it(noise: NDArray[np.uint8]) -> None:
    plan = plan_tiles(13, 17, halo=0, tile=10, pixels=1)
    with pytest.raises(InferenceError, match=r"^tile 3 of 4 \(rows 3 to 12, columns 0 to 9\): .* not finite$"):
        upscale_pixels(Broken(since=3, fp32_too=True), noise, plan, lambda: None)


def test_a_network_that_fails_or_lies_is_an_error_that_names_the_tile(noise: NDArray[np.uint8]) -> None:
    class Failing(Nearest):
        def __call__(self, lr: Array) -> Array:
            super().__call__(lr)
            if len(self.shapes) == 2:
                raise RuntimeError("Exception from engine.cpp:\n out of luck \n")
            return np.zeros((1, 3, 40, 40), dtype=np.float32)

    class Lying(Nearest):
        def __call__(self, lr: Array) -> Array:
            return lr

    plan = plan_tiles(13, 17, halo=0, tile=10, pixels=1)
    with pytest.raises(InferenceError, match=r"^tile 2 of 4 \(.*\): fake failed: out of luck$"):
        upscale_pixels(Failing(), noise, plan, lambda: None)
    with pytest.raises(InferenceError, match=r"an array \(10, 10, 3\) where its card promises \(40, 40, 3\)"):
        upscale_pixels(Lying(), noise, plan, lambda: None)


def test_a_network_that_sees_far_gets_windows_that_are_large_enough(network: Nearest) -> None:
    network.halo = 30
    picture = np.random.default_rng(6).integers(0, 256, (200, 150), dtype=np.uint8)
    assert np.array_equal(Upscaler().upscale(picture), repeat(picture))
    assert {height * width <= 120 * 120 for _, _, height, width in network.shapes} == {True}


def test_an_impossible_tile_is_refused_at_once(tiny_onnx: Path) -> None:
    with pytest.raises(ArgumentError, match="a tile of 24 pixels is too small: this network needs more than 24, or 0"):
        Upscaler(tiny_onnx, tile=24)


def test_more_than_8_bits_are_computed_in_fp32(noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 every value of the result would be one of some hundred."""
    coarse, fine = Box(), Box()
    monkeypatch.setattr(coarse, "in_fp32", lambda: fine)
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: coarse)
    upscaler = Upscaler()
    deep = noise.astype(np.uint16) * 257
    upscaler.upscale(np.dstack([deep, deep[..., 0]]))
    assert (len(coarse.shapes), len(fine.shapes)) == (0, 2)
    upscaler.upscale(noise)
    assert (len(coarse.shapes), len(fine.shapes)) == (1, 2)


@pytest.mark.usefixtures("network")
def test_every_frame_of_an_animation_and_every_page_goes_through(noise: NDArray[np.uint8]) -> None:
    fractions: list[float] = []
    clear = np.zeros((13, 17), dtype=np.uint8)
    clear[3:9, 3:9] = 255
    pages = (Picture(noise[:5, :6, 0]), Picture(noise.astype(np.uint16)))
    picture = Picture(noise, clear, more=(Picture(noise[::-1], clear), *pages), timing=Timing((10, 20, 30, 40), 3))
    result = Upscaler().upscale_picture(picture, fractions.append)
    assert result.timing == picture.timing
    assert [frame.pixels.shape[:2] for frame in result.frames] == [(52, 68), (52, 68), (20, 24), (52, 68)]
    assert np.array_equal(result.frames[2].pixels, repeat(noise[:5, :6, 0]))
    assert np.array_equal(result.frames[3].pixels, noise.astype(np.uint16).repeat(4, 0).repeat(4, 1))
    seen = repeat(clear) == 255
    for frame, pixels in zip(result.frames, (noise, noise[::-1]), strict=False):
        assert frame.alpha is not None
        assert np.array_equal(frame.alpha, repeat(clear))
        assert np.array_equal(frame.pixels[seen], repeat(pixels)[seen])
    assert fractions == pytest.approx([step / 6 for step in range(1, 7)])


def test_of_an_animations_file_the_frame_that_is_given_back_is_enlarged_alone(
    tmp_path: Path, noise: NDArray[np.uint8], network: Nearest
) -> None:
    frames = [Image.fromarray(np.roll(noise, by, 0)) for by in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    result = srgan.upscale(tmp_path / "a.png")
    assert np.array_equal(np.asarray(result), noise.repeat(4, 0).repeat(4, 1))
    assert len(network.shapes) == 1


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_result_knows_what_made_it(tiny_onnx: Path, noise: NDArray[np.uint8], runtime: str) -> None:
    result = Upscaler(tiny_onnx, runtime=runtime).upscale_picture(Picture(noise))
    checksum = hashlib.sha256(tiny_onnx.read_bytes()).hexdigest()
    assert result.maker == Maker(f"srgan {srgan.__version__}", "tiny", checksum)


def test_what_needed_no_network_does_not_say_that_one_made_it(network: Nearest, noise: NDArray[np.uint8]) -> None:
    for size, model in ((Size(scale=1.1), "nearest"), (Size(scale=1), None), (Size(scale=0.5), None)):
        maker = Upscaler(size=size).upscale_picture(Picture(noise)).maker
        assert maker == Maker(f"srgan {srgan.__version__}", model, network.checksum if model else None)


def test_other_sizes_are_what_the_network_makes_resampled(noise: NDArray[np.uint8], network: Nearest) -> None:
    """The network repeats pixels: at a size that it reaches by repeating, nothing is left to resample."""
    lr = noise[:5, :6]
    assert np.array_equal(srgan.upscale(lr, size=16), repeat(lr, 16))
    assert [shape[2:] for shape in network.shapes] == [(5, 6), (20, 24)]
    network.shapes.clear()
    sizes: list[tuple[srgan.Size | float, tuple[int, int]]] = [
        (2, (10, 12)),
        (srgan.Size(width=18), (15, 18)),
        (srgan.Size(width=20, height=70, stretch=True), (70, 20)),
        (5, (25, 30)),
        (0.5, (2, 3)),
    ]
    for size, shape in sizes:
        assert Upscaler(size=size).upscale(lr).shape == (*shape, 3)
        assert Upscaler(size=size).upscale(np.dstack([lr, lr[..., 0]])).shape == (*shape, 4)
    assert len(network.shapes) == 3 * (1 + 1 + 2 + 2 + 0)


def test_progress_counts_every_pass(network: Nearest) -> None:
    fractions: list[float] = []
    Upscaler(size=16).upscale_picture(Picture(np.zeros((3, 4), dtype=np.uint8)), fractions.append)
    assert fractions == [0.5, 1]
    assert len(network.shapes) == 2


def test_a_consistent_upscaler_corrects_its_network(network: Nearest) -> None:
    lr = np.random.default_rng(4).integers(80, 170, (16, 16), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
    plain, corrected = (Upscaler(consistent=yes).upscale(lr) for yes in (False, True))
    errors = [np.abs(imresize(sr, scale=0.25).astype(int) - lr)[4:-4, 4:-4].max() for sr in (plain, corrected)]
    assert errors[0] > 5
    assert errors[1] <= 1
    assert len(network.shapes) == 2


@pytest.mark.usefixtures("shipped")
def test_what_a_picture_asks_for_is_loaded_when_it_comes(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    def made_by(upscaler: Upscaler, picture: Picture) -> str | None:
        maker = upscaler.upscale_picture(picture).maker
        assert maker is not None
        return maker.model

    pictures = {}
    for quality in (60, 95, 98):
        Image.fromarray(noise).save(tmp_path / "photo.jpg", quality=quality)
        pictures[quality] = read_picture(tmp_path / "photo.jpg")
    loaded: list[tuple[str, float | None]] = []

    def load(model: str, *, repair: float | None, **how: Any) -> Network:
        loaded.append((model, repair))
        return load_network(model, repair=repair, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srgan.inference.upscaler.load_network", load)
        upscaler = Upscaler()
        double = upscaler.making(Size(scale=2))
        assert made_by(upscaler, Picture(noise)) == made_by(upscaler, pictures[98]) == "srgan-plus"
        assert loaded == [("srgan-plus", None)]
        assert [made_by(each, pictures[60]) for each in (upscaler, double, upscaler)] == ["srgan-photo"] * 3
        assert [made_by(each, pictures[95]) for each in (upscaler, double)] == ["srgan-plus, repair 0.5"] * 2
        assert loaded == [("srgan-plus", None), ("srgan-photo", None), ("srgan-plus", 0.5)]
    assert made_by(Upscaler("srgan-plus"), pictures[60]) == "srgan-plus"
    assert made_by(Upscaler(detail=0.5), pictures[60]) == "srgan-plus, detail 0.5"
    assert made_by(Upscaler(repair=0.2), pictures[60]) == made_by(Upscaler(repair=0.2), Picture(noise))
    assert upscaler.doubt(pictures[60], upscaler.upscale_picture(pictures[60])).pixels.shape == (52, 68, 3)


def test_networks_that_a_picture_does_not_ask_for_rest(
    noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Resting(Nearest):
        rests = 0

        def rest(self) -> None:
            self.rests += 1

    made: list[Resting] = []

    def load(*_: Any, **__: Any) -> Resting:
        made.append(Resting())
        return made[-1]

    monkeypatch.setattr("srgan.inference.upscaler.load_network", load)
    upscaler = Upscaler("auto")
    upscaler.upscale_picture(Picture(noise))
    assert [network.rests for network in made] == [0]
    upscaler.upscale_picture(Picture(noise, metadata=Metadata(coding=Coding("JPEG", 50))))
    assert [network.rests for network in made] == [1, 0]
    upscaler.upscale_picture(Picture(noise))
    assert [network.rests for network in made] == [1, 1]
    upscaler.upscale(as_jpeg(references.chelsea()[1][100:180, 130:210], 50))  # an array that was a JPEG
    assert [network.rests for network in made] == [2, 1]


def test_a_jpeg_is_upscaled_as_by_the_network_that_it_gets(tmp_path: Path) -> None:
    hr, _ = references.chelsea()
    Image.fromarray(hr[70:100, 130:170]).save(tmp_path / "photo.jpg", quality=75)
    with Image.open(tmp_path / "photo.jpg") as opened:
        by_path, by_image, repaired, sharp = (
            np.asarray(each)
            for each in (
                srgan.upscale(tmp_path / "photo.jpg"),
                srgan.upscale(opened),
                srgan.upscale(opened, "srgan-photo"),
                srgan.upscale(opened, "srgan-plus"),
            )
        )
    np.testing.assert_array_equal(by_path, repaired)
    np.testing.assert_array_equal(by_image, repaired)
    assert np.abs(repaired.astype(int) - sharp).mean() > 1


@pytest.mark.usefixtures("shipped")
def test_doubt_is_a_map_of_the_results_size(noise: NDArray[np.uint8]) -> None:
    upscaler = Upscaler("srgan", size=2)
    picture = Picture(noise)
    result = upscaler.upscale_picture(picture)
    assert (upscaler.doubt(picture, result).pixels == (0, 0, 4)).all(), "two networks that are the same have no doubt"
    assert upscaler.doubt(picture, result).pixels.shape == (26, 34, 3)


def test_doubt_needs_a_network_to_compare_with(tiny_onnx: Path, noise: NDArray[np.uint8]) -> None:
    upscaler = Upscaler(tiny_onnx)
    with pytest.raises(ArgumentError, match="doubt compares srgan-plus, srgan-photo, srgan-deblur, srgan-fast"):
        upscaler.doubt(Picture(noise), upscaler.upscale_picture(Picture(noise)))


@pytest.mark.usefixtures("network")
def test_an_upscaler_of_another_size_is_as_consistent() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    corrected = Upscaler(size=2, consistent=True).upscale(noise)
    assert not np.array_equal(corrected, Upscaler(size=2).upscale(noise))
    np.testing.assert_array_equal(Upscaler(consistent=True).making(2).upscale(noise), corrected)
    np.testing.assert_array_equal(Upscaler().making(2, consistent=True).upscale(noise), corrected)


@pytest.mark.usefixtures("network")
def test_subclasses_of_arrays_and_paths_in_bytes_are_taken(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    upscaler = Upscaler()
    gray = noise[..., 0]
    with warnings.catch_warnings(action="ignore"):
        np.testing.assert_array_equal(upscaler.upscale(np.matrix(gray)), upscaler.upscale(gray))
    Image.fromarray(noise).save(tmp_path / "a.png")
    (entry,) = os.scandir(os.fsencode(tmp_path))
    np.testing.assert_array_equal(np.asarray(upscaler.upscale(entry)), upscaler.upscale(noise))  # type: ignore[arg-type]
    with (tmp_path / "a.png").open() as text, pytest.raises(PictureError, match="the file: is closed, or not open for"):
        upscaler.upscale(text)  # type: ignore[call-overload]
    with (tmp_path / "a.png").open("rb") as file:
        pass
    with pytest.raises(PictureError, match=r"the file: is closed, or not open for bytes: read of closed file"):
        upscaler.upscale(file)
    with pytest.raises(PictureError, match=r"the file: is not open for bytes"):
        upscaler.upscale(io.StringIO("text"))  # type: ignore[call-overload]


@pytest.mark.usefixtures("network")
def test_one_network_makes_several_sizes(noise: NDArray[np.uint8]) -> None:
    upscaler = Upscaler()
    double = upscaler.making(Size(scale=2), consistent=True)
    assert double.network is upscaler.network
    assert double.upscale(noise).shape == (26, 34, 3)
    np.testing.assert_array_equal(double.upscale(noise), Upscaler(size=2, consistent=True).upscale(noise))
    assert upscaler.upscale(noise).shape == (52, 68, 3)


def test_threads_that_share_one_get_each_its_own_picture(tiny_onnx: Path) -> None:
    upscaler = Upscaler(tiny_onnx)
    other = upscaler.making(Size(scale=4))
    noise = np.random.default_rng(5).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    expected = [upscaler.upscale(picture) for picture in noise]

    def wrong(number: int) -> int:
        upscale = (upscaler if number % 2 else other).upscale
        return sum(not np.array_equal(upscale(noise[number]), expected[number]) for _ in range(30))

    with ThreadPoolExecutor(len(noise)) as pool:
        assert list(pool.map(wrong, range(len(noise)))) == [0] * len(noise)


@pytest.mark.usefixtures("network")
def test_a_picture_may_be_begun_within_anothers_progress(noise: NDArray[np.uint8]) -> None:
    upscaler = Upscaler(tile=5)
    inner: list[NDArray[Any]] = []
    small = upscaler.making(Size(scale=4))
    upscaler.upscale_picture(Picture(noise), lambda _: inner.append(small.upscale(noise[:2, :2])))
    assert len(inner) > 1
    assert np.array_equal(inner[0], repeat(noise[:2, :2]))


def test_a_signal_is_heard_after_networks_that_ended(tiny_onnx: Path) -> None:
    """OpenVINO's plugins of a process gave back each other's stacks for signals: Ctrl-C was a segmentation fault."""
    program = f"""
import gc, signal
from srgan import Upscaler

first, second = Upscaler({str(tiny_onnx)!r}, runtime="openvino"), Upscaler({str(tiny_onnx)!r}, runtime="openvino")
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("heard"))
signal.raise_signal(signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_a_forked_process_goes_on_with_its_parents_network(tiny_onnx: Path, runtime: str) -> None:
    model = "srgan-fast" if runtime == "torch" else str(tiny_onnx)
    program = f"""
import os, threading, numpy as np, srgan
from srgan.image.picture import Picture
upscaler = srgan.Upscaler({model!r}, runtime={runtime!r})
levels = np.arange(120 * 96 * 3).astype(np.uint8).reshape(120, 96, 3)  # from 32,768 on PyTorch converts by OpenMP
pictures = levels, levels / np.float32(255)
before = [upscaler.upscale(picture) for picture in pictures]
begun, ended = threading.Event(), threading.Event()
def wait(_):
    begun.set()
    ended.wait()
threading.Thread(target=upscaler.upscale_picture, args=(Picture(levels), wait), daemon=True).start()
begun.wait()  # for a thread that is at a picture, and of which the fork knows nothing
if not (child := os.fork()):
    after = [upscaler.upscale(picture) for picture in pictures]
    upscaler.network.rest()
    os._exit(all(map(np.array_equal, before, after)))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    several = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False, env=several)
    assert done.returncode == 1, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_loads_what_another_picture_asks_for(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    Image.fromarray(noise).save(tmp_path / "poor.jpg", quality=50)
    program = f"""
import os, numpy as np, srgan
upscaler = srgan.Upscaler("auto-fast", runtime="torch")
upscaler.upscale(np.zeros((60, 60, 3), np.uint8))
if not (child := os.fork()):
    upscaler.upscale({str(tmp_path / "poor.jpg")!r})
    os._exit(3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    several = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False, env=several)
    assert done.returncode == 3, done.stderr


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("size", [0, float("nan"), float("inf"), "2", (8, 8)])
def test_a_size_that_cannot_be_is_refused(size: Any, noise: NDArray[np.uint8]) -> None:
    for make in (lambda: Upscaler(size=size), lambda: srgan.upscale(noise, size=size)):
        with pytest.raises(ArgumentError, match="is no size: a number more than 0"):
            make()


@pytest.mark.usefixtures("network")
def test_a_file_that_is_too_large_gets_no_advice_of_the_command_line(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 10_001, 8, 2, 0, 0, 0))
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b""))
    with pytest.raises(TooLargeError) as caught:
        srgan.upscale(tmp_path / "large.png")
    size = "20000x10001 are 200.02 megapixels, more than the limit of 200 megapixels"
    assert str(caught.value) == f"{tmp_path / 'large.png'}: too large: {size}; a Pillow image may have more"


def test_a_network_that_has_too_little_memory_has_not_failed() -> None:
    class Starving(Nearest):
        def __call__(self, lr: Array) -> Array:  # noqa: ARG002
            raise MemoryError

    with pytest.raises(MemoryError):
        upscale_pixels(Starving(), np.zeros((3, 4), np.uint8), plan_tiles(3, 4, halo=0, pixels=100), lambda: None)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_values_that_are_not_finite_are_seen_in_gray_and_in_16_bits_too(kind: type) -> None:
    lr: Pixels = (np.arange(12).reshape(3, 4) / (12 if kind is np.float32 else 1)).astype(kind)
    plan = plan_tiles(3, 4, halo=0, pixels=100)
    sr = upscale_pixels(Broken(fp32_too=False), lr, plan, lambda: None)
    assert np.allclose(sr, lr.repeat(4, 0).repeat(4, 1))
    with pytest.raises(InferenceError, match="the network gives values that are not finite"):
        upscale_pixels(Broken(fp32_too=True), lr, plan, lambda: None)


@pytest.mark.usefixtures("network")
def test_doubt_is_of_networks_that_are_asked_for_the_same(noise: NDArray[np.uint8]) -> None:
    picture = Picture(noise)
    upscaler = Upscaler()
    assert (upscaler.doubt(picture, upscaler.upscale_picture(picture)).pixels == (0, 0, 4)).all()
    double = upscaler.making(2, consistent=True)
    assert (double.doubt(picture, double.upscale_picture(picture)).pixels == (0, 0, 4)).all()


def test_windows_in_fp32_have_the_pixels_that_their_memory_is_enough_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wide(Nearest):
        pixel_bytes = 4_000

    class Narrow(Nearest):
        def in_fp32(self) -> Nearest:
            return wide

    narrow, wide = Narrow(), Wide()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: narrow)
    upscaler = Upscaler(memory=Nearest.own_bytes + 100 * Nearest.pixel_bytes)
    for kind, network, pixels in ((np.uint8, narrow, 100), (np.uint16, wide, 25)):
        upscaler.upscale(np.zeros((50, 50, 3), kind))
        assert max(height * width for _, _, height, width in network.shapes) == pixels
