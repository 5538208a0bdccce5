import io
import json
import os
import shutil
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runs import photographs, scene
from srgan.data import store as store_module
from srgan.data.store import Store, open_store, prepare_store
from srgan.errors import DataError
from srgan.image.picture import Limits


def names(store: Store) -> list[str]:
    return [Path(entry.name).name for entry in store.entries]


def prepare(*sources: Path | str, cache: Path, min_side: int = 16, **options: object) -> Store:
    return prepare_store([str(s) for s in sources], cache, min_side=min_side, **options)  # type: ignore[arg-type]


def test_a_folder_is_read_recursively_in_order(tmp_path: Path) -> None:
    photographs(tmp_path / "in" / "b", count=2)
    photographs(tmp_path / "in" / "a", count=1, size=(20, 24))
    (tmp_path / "in" / "readme.txt").write_text("no picture")
    photographs(tmp_path / "in" / ".thumbs", count=1)
    (tmp_path / "in" / "b" / "._00.png").write_bytes(b"of macOS")
    store = prepare(tmp_path / "in", cache=tmp_path / "cache")
    assert [(e.height, e.width) for e in store.entries] == [(20, 24), (48, 64), (48, 64)]
    assert np.array_equal(store.picture(store.entries[0]), scene(20, 24, seed=0))
    assert np.array_equal(store.picture(store.entries[2]), scene(48, 64, seed=1))


def test_links_to_folders_are_followed_each_folder_once(tmp_path: Path) -> None:
    away = photographs(tmp_path / "away", count=2)
    folder = photographs(tmp_path / "in", count=1)
    (folder / "more").symlink_to(away)
    (folder / "again").symlink_to(folder)
    (away / "back").symlink_to(folder)
    assert names(prepare(folder, cache=tmp_path / "cache")) == ["00.png", "00.png", "01.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root searches every folder")
def test_a_folder_that_cannot_be_searched_is_an_error(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "in", count=1)
    closed = photographs(folder / "closed", count=1)
    closed.chmod(0)
    try:
        with pytest.raises(DataError, match="closed: Permission denied"):
            prepare(folder, cache=tmp_path / "cache")
    finally:
        closed.chmod(0o755)


def test_no_name_is_not_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photographs(tmp_path / "in", count=1))
    with pytest.raises(DataError, match=r"^'': no such file, folder or pattern"):
        prepare("", cache=tmp_path / "cache")


def test_tars_globs_pictures_and_stores(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "in", count=3)
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(folder, arcname="photos.png")  # a folder may be called so
        note = tarfile.TarInfo("note.txt")
        note.size = 2
        tar.addfile(note, io.BytesIO(b"no"))
    cache = tmp_path / "cache"
    from_tar = prepare(tmp_path / "photos.tar", cache=cache)
    assert names(from_tar) == ["00.png", "01.png", "02.png"]
    from_glob = prepare(folder / "0[02].png", cache=cache)
    assert names(from_glob) == ["00.png", "02.png"]
    both = prepare(folder / "01.png", tmp_path / "photos.tar", cache=cache)
    assert names(both) == ["01.png", "00.png", "01.png", "02.png"]
    (ready,) = [p for p in cache.iterdir() if len(open_store(p).entries) == 2]
    assert prepare(ready, cache=tmp_path / "unused").entries == from_glob.entries
    assert not (tmp_path / "unused").exists()


def test_a_tar_and_a_glob_have_what_their_folder_has(tmp_path: Path) -> None:
    """Not what is hidden, nor what is in LRx4; and a picture that several sources name is there once."""
    folder = photographs(tmp_path / "in", count=2)
    photographs(folder / "LRx4", count=2, size=(32, 32))
    photographs(folder / ".thumbs", count=1)
    shutil.copy(folder / "00.png", folder / "._00.png")
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(folder, arcname=".")
    for sources in ([tmp_path / "photos.tar"], [folder / "*"], [folder, folder / "00.png", folder / "../in"]):
        assert names(prepare(*sources, cache=tmp_path / "cache")) == ["00.png", "01.png"]


