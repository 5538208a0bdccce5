from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runs
from srgan.data.degradation import Degradation
from srgan.data.store import prepare_store
from srgan.image.resize import imresize
from srgan.training.validation import held_out_pairs


@pytest.mark.parametrize(("own", "top", "left"), [(False, 6, 14), (True, 4, 12)])
def test_a_crop_is_the_middle_and_begins_at_a_pixel_of_lr_where_a_picture_has_its_own(
    tmp_path: Path, top: int, left: int, *, own: bool
) -> None:
    """Half of 44 - 32 is 6 and of 60 - 32 is 14; 4 and 12 are the multiples of 4 before them."""
    folder, small = runs.photographs(tmp_path / "in", count=1, size=(44, 60)), tmp_path / "small"
    small.mkdir()
    lr = runs.scene(11, 15, seed=9)
    Image.fromarray(lr).save(small / "00.png")
    store = prepare_store([str(folder)], tmp_path / "cache", min_side=32, lr=small if own else None)
    (pair,) = held_out_pairs(store, store.entries, crop=32, scale=4)
    hr = runs.scene(44, 60, seed=0)[top : top + 32, left : left + 32]
    assert np.array_equal(pair.hr, hr)
    assert np.array_equal(pair.lr, lr[1:9, 3:11] if own else imresize(hr, scale=0.25))
    assert pair.scale == 4


def test_each_picture_that_is_held_out_is_degraded_in_the_same_way_of_its_own_at_every_start(tmp_path: Path) -> None:
    store, degradation = runs.store(tmp_path), Degradation(noise=20.0)
    pairs = held_out_pairs(store, store.entries, crop=32, scale=4, degradation=degradation)
    clean = [imresize(pair.hr, scale=0.25) for pair in pairs]
    for number, (pair, lr) in enumerate(zip(pairs, clean, strict=True)):
        assert np.array_equal(pair.lr, degradation(lr, np.random.default_rng(number)))
    assert any(not np.array_equal(pair.lr, lr) for pair, lr in zip(pairs, clean, strict=True))


def test_a_picture_that_is_no_multiple_of_the_scale_is_cropped_to_one(tmp_path: Path) -> None:
    store = runs.store(tmp_path, count=1, size=(46, 62))
    (pair,) = held_out_pairs(store, store.entries, crop=192, scale=4)
    assert (pair.hr.shape, pair.lr.shape) == ((44, 60, 3), (11, 15, 3))
    assert np.array_equal(pair.hr, runs.scene(46, 62, seed=0)[1:45, 1:61])
