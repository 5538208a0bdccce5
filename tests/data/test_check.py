import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from srgan.cli import main
from srgan.data.check import BLOCKY, BLURRED, Finding, blockiness, check, compare_lr, sharpness, thumbnail
from srgan.errors import DataError
from srgan.image.resize import imresize

Pixels = NDArray[np.uint8]


def photo(name: str = "coffee") -> Pixels:
    """A photograph at full sharpness: scikit-image's, at half its size."""
    picture: Pixels = getattr(skimage.data, name)()
    return imresize(picture, scale=0.5)


def gray(picture: Pixels) -> NDArray[np.float32]:
    return np.asarray(picture.astype(np.float32).mean(axis=2), np.float32)


def save(picture: Pixels, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(found.file.name, found.kind) for found in findings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    save(photo("coffee"), folder / "coffee.png")
    save(photo("astronaut"), folder / "more" / "astronaut.png")
    return folder


def test_nothing_is_found_in_good_pictures(folder: Path) -> None:
    seen: list[int] = []
    assert check(folder, progress=lambda: seen.append(1)) == (2, [])
    assert len(seen) == 2


def test_unreadable_and_small_pictures(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"no picture")
    save(photo("chelsea")[:95], folder / "b.png")
    count, findings = check(folder)
    assert count == 4
    assert [(f.file.name, f.kind, f.text) for f in findings] == [
        ("a.jpg", "unreadable", "not a picture, or not of a kind that can be read"),
        ("b.png", "small", "226x95, a side under 96 pixels"),
    ]
    assert kinds(check(folder, min_side=95)[1]) == [("a.jpg", "unreadable")]


def test_enlarged_pictures_are_blurred(folder: Path) -> None:
    sharp = photo("coffee")
    enlarged = imresize(sharp[:100, :150], scale=2.0)
    assert sharpness(gray(sharp)) > 0.5 > BLURRED > sharpness(gray(enlarged))
    assert sharpness(np.zeros((96, 96), np.float32)) == float("inf")
    save(enlarged, folder / "enlarged.png")
    assert kinds(check(folder)[1]) == [("enlarged.png", "blurred")]


def test_blocks_of_jpeg_are_seen_wherever_they_begin(folder: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(photo("coffee")).save(file, "JPEG", quality=12)
    blocks = np.asarray(Image.open(file))[3:, 5:]
    assert blockiness(gray(blocks)) > BLOCKY > blockiness(gray(photo("coffee")))
    save(blocks, folder / "coffee.png")
    assert kinds(check(folder)[1]) == [("coffee.png", "blocky")]


def test_duplicates_however_turned_sized_or_coloured(folder: Path) -> None:
    copy = np.rot90(photo("coffee")[:, ::-1])
    save(np.ascontiguousarray(copy), folder / "d" / "turned.png")
    save(imresize(skimage.data.coffee(), size=(160, 240)), folder / "d" / "sized.png")  # type: ignore[no-untyped-call]
    _, findings = check(folder)
    assert kinds(findings) == [("sized.png", "duplicate"), ("turned.png", "duplicate")]
    assert findings[0].text.startswith(f"the same picture as {folder}/coffee.png (")


def test_test_pictures_among_training_pictures(folder: Path, tmp_path: Path) -> None:
    save(photo("astronaut")[:, ::-1], tmp_path / "Set2" / "img_001.png")
    _, findings = check(folder, against=[tmp_path / "Set2"])
    assert kinds(findings) == [("astronaut.png", "test")]
    assert findings[0].text.startswith(f"a test picture: {tmp_path}/Set2/img_001.png (")


def test_flat_pictures_are_like_nothing() -> None:
    assert not thumbnail(np.full((96, 96), 7, np.float32)).any()


def test_low_resolution_pictures_beside_their_originals(folder: Path, tmp_path: Path) -> None:
    hr = photo("coffee")
    for name in ("coffee_x4.tif", "coffee.png"):  # as evaluation finds them too
        save(imresize(hr, scale=0.25), folder / "LRx4" / name)
        assert check(folder) == (2, [])
        (folder / "LRx4" / name).rename(tmp_path / name)
    for name in ("coffee_x4.tif", "coffee.png"):
        (tmp_path / name).rename(folder / "LRx4" / name)
    text = f"{folder}/LRx4: coffee.png and coffee_x4.tif could both be for coffee.png"
    assert check(folder)[1] == [Finding(folder / "coffee.png", "lr", text)]
    (folder / "LRx4" / "coffee_x4.tif").unlink()
    save(imresize(hr, scale=0.25)[1:], folder / "LRx4" / "coffee.png")
    (found,) = check(folder)[1]
    assert (found.kind, found.text) == ("lr", "75x49 is not a quarter of 300x200")
    (folder / "LRx4" / "coffee.png").unlink()
    assert check(folder)[1][0].text == f"{folder}/LRx4: no picture for coffee.png"


def test_what_is_wrong_with_a_low_resolution_picture() -> None:
    hr = photo("coffee")
    bicubic = imresize(hr, scale=0.25)
    assert compare_lr(bicubic, hr) is None
    assert compare_lr(bicubic[..., 0], hr) == "one of the two is gray"
    once = np.floor(imresize(hr.astype(np.float64), scale=0.25).clip(0, 255) + 0.5).astype(np.uint8)
    assert "bicubic, but rounded or clipped elsewhere: " in str(compare_lr(once, hr))
    moved = imresize(np.roll(hr, (-2, 1), axis=(0, 1)), scale=0.25)
    assert "nearest to it is bicubic of hr moved by -1, 2 pixels, 0.0 levels away" in str(compare_lr(moved, hr))


@pytest.mark.parametrize(
    ("name", "kernel"), [("Lanczos", Image.Resampling.LANCZOS), ("bilinear", Image.Resampling.BILINEAR)]
)
def test_the_kernel_of_a_low_resolution_picture(name: str, kernel: Image.Resampling) -> None:
    hr = photo("coffee")
    lr = np.asarray(Image.fromarray(hr).resize((75, 50), kernel))
    assert f"nearest to it is {name}, " in str(compare_lr(lr, hr))


def test_aliased_pictures_are_told() -> None:
    hr = photo("coffee")
    assert "nearest to it is every fourth pixel, 0.0" in str(compare_lr(hr[::4, ::4], hr))
    taps = sum(w * hr[i::4].astype(float) for i, w in enumerate((-1 / 16, 9 / 16, 9 / 16, -1 / 16)))
    taps = sum(w * np.asarray(taps)[:, i::4] for i, w in enumerate((-1 / 16, 9 / 16, 9 / 16, -1 / 16)))
    lr = np.floor(np.clip(taps, 0, 255) + 0.5).astype(np.uint8)
    assert "nearest to it is bicubic without antialiasing, 0.0" in str(compare_lr(lr, hr))


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(folder)]) == 0
    assert capsys.readouterr().out == "2 pictures, none with something to look at\n"
    save(photo("astronaut"), tmp_path / "Set1" / "a.png")
    assert main(["data", "check", str(folder), "--against", str(tmp_path / "Set1")]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{folder}/more/astronaut.png: test: a test picture: ")
    assert last == "2 pictures, 1 with something to look at"
    assert main(["data", "check", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"srgan: error: {tmp_path}/none: no such folder\n"
    with pytest.raises(DataError):
        check(tmp_path / "none")