def test_a_photograph_as_upscale_takes_it_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Larger than Pillow's own limit, with a tag that Pillow cannot write; over srgan's limit it is left out."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    directory = struct.pack("<HHHIIHHII", 2, 0x0112, 3, 1, 6, 0x0128, 1, 1, 2) + bytes(4)
    (tmp_path / "in").mkdir()
    Image.fromarray(scene(20, 30, seed=0)).save(tmp_path / "in/a.png", exif=b"Exif\0\0II*\0\x08\0\0\0" + directory)
    store = prepare(tmp_path / "in", cache=tmp_path / "cache")
    assert np.array_equal(store.picture(store.entries[0]), np.rot90(scene(20, 30, seed=0), -1))
    monkeypatch.setattr(Limits, "input_pixels", 599)
    with pytest.raises(DataError, match="no usable picture"):
        prepare(tmp_path / "in", cache=tmp_path / "other")
    assert "a.png: 30x20, more than 599 pixels" in capsys.readouterr().err


def test_pictures_with_low_resolution_ones_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, lr = photographs(tmp_path / "in", count=3, size=(50, 64)), tmp_path / "in" / "LRx4"
    small = [scene(12, 16, seed=10 + i) for i in range(3)]
    plain = prepare(folder, cache=tmp_path / "cache")
    lr.mkdir()
    for i, (name, pixels) in enumerate(zip(["00.png", "01x4.png", "02_x4.png"], small, strict=True)):
        Image.fromarray(pixels if i else pixels[:, :15]).save(lr / name)
    store = prepare(folder, cache=tmp_path / "cache", lr=lr)
    assert f"left out: {folder}/00.png: its low-resolution picture: 15x12 is not a quarter of 64x50" in (
        capsys.readouterr().err
    )
    assert names(store) == ["01.png", "02.png"]
    for i, entry in enumerate(store.entries, 1):
        assert np.array_equal(store.picture(entry), scene(50, 64, seed=i))
        own = store.lr(entry)
        assert own is not None
        assert np.array_equal(own, small[i])
    assert plain.lr(plain.entries[0]) is None
    Image.fromarray(small[0]).save(lr / "00.png")
    whole = prepare(folder, cache=tmp_path / "cache", lr=lr)
    assert names(whole) == names(plain)
    assert whole.identity() != plain.identity()
    before = prepare(folder, cache=tmp_path / "cache")  # LRx4's are no pictures beside it
    assert before.entries == plain.entries


def test_a_store_with_lr_is_another_than_one_with_these_as_originals(tmp_path: Path) -> None:
    folder, small = photographs(tmp_path / "in", count=2, size=(48, 64)), tmp_path / "small"
    photographs(small, count=2, size=(12, 16))
    cache = tmp_path / "cache"
    beside = prepare(folder, cache=cache, min_side=8, originals=[str(small)])
    paired = prepare(folder, cache=cache, min_side=8, lr=small)
    assert len(beside.entries) == 4
    assert [entry.lr_offset is not None for entry in paired.entries] == [True, True]


def test_a_gray_photograph_may_have_a_gray_lr_of_its_own_and_one_in_colours_may_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "in", count=1)
    Image.fromarray(scene(48, 64, seed=1)[..., 0]).save(folder / "gray.png")
    (tmp_path / "small").mkdir()
    for name in ("00.png", "gray.png"):
        Image.fromarray(scene(12, 16, seed=2)[..., 0]).save(tmp_path / "small" / name)
    store = prepare(folder, cache=tmp_path / "cache", lr=tmp_path / "small")
    assert names(store) == ["gray.png"]
    own = store.lr(store.entries[0])
    assert own is not None
    assert np.array_equal(own, scene(12, 16, seed=2)[..., :1].repeat(3, 2))
    said = f"left out: {folder}/00.png: its low-resolution picture: gray where it has colours\n"
    assert said in capsys.readouterr().err


