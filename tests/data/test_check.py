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
    (folder / "a.jpg").unlink()
    (folder / "a.jpg").symlink_to("gone.jpg")  # which training refuses
    assert check(folder, min_side=95)[1] == [Finding(folder / "a.jpg", "unreadable", "no such file")]


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


def zigzag(count: int, period: int = 1) -> NDArray[np.float32]:
    """Return 1 and -1 in turns, each so many times."""
    return np.float32(1) - 2 * (np.arange(count) // period % 2).astype(np.float32)


def test_sharpness_by_hand() -> None:
    """A zigzag of one pixel has all of its height as its finest detail, and is gone at half the size.

    One of two pixels has a quarter of it in each, on another phase, and is a zigzag of one pixel at half the size.
    """
    for fine, along in ((26, 0), (60, 1)):
        line = 80 * zigzag(160, 2) + fine * zigzag(160)
        plane = np.repeat(line[:, None] if along == 0 else line[None], 160, axis=1 - along)
        assert sharpness(plane) == pytest.approx((fine**2 + 20**2) ** 0.5 / 80, rel=1e-5)


@pytest.mark.parametrize(("sharp_parts", "fine"), [(1, 20), (3, 60)])
def test_the_sharpest_tenth_of_a_picture_tells(sharp_parts: int, fine: int) -> None:
    """Of 20 parts one is less than a tenth and three are more."""
    heights = np.where(np.arange(640) < 32 * sharp_parts, 60, 20)
    plane = 80 * zigzag(40, 2)[:, None] + heights * zigzag(40)[:, None]
    assert sharpness(plane.astype(np.float32)) == pytest.approx((fine**2 + 20**2) ** 0.5 / 80, rel=1e-5)


@pytest.mark.parametrize(("fine", "found"), [(26, ["no fine detail, enlarged or out of focus (0.41)"]), (28, [])])
def test_blurred_begins_under_its_limit(tmp_path: Path, fine: int, found: list[str]) -> None:
    """The root of 26^2 + 20^2 is 32.8, of 28^2 + 20^2 34.4: 0.41 and 0.43 of 80."""
    line = 128 + 80 * zigzag(96, 2) + fine * zigzag(96)
    save(line.astype(np.uint8)[None].repeat(96, 0), tmp_path / "a.png")
    assert [one.text for one in check(tmp_path)[1]] == found


def test_blocks_are_steps_at_every_eighth_pixel_along_both_axes() -> None:
    """A zigzag's steps of 20, with or without ones of 50 more or less at every eighth, which are 50 in the mean."""
    plain, blocks = 10 * zigzag(97), 10 * zigzag(97) + 25 * zigzag(97, 8)
    assert blockiness(blocks[:, None] + blocks) == pytest.approx(2.5)
    for rows, columns in ((plain, blocks), (blocks, plain), (plain, plain)):
        assert blockiness(rows[:, None] + columns) == pytest.approx(1)


@pytest.mark.parametrize(("height", "found"), [(26, []), (27, ["JPEG's blocks can be seen (1.35)"])])
def test_blocky_begins_over_its_limit(tmp_path: Path, height: int, found: list[str]) -> None:
    """Steps of twice the height at every eighth pixel, and of 40 else: 1.3 and 1.35."""
    line = 20 * zigzag(97) + height * zigzag(97, 8)
    save((128 + line[:, None] + line).astype(np.uint8), tmp_path / "a.png")
    assert [one.text for one in check(tmp_path)[1]] == found


@pytest.mark.parametrize(("likeness", "found"), [(0.984, []), (0.986, ["(0.986)"])])
def test_alike_begins_over_its_limit(tmp_path: Path, likeness: float, found: list[str]) -> None:
    """Pictures of 16x16 squares: one pattern, and that with as much of another, at right angles to it, as needed."""
    one, other = np.random.default_rng(0).normal(0, 1, (2, 16, 16))
    one = (one - one.mean()) / one.std()
    other -= other.mean() + one * (one * other).mean()
    mixed = likeness * one + (1 - likeness**2) ** 0.5 * other / other.std()
    for name, pattern in (("a", one), ("b", mixed)):
        save(np.rint(128 + 30 * pattern).astype(np.uint8).repeat(6, 0).repeat(6, 1), tmp_path / f"{name}.png")
    duplicates = [one.text for one in check(tmp_path)[1] if one.kind == "duplicate"]
    assert duplicates == [f"the same picture as {tmp_path}/a.png {text}" for text in found]


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
    squares = zigzag(16)[:, None] * zigzag(16)
    assert not thumbnail(0.99 * squares + 7).any()  # a spread of one level
    np.testing.assert_allclose(thumbnail(1.01 * squares + 7), squares / 16, rtol=1e-5)


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


def test_a_folder_of_low_resolution_pictures_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def reading(path: Path) -> list[Path]:
        read.append(path)
        return []

    monkeypatch.setattr("srgan.data.pairs.pictures_in", reading)
    (folder / "LRx4").mkdir(exist_ok=True)
    save(photo("coffee"), folder / "another.png")
    assert [found.kind for found in check(folder)[1]].count("lr") == 2
    assert read == [folder / "LRx4"]


def test_what_is_wrong_with_a_low_resolution_picture() -> None:
    hr = photo("coffee")
    bicubic = imresize(hr, scale=0.25)
    assert compare_lr(bicubic, hr) is None
    assert compare_lr(bicubic[..., 0], hr) == "one of the two is gray"
    once = np.floor(imresize(hr.astype(np.float64), scale=0.25).clip(0, 255) + 0.5).astype(np.uint8)
    assert "bicubic, but rounded or clipped elsewhere: " in str(compare_lr(once, hr))
    moved = imresize(np.roll(hr, (-2, 1), axis=(0, 1)), scale=0.25)
    assert "nearest to it is bicubic of hr moved by -1, 2 pixels, 0.0 levels away" in str(compare_lr(moved, hr))


@pytest.mark.parametrize(("side", "told"), [(4, False), (5, True)])
def test_nothing_is_guessed_of_pictures_without_a_middle(side: int, *, told: bool) -> None:
    wrong = str(compare_lr(np.zeros((side, 24, 3), np.uint8), np.full((4 * side, 96, 3), 9, np.uint8)))
    assert wrong.startswith("not the bicubic of hr: 9.0 levels away")
    assert ("; nearest to it is " in wrong) == told


def test_where_every_shift_is_as_near_there_is_none() -> None:
    lr, hr = np.full((24, 24, 3), 100, np.uint8), np.full((96, 96, 3), 110, np.uint8)
    wrong = str(compare_lr(lr, hr))
    assert wrong.startswith("not the bicubic of hr: 10.0 levels away; nearest to it is ")
    assert "moved" not in wrong
    assert wrong.endswith(", 10.0 levels away")


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


def test_lr_is_the_bicubic_of_what_its_size_leaves_of_hr() -> None:
    hr = photo("coffee")[:198, :299]
    assert compare_lr(imresize(hr[:196, :296], scale=0.25), hr) is None


def test_a_picture_with_two_findings_is_counted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        save(photo("coffee")[:50, :50], tmp_path / name)
    assert main(["data", "check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "2 pictures, 2 with something to look at"


def test_the_shortest_side_that_is_of_use_is_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(folder), "--min-side", "201"]) == 1
    assert f"{folder}/coffee.png: small: 300x200, a side under 201 pixels\n" in capsys.readouterr().out
