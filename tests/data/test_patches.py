from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srgan.data.degradation import Degradation
from srgan.data.patches import PatchSampler
from srgan.data.store import Store, prepare_store
from srgan.errors import ArgumentError, DataError
from srgan.image.resize import imresize

SIZES = [(26, 31), (16, 40), (23, 19)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Noise, so that every place of every picture is another; sizes that are no multiples of the scale."""
    random = np.random.default_rng(0)
    for i, size in enumerate(SIZES):
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return prepare_store([str(tmp_path)], tmp_path / "cache", min_side=16)


@pytest.fixture
def paired(store: Store, tmp_path: Path) -> Store:
    """The same, with low-resolution pictures that are noise of their own."""
    random = np.random.default_rng(1)
    for i, entry in enumerate(store.entries):
        pixels = random.integers(0, 256, (entry.height // 4, entry.width // 4, 3), dtype=np.uint8)
        (tmp_path / "small").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "small" / f"{i}x4.png")
    return prepare_store([str(tmp_path / "[012].png")], tmp_path / "cache", min_side=16, lr=tmp_path / "small")


def sampler(store: Store, *, patch_size: int = 16, scale: int = 4, seed: int = 0, **options: Any) -> PatchSampler:
    return PatchSampler(store, store.entries, patch_size=patch_size, scale=scale, seed=seed, **options)


def levels(picture: Tensor) -> NDArray[np.uint8]:
    """Return (3, H, W) in [0, 1] as (H, W, 3) uint8, which must lose nothing."""
    values = picture.permute(1, 2, 0).numpy()
    whole = (values * 255).round().astype(np.uint8)
    assert np.array_equal(whole.astype(np.float32) / 255, values)
    return whole


def flips_and_turns(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    turned = [np.rot90(picture, k) for k in range(4)]
    return turned + [t[:, ::-1] for t in turned]


@pytest.mark.parametrize(
    ("pictures", "patch_size", "scale", "candidates"),
    [
        *(("store", *numbers) for numbers in [(16, 4, 1), (12, 4, 1), (8, 2, 1), (4, 4, 1), (16, 4, 2)]),
        *(("store", *numbers) for numbers in [(16, 1, 1), (15, 3, 1)]),
        *(("paired", *numbers) for numbers in [(16, 4, 1), (16, 4, 2)]),
    ],
)
def test_a_patch_is_a_place_of_its_picture_and_lr_the_same_place_of_the_pictures_lr(
    request: pytest.FixtureRequest, pictures: str, patch_size: int, scale: int, candidates: int
) -> None:
    """Up to the borders, in all flips and turns, and every place is met.

    Bit for bit, but that of a third values half way between two levels, whose sums are not exact, become either.
    """
    store: Store = request.getfixturevalue(pictures)
    places: dict[bytes, tuple[NDArray[np.uint8], tuple[int, ...]]] = {}
    for i, entry in enumerate(store.entries):
        picture = store.picture(entry)
        hr = picture[: entry.height // scale * scale, : entry.width // scale * scale]
        own, small = store.lr(entry), patch_size // scale
        lr = imresize(hr, scale=1 / scale) if own is None else own
        assert (own is None) == (pictures == "store")
        for top in range(lr.shape[0] - small + 1):
            for left in range(lr.shape[1] - small + 1):
                y, x = top * scale, left * scale
                patches = [hr[y : y + patch_size, x : x + patch_size], lr[top : top + small, left : left + small]]
                for turn, (high, low) in enumerate(zip(*map(flips_and_turns, patches), strict=True)):
                    places[high.tobytes()] = (low, (i, top, left, turn))
    source = sampler(store, patch_size=patch_size, scale=scale, candidates=candidates)
    met = set()
    for step in range(40):
        lr_batch, hr_batch = source.batch(step, 64)
        for lr_patch, hr_patch in zip(lr_batch, hr_batch, strict=True):
            low, place = places[levels(hr_patch).tobytes()]
            difference = np.abs(levels(lr_patch).astype(int) - low)
            assert difference.max() <= (scale == 3), place
            assert (difference > 0).mean() < 0.1
            met.add(place)
    wanted = {place[:3] for _, place in places.values()}
    assert {place[:3] for place in met} == wanted
    assert {place[3] for place in met} == set(range(8))


def test_shapes_and_type(store: Store) -> None:
    lr, hr = sampler(store).batch(0, 5)
    assert (lr.shape, hr.shape) == ((5, 3, 4, 4), (5, 3, 16, 16))
    assert lr.dtype == hr.dtype == torch.float32


def test_a_sample_is_a_function_of_seed_step_and_number(store: Store) -> None:
    first, again = sampler(store), sampler(store)
    again.batch(3, 7)  # no state: what was drawn before does not matter
    for a, b in zip(first.batch(9, 16), again.batch(9, 16), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(first.batch(9, 16), again.batch(9, 4), strict=True):
        assert torch.equal(a[:4], b)
    assert not torch.equal(first.batch(9, 16)[1], first.batch(10, 16)[1])
    assert not torch.equal(first.batch(9, 16)[1], sampler(store, seed=1).batch(9, 16)[1])


@pytest.mark.parametrize("options", [{}, {"degradation": Degradation((30, 90), 8.0)}, {"grain": 8.0}])
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_a_batch(store: Store, world: int, options: dict[str, Any]) -> None:
    source = sampler(store, **options)
    whole = source.batch(5, 12)
    for rank in range(world):
        part = source.batch(5, 12, rank=rank, world=world)
        for a, b in zip(part, whole, strict=True):
            assert torch.equal(a, b[rank::world])


def test_of_candidates_the_one_with_most_detail_is_kept(tmp_path: Path) -> None:
    """Three pictures of one size and one noise, once, twice and thrice as strong.

    The strongest is kept unless both candidates are of the others, the weakest only if both are: 5/9 and 1/9.
    """
    noise = np.random.default_rng(0).integers(-40, 41, (24, 24, 3))
    for strength in (1, 2, 3):
        Image.fromarray((128 + strength * noise).astype(np.uint8)).save(tmp_path / f"{strength}.png")
    three = prepare_store([str(tmp_path)], tmp_path / "cache", min_side=16)
    hr = sampler(three, candidates=2).batch(0, 9000)[1]
    strengths = (hr.std((1, 2, 3)) * 255 / noise.std()).round().int()
    assert strengths.bincount().tolist()[1:] == pytest.approx([1000, 3000, 5000], rel=0.06)


def test_grain_is_as_strong_as_told_most_in_mid_gray_and_the_lr_is_of_the_grainy_hr(tmp_path: Path) -> None:
    """Flat pictures show nothing but grain, and an lr that is imresize's of its hr at all but the border."""
    for tone in (0, 64, 128, 255):
        Image.new("RGB", (120, 120), (tone,) * 3).save(tmp_path / f"{tone}.png")
    flat = prepare_store([str(tmp_path)], tmp_path / "cache", min_side=64)
    lr, hr = sampler(flat, patch_size=64, grain=40.0).batch(0, 2000)
    assert torch.equal(hr[:, 0], hr[:, 1])
    assert torch.equal(hr[:, 0], hr[:, 2])
    tones = (hr[:, 0].mean((1, 2)) * 255).round()
    deviations = hr[:, 0].std((1, 2)) * 255
    for tone, factor in ((0, 0.0), (64, 2 * (64 / 255 * 191 / 255) ** 0.5), (128, 1.0), (255, 0.0)):
        those = deviations[(tones - tone).abs() < 3]
        assert 400 < len(those) < 600
        assert those.mean().item() == pytest.approx(20 * factor, rel=0.08)
        assert those.min().item() < 1
        assert those.max().item() == pytest.approx(40 * factor, rel=0.05)
    places = torch.unique(hr[deviations > 4].flatten(1), dim=0)
    assert len(places) == int((deviations > 4).sum())
    for low, high in zip(lr[:20], hr[:20], strict=True):
        off = imresize(levels(high), scale=0.25)[2:-2, 2:-2].astype(int) - levels(low)[2:-2, 2:-2]
        assert np.abs(off).max() <= 1  # a turned patch's lr was rounded along its other axis first
    assert torch.equal(sampler(flat, patch_size=64, grain=40.0).batch(0, 9)[1], hr[:9])
    assert not torch.equal(sampler(flat, patch_size=64, grain=40.0).batch(1, 9)[1], hr[:9])


def test_grain_is_that_of_the_mean_of_red_green_and_blue(tmp_path: Path) -> None:
    """Of 120 here, where red alone, 200, would have less of it, and blue, 60, as well."""
    Image.new("RGB", (40, 40), (200, 100, 60)).save(tmp_path / "flat.png")
    flat = prepare_store([str(tmp_path)], tmp_path / "cache", min_side=32)
    hr = sampler(flat, patch_size=32, grain=10.0).batch(0, 200)[1] * 255
    noise = hr - torch.tensor([200.0, 100.0, 60.0]).view(3, 1, 1)
    assert (noise - noise[:, :1]).abs().max() < 1.01  # but for what is half way between two levels
    strongest = 10 * 2 * (120 / 255 * 135 / 255) ** 0.5
    assert noise[:, 0].std((1, 2)).max().item() == pytest.approx(strongest, rel=0.07)


def test_the_lr_side_alone_is_degraded_each_sample_by_draws_of_its_own(store: Store) -> None:
    degradation = Degradation((30, 90), 8.0)
    degraded = sampler(store, degradation=degradation)
    (lr, hr), (clean, same) = (source.batch(3, 100) for source in (degraded, sampler(store)))
    assert torch.equal(hr, same)
    assert lr.dtype == torch.float32
    assert [levels(patch).shape for patch in lr] == [(4, 4, 3)] * 100
    changed = (lr != clean).flatten(1).any(1)
    assert 70 <= int(changed.sum()) <= 90  # a fifth stays clean
    errors = (lr - clean)[changed]
    assert len(torch.unique(errors, dim=0)) == len(errors)


def test_lr_of_their_own_is_of_all_pictures_a_quarter_as_large_and_of_clean_ones(paired: Store) -> None:
    said = "lr of their own is of all pictures or none, 4 times as small, and without grain"
    for options in ({"grain": 8.0}, {"scale": 2}):
        with pytest.raises(DataError, match=said):
            sampler(paired, **options)
    some = [paired.entries[0], replace(paired.entries[1], lr_offset=None)]
    with pytest.raises(DataError, match=said):
        PatchSampler(paired, some, patch_size=16, scale=4, seed=0)


def test_patches_that_do_not_fit_are_errors(store: Store) -> None:
    with pytest.raises(DataError, match="patch_size 18 is not a multiple of the scale 4"):
        sampler(store, patch_size=18)
    with pytest.raises(DataError, match=r"1\.png: 40x16, smaller than the patch size 20"):
        sampler(store, patch_size=20)
    with pytest.raises(DataError, match="no pictures to cut patches of"):
        PatchSampler(store, [], patch_size=16, scale=4, seed=0)
    for name, options in {
        "patch_size 0": {"patch_size": 0},
        "scale 0": {"scale": 0},
        "candidates 0": {"candidates": 0},
    }.items():
        with pytest.raises(ArgumentError, match=f"{name} is under 1"):
            sampler(store, **options)


@pytest.mark.parametrize(("options", "side"), [({"degradation": Degradation((), 8.0)}, 0), ({"grain": 8.0}, 1)])
def test_noise_and_grain_are_drawn_anew_at_every_step(tmp_path: Path, options: dict[str, Any], side: int) -> None:
    """Every patch of a flat picture is the same one, however turned: what differs in its levels was drawn."""
    Image.new("RGB", (16, 16), (128,) * 3).save(tmp_path / "flat.png")
    flat = sampler(prepare_store([str(tmp_path)], tmp_path / "cache", min_side=16), **options)
    one, other = (flat.batch(step, 8)[side].flatten(1).sort().values for step in (0, 1))
    assert not torch.equal(one, other)