def test_a_picture_is_the_lr_of_one_alone(tmp_path: Path) -> None:
    for name in ("x", "y"):
        photographs(tmp_path / "in" / name, count=1, size=(48, 64))
    photographs(tmp_path / "small", count=1, size=(12, 16))
    with pytest.raises(DataError, match=r"small/00\.png would be for .*x/00\.png and for .*y/00\.png"):
        prepare(tmp_path / "in", cache=tmp_path / "cache", lr=tmp_path / "small")
    small = {name: photographs(tmp_path / "mirrored" / name, count=1, size=(12, 16)) for name in ("x", "y")}
    Image.fromarray(scene(12, 16, seed=9)).save(small["y"] / "00.png")
    store = prepare(tmp_path / "in", cache=tmp_path / "cache", lr=tmp_path / "mirrored")
    for entry, seed in zip(store.entries, (0, 9), strict=True):
        own = store.lr(entry)
        assert own is not None
        assert np.array_equal(own, scene(12, 16, seed=seed))
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        prepare(tmp_path / "in", cache=tmp_path / "cache", lr=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"sizes": [1.0, 0.75]}, "small: low-resolution pictures are of pictures in their own size"),
        ({"originals": ["in"]}, "small: low-resolution pictures are of pictures in their own size"),
        ({}, r"small: no picture for 00\.png, nor for 2 more$"),
    ],
)
def test_low_resolution_pictures_that_cannot_be(tmp_path: Path, options: dict[str, Any], line: str) -> None:
    folder = photographs(tmp_path / "in", count=3)
    (tmp_path / "small").mkdir()
    options = {name: [str(folder)] if name == "originals" else value for name, value in options.items()}
    with pytest.raises(DataError, match=line):
        prepare(folder, cache=tmp_path / "cache", lr=tmp_path / "small", **options)
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(folder)
    with pytest.raises(DataError, match=r"photos\.tar: pictures in a tar have no low-resolution ones"):
        prepare(tmp_path / "photos.tar", cache=tmp_path / "cache", lr=tmp_path / "small")


def test_pictures_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photographs(tmp_path / "in", count=2)
    first = prepare(folder, cache=tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr("srgan.data.store._decode", lambda *_, **__: pytest.fail("decoded again"))
        assert prepare(folder, cache=tmp_path / "cache").entries == first.entries
    photographs(folder, count=3)
    assert len(prepare(folder, cache=tmp_path / "cache").entries) == 3


def test_what_is_asked_for_otherwise_is_decoded_again(tmp_path: Path) -> None:
    folder, cache = photographs(tmp_path / "in", count=1), tmp_path / "cache"
    Image.fromarray(scene(24, 32, seed=1)).save(folder / "small.png")
    Image.fromarray(scene(48, 64, seed=2)[..., 0]).save(folder / "gray.png")
    found = [
        names(prepare(folder, cache=cache, min_side=min_side, gray=gray))
        for min_side, gray in ((16, "convert"), (32, "convert"), (16, "skip"), (32, "skip"))
    ]
    assert found == [
        ["00.png", "gray.png", "small.png"],
        ["00.png", "gray.png"],
        ["00.png", "small.png"],
        ["00.png"],
    ]
    assert len(list(cache.iterdir())) == 4


def test_a_picture_that_was_changed_is_decoded_again(tmp_path: Path) -> None:
    """Its name and length stay, as those of a BMP do: the time tells."""
    (tmp_path / "in").mkdir()
    picture, lengths = tmp_path / "in" / "a.bmp", set()
    for seed in (0, 1):
        Image.fromarray(scene(20, 24, seed=seed)).save(picture)
        os.utime(picture, ns=(10**18, 10**18 + seed))
        lengths.add(picture.stat().st_size)
        store = prepare(tmp_path / "in", cache=tmp_path / "cache")
        assert np.array_equal(store.picture(store.entries[0]), scene(20, 24, seed=seed))
    assert len(lengths) == 1


def test_pictures_are_made_smaller_by_lanczos(tmp_path: Path) -> None:
    """Its weights written out: sinc(x) sinc(x / 3) up to 3 pixels away, of those that there are; to one rounding."""
    line = np.full(64, 100.0)
    line[31], line[40:] = 200, 160
    away = (np.arange(64) + 0.5 - (2 * np.arange(32)[:, None] + 1)) / 2
    weights = np.where(np.abs(away) < 3, np.sinc(away) * np.sinc(away / 3), 0)
    expected = weights @ line / weights.sum(axis=1)
    (tmp_path / "in").mkdir()
    Image.fromarray(line.astype(np.uint8)[None].repeat(48, 0)).save(tmp_path / "in" / "line.png")
    store = prepare(tmp_path / "in", cache=tmp_path / "cache", sizes=[0.5])
    half = store.picture(store.entries[1])
    assert half.shape == (24, 32, 3)
    assert np.abs(half - expected[:, None]).max() < 0.51


def test_pictures_are_kept_in_smaller_sizes_too(tmp_path: Path) -> None:
    """Halving a ramp gives the means of its pairs, away from the border; 20 pixels of 40 are under min_side."""
    ramp = np.arange(64, dtype=np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2) * 4
    (tmp_path / "in").mkdir()
    Image.fromarray(ramp).save(tmp_path / "in" / "ramp.png")
    Image.fromarray(scene(40, 90, seed=0)).save(tmp_path / "in" / "scene.png")
    store = prepare(tmp_path / "in", cache=tmp_path / "cache", min_side=24, sizes=[0.5, 1.0, 0.75])
    assert [(Path(e.name).stem, e.size, e.height, e.width) for e in store.entries] == [
        ("ramp", 1.0, 48, 64),
        ("ramp", 0.75, 36, 48),
        ("ramp", 0.5, 24, 32),
        ("scene", 1.0, 40, 90),
        ("scene", 0.75, 30, 68),
    ]
    assert np.array_equal(store.picture(store.entries[0]), ramp)
    assert np.array_equal(store.picture(store.entries[3]), scene(40, 90, seed=0))
    half = store.picture(store.entries[2])
    assert (half[:, 4:-4] == np.arange(2, 254, 8)[4:-4, None]).all()
    assert len(prepare(tmp_path / "in", cache=tmp_path / "cache", min_side=24).entries) == 2


def test_a_picture_held_out_is_trained_on_in_no_size(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "in", count=6)
    store = prepare(folder, cache=tmp_path / "cache", sizes=[0.75, 0.5])
    inside, outside = store.split(2, [0.75, 0.5])
    assert [(Path(e.name).stem, e.size) for e in outside] == [("01", 1.0), ("04", 1.0)]
    assert [(Path(e.name).stem, e.size) for e in inside] == [
        (name, size) for name in ("00", "02", "03", "05") for size in (0.75, 0.5)
    ]
    with pytest.raises(DataError, match=r"no picture to train on is large enough, or decoded, in size 0\.25"):
        store.split(2, [0.5, 0.25])


def test_originals_are_trained_on_in_their_own_size_and_never_held_out(tmp_path: Path) -> None:
    photos, grain, cache = photographs(tmp_path / "in", count=6), tmp_path / "grain", tmp_path / "cache"
    photographs(grain, count=1)
    Image.fromarray(scene(48, 64, seed=9)).save(grain / "01.png")
    shutil.copy(photos / "01.png", grain / "held.png")  # out, under another name
    beside = [str(grain / "00.png"), str(grain / "01.png"), str(grain / "01.png")]
    alone = prepare(photos, cache=cache, sizes=[0.5])
    store = prepare(photos, cache=cache, sizes=[0.5], originals=[str(grain / "held.png"), *beside])
    inside, outside = store.split(2, [0.5])
    assert [e.name for e in outside] == [e.name for e in alone.split(2, [0.5])[1]]
    assert [(e.name, e.size, e.height) for e in inside if e.original] == [(name, 1.0, 48) for name in beside]
    assert [(Path(e.name).stem, e.size) for e in inside if not e.original] == [
        (name, 0.5) for name in ("00", "02", "03", "05")
    ]
    assert np.array_equal(store.picture(inside[-1]), np.asarray(Image.open(grain / "01.png")))
    assert {e.name for e in prepare(photos, cache=cache, originals=[str(photos)]).split(2)[0]} == {
        str(photos / f"{name}.png") for name in ("00", "02", "03", "05")
    }


def test_a_photograph_that_is_there_by_two_paths_is_one(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", count=6)
    shutil.copytree(photos, tmp_path / "copy")
    alone = prepare(photos, cache=tmp_path / "cache").split(2)[1]
    inside, outside = prepare(photos, tmp_path / "copy", cache=tmp_path / "cache").split(2)
    assert [e.name for e in outside] == [e.name for e in alone]
    assert sorted(Path(e.name).stem for e in inside) == ["00", "00", "02", "02", "03", "03", "05", "05"]


def test_a_store_takes_no_source_beside_it(tmp_path: Path) -> None:
    folder, cache = photographs(tmp_path / "in", count=2), tmp_path / "cache"
    prepare(folder, cache=cache)
    (store,) = cache.iterdir()
    for sources, originals in (([store, folder], []), ([store], [folder]), ([folder], [store])):
        with pytest.raises(DataError, match=rf"{store}: a store stands alone"):
            prepare(*sources, cache=cache, originals=[str(o) for o in originals])


def test_gray_palette_and_turned_pictures_become_rgb(tmp_path: Path) -> None:
    plane = scene(20, 30, seed=0)[..., 0]
    (tmp_path / "in").mkdir()
    Image.fromarray(plane).save(tmp_path / "in" / "gray.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(plane).save(tmp_path / "in" / "turned.png", exif=turned)
    Image.fromarray(scene(20, 30, seed=1)).convert("P").save(tmp_path / "in" / "palette.png")
    store = prepare(tmp_path / "in", cache=tmp_path / "cache")
    pictures = {Path(e.name).stem: store.picture(e) for e in store.entries}
    assert {name: p.shape for name, p in pictures.items()} == {
        "gray": (20, 30, 3),
        "palette": (20, 30, 3),
        "turned": (30, 20, 3),
    }
    assert (pictures["gray"] == plane[..., None]).all()
    assert (pictures["turned"] == np.rot90(plane, -1)[..., None]).all()


def test_gray_pictures_are_skipped_where_the_recipe_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photographs(tmp_path / "in", count=1)
    gray = Image.fromarray(scene(20, 30, seed=0)[..., 0])
    for mode in ("L", "LA", "RGB", "P"):
        gray.convert(mode).save(tmp_path / "in" / f"gray-{mode}.png")
    assert names(prepare(tmp_path / "in", cache=tmp_path / "cache", gray="skip")) == ["00.png"]
    said = capsys.readouterr().err
    assert all(f"gray-{mode}.png: gray" in said for mode in ("L", "LA", "RGB", "P"))


def test_broken_and_small_pictures_are_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photographs(tmp_path / "in", count=2)
    whole = (folder / "00.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>not found</html>")
    program = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
    (folder / "program.png").write_text(program)  # which Pillow would have Ghostscript run
    Image.new("RGB", (31, 200)).save(folder / "narrow.png")
    Image.new("I;16", (40, 40)).save(folder / "deep.png")
    store = prepare(folder, cache=tmp_path / "cache", min_side=32)
    assert names(store) == ["00.png", "01.png"]
    assert np.array_equal(store.picture(store.entries[1]), scene(48, 64, seed=1))
    said = capsys.readouterr().err
    small, deep = "31x200, a side under 32 pixels", "not of 8 bits a channel"
    none = "not a picture, or not of a kind that can be read\n"
    others = (f"{name}: {none}" for name in ("empty.jpg", "page.jpg", "program.png"))
    for line in ("cut.png: ", *others, f"narrow.png: {small}", f"deep.png: {deep}"):
        assert f"left out: {folder}/{line}" in said


def test_nothing_usable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "in", count=2, size=(8, 8))
    with pytest.raises(DataError, match="no usable picture"):
        prepare(folder, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such file"):
        prepare(tmp_path / "nowhere", cache=tmp_path / "cache")
    with pytest.raises(DataError, match=r"\*\.jpg: no such file, folder or pattern"):
        prepare(tmp_path / "*.jpg", cache=tmp_path / "cache")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in this folder"):
        prepare(tmp_path / "empty", cache=tmp_path / "cache")
    (tmp_path / "broken.tar").write_bytes(b"x" * 2000)
    with pytest.raises(DataError, match=r"broken\.tar: cannot be read"):
        prepare(tmp_path / "broken.tar", cache=tmp_path / "cache")


def test_what_is_no_file_and_what_is_named_twice(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "in", count=3)
    (folder / "folder.png").mkdir()
    store = prepare(folder, folder, folder / "00.png", cache=tmp_path / "cache")
    assert [Path(entry.name).name for entry in store.entries] == ["00.png", "01.png", "02.png"]
    with pytest.raises(DataError, match="no sources of pictures"):
        prepare(cache=tmp_path / "cache")
    (folder / "link.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"link\.png: cannot be read: No such file or directory"):
        prepare(folder, cache=tmp_path / "cache")


def test_what_is_too_small_for_a_patch_is_on_neither_side_of_a_split(tmp_path: Path) -> None:
    sizes = [(60, 64), (40, 80), (64, 64), (48, 48)]
    for i, size in enumerate(sizes):
        photographs(tmp_path / "in" / str(i), count=1, size=size)
    store = prepare(tmp_path / "in", cache=tmp_path / "cache", sizes=[0.75])
    inside, outside = store.split(1, [1.0, 0.75], min_side=45)
    assert [(e.height, e.width) for e in outside] == [(64, 64)]
    assert [(e.height, e.width) for e in inside] == [(60, 64), (45, 48), (48, 48)]
    assert (
        store.identity(45) == prepare(tmp_path / "in", cache=tmp_path / "cache", min_side=45, sizes=[0.75]).identity()
    )
    with pytest.raises(DataError, match="2 pictures cannot be held out of 2"):
        store.split(2, min_side=60)
    whole = prepare(tmp_path / "in/3", cache=tmp_path / "cache", originals=[str(tmp_path / "in/2")])
    with pytest.raises(DataError, match="every picture but originals has a side under 60 pixels"):
        whole.split(0, min_side=60)


@pytest.mark.parametrize(("sizes", "copies"), [([1.0], 1.0), ([0.5], 1 + 1 / 4), ([0.5, 0.25], 1 + 1 / 4)])
def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[float], copies: float
) -> None:
    """A picture half as wide and high takes a quarter; a quarter of 48 pixels, 12, is under min_side."""
    folder = photographs(tmp_path / "in", count=2)
    photographs(tmp_path / "small", count=9, size=(8, 8))
    (folder / "page.jpg").write_text("no picture")
    needed = int(2 * 48 * 64 * 3 * copies)

    def free(number: int) -> None:
        usage = shutil.disk_usage(tmp_path)._replace(free=number)
        monkeypatch.setattr("srgan.data.store.shutil.disk_usage", lambda _: usage)

    free(needed - 1)
    monkeypatch.setattr("srgan.data.store._decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"cache: no room: the decoded pictures take 0 MB, 0 are free"):
        prepare(folder, tmp_path / "small", cache=tmp_path / "cache", sizes=sizes)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    free(needed)
    store = prepare(folder, tmp_path / "small", cache=tmp_path / "cache", sizes=sizes)
    assert 3 * sum(entry.height * entry.width for entry in store.entries) == needed


def test_two_processes_that_decode_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photographs(tmp_path / "in", count=2)
    real = store_module._check_room

    def other_first(*_: object) -> None:
        monkeypatch.setattr("srgan.data.store._check_room", real)
        prepare(folder, cache=tmp_path / "cache")

    monkeypatch.setattr("srgan.data.store._check_room", other_first)
    assert len(prepare(folder, cache=tmp_path / "cache").entries) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_photograph_that_cannot_be_read_is_not_called_a_store_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(5, "Input/output error")

    folder = photographs(tmp_path / "in", count=1)
    monkeypatch.setattr("srgan.data.store._opened", lambda files: ((str(file), Failing()) for file in files))
    with pytest.raises(DataError, match=r"in/\S+: cannot be read: .*Input/output error"):
        prepare(folder, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cache/\w+: the store cannot be written: (File exists|Not a directory)"):
        prepare(photographs(tmp_path / "in"), cache=tmp_path / "cache")


@pytest.mark.parametrize(
    "damage", ["no index", "half an index", "another index", "short pixels", "another offset", "version"]
)
def test_a_damaged_store_is_named(tmp_path: Path, damage: str) -> None:
    prepare(photographs(tmp_path / "in"), cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    index, pixels = folder / "index.json", folder / "pictures.bin"
    if damage == "no index":
        index.unlink()
    elif damage == "half an index":
        index.write_text(index.read_text()[:50])
    elif damage == "another index":
        index.write_text(json.dumps({"version": store_module.VERSION, "pictures": [{"nom": "a"}]}))
    elif damage == "short pixels":
        pixels.write_bytes(pixels.read_bytes()[:-1])
    elif damage == "another offset":
        tree = json.loads(index.read_text())
        tree["pictures"][-1]["offset"] += 1
        index.write_text(json.dumps(tree))
    else:
        index.write_text(json.dumps(json.loads(index.read_text()) | {"version": 0}))
    with pytest.raises(DataError, match="a store of version 0" if damage == "version" else "not a readable store"):
        open_store(folder)


def test_changing_pixels_in_memory_leaves_the_file(tmp_path: Path) -> None:
    store = prepare(photographs(tmp_path / "in"), cache=tmp_path / "cache")
    store.pixels[:] = 0
    assert prepare(tmp_path / "in", cache=tmp_path / "cache").pixels.any()


def test_held_out_pictures_are_spread_evenly(tmp_path: Path) -> None:
    store = prepare(photographs(tmp_path / "in", count=8, size=(16, 16)), cache=tmp_path / "cache")
    inside, outside = store.split(2)
    assert [Path(e.name).stem for e in outside] == ["02", "06"]
    assert [Path(e.name).stem for e in inside] == ["00", "01", "03", "04", "05", "07"]
    with pytest.raises(DataError, match="8 pictures cannot be held out of 8"):
        store.split(8)


def test_a_photograph_that_there_was_no_memory_for_is_not_left_out_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Image.Image) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr("srgan.data.store.upright", fail)
    with pytest.raises(MemoryError):
        prepare(photographs(tmp_path / "in", count=1), cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
