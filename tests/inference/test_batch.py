import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fakes import Broken, Nearest
from srgan.errors import ArgumentError, SrganError
from srgan.inference.batch import Job, plan_batch, upscale_files
from srgan.inference.upscaler import Upscaler


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (10, 20, 30)).save(path)


def targets(*inputs: Path | str, output: Path | None = None) -> dict[str, str]:
    """Return the names of the pictures and of their results, without the folders that they share."""
    jobs, errors = plan_batch([str(name) for name in inputs], output, 4)
    assert errors == []
    root = os.path.commonpath([job.source.parent for job in jobs] + [job.target.parent for job in jobs])
    return {str(job.source.relative_to(root)): str(job.target.relative_to(root)) for job in jobs}


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Nearest:
    network = Nearest()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: network)
    return network


def test_a_result_lies_beside_its_picture(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg")
    assert plan_batch([str(tmp_path / "photo.jpg")], None, 4) == (
        [Job(tmp_path / "photo.jpg", tmp_path / "photo_x4.png")],
        [],
    )
    assert plan_batch([str(tmp_path / "photo.jpg")], None, 2)[0][0].target.name == "photo_x2.png"


def test_a_folder_is_searched_and_mirrored(tmp_path: Path) -> None:
    touch(tmp_path / "in/b.jpg", tmp_path / "in/a.PNG", tmp_path / "in/sub/deep/c.webp")
    (tmp_path / "in/notes.txt").write_text("no picture")
    assert targets(tmp_path / "in") == {
        "a.PNG": "a_x4.png",
        "b.jpg": "b_x4.png",
        "sub/deep/c.webp": "sub/deep/c_x4.png",
    }
    assert targets(tmp_path / "in", output=tmp_path / "out") == {
        "in/a.PNG": "out/a_x4.png",
        "in/b.jpg": "out/b_x4.png",
        "in/sub/deep/c.webp": "out/sub/deep/c_x4.png",
    }


def test_globs_stand_for_the_pictures_that_match(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg", tmp_path / "in/sub/b.jpg", tmp_path / "in/sub/c.png", tmp_path / "in/a_x4.png")
    (tmp_path / "in/notes.txt").write_text("no picture")
    assert targets(tmp_path / "in/*", output=tmp_path / "out") == {"in/a.jpg": "out/a_x4.png"}
    assert targets(tmp_path / "in/**/*.jpg", output=tmp_path / "out") == {
        "in/a.jpg": "out/a_x4.png",
        "in/sub/b.jpg": "out/sub/b_x4.png",
    }


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path / "photo[1].jpg")
    assert targets(tmp_path / "photo[1].jpg") == {"photo[1].jpg": "photo[1]_x4.png"}


def test_results_of_an_earlier_run_are_not_upscaled_again(tmp_path: Path) -> None:
    touch(tmp_path / "photo.png", tmp_path / "photo_x4.png", tmp_path / "other_x4.png")
    assert targets(tmp_path) == {"photo.png": "photo_x4.png"}
    # a shell's * names them one by one: then the result of another input is left out, and no other
    every = sorted(tmp_path.iterdir())
    assert targets(*every) == {"photo.png": "photo_x4.png", "other_x4.png": "other_x4_x4.png"}
    assert targets(tmp_path / "photo_x4.png") == {"photo_x4.png": "photo_x4_x4.png"}


def test_a_picture_that_is_named_twice_is_one(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    assert len(targets(tmp_path / "a.jpg", tmp_path, tmp_path / "." / "a.jpg")) == 1


def test_two_pictures_of_one_stem_get_results_with_their_whole_names(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "photo.png", tmp_path / "other.png")
    expected = {"photo.jpg": "photo.jpg_x4.png", "photo.png": "photo.png_x4.png", "other.png": "other_x4.png"}
    assert targets(tmp_path) == expected
    touch(tmp_path / "photo.jpg_x4.png", tmp_path / "photo.png_x4.png")
    assert targets(tmp_path) == expected
    assert targets(*sorted(tmp_path.iterdir())) == expected


def test_pictures_of_one_name_in_one_results_folder_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a/photo.jpg", tmp_path / "b/photo.jpg")
    with pytest.raises(ArgumentError, match=r"a/photo\.jpg and .*b/photo\.jpg would both become .*photo\.jpg_x4\.png"):
        plan_batch([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "out", 4)
    assert len(targets(tmp_path, output=tmp_path / "out")) == 2
    assert len(targets(tmp_path / "a", tmp_path / "b")) == 2


def test_whole_names_that_meet_a_stem_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "photo.png", tmp_path / "photo.jpg.png")
    with pytest.raises(ArgumentError, match="would both become"):
        plan_batch([str(tmp_path)], None, 4)


def test_one_result_can_be_named(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "other.jpg")
    assert targets(tmp_path / "photo.jpg", output=tmp_path / "big.WEBP") == {"photo.jpg": "big.WEBP"}
    for inputs in ([tmp_path], [tmp_path / "photo.jpg", tmp_path / "other.jpg"], [tmp_path / "*.jpg"]):
        with pytest.raises(ArgumentError, match=r"big\.png can hold one result"):
            plan_batch([str(path) for path in inputs], tmp_path / "big.png", 4)


def test_outputs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "photo.png")
    photo = str(tmp_path / "photo.png")
    (tmp_path / "file").write_text("")
    for output, message in (
        ("big.gif", r"big\.gif: results are written as \.png, \.apng, \.jpg, \.jpeg, \.webp, \.avif, \.tif, \.tiff"),
        ("file", "is a file, and neither a folder nor"),
        ("photo.png", r"photo\.png is an input: a result cannot take its place"),
    ):
        with pytest.raises(ArgumentError, match=message):
            plan_batch([photo], tmp_path / output, 4)


def test_a_result_that_is_an_input_by_another_path_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "photo.png")
    (tmp_path / "link.png").symlink_to("photo.png")
    with pytest.raises(ArgumentError, match="is an input"):
        plan_batch([str(tmp_path / "photo.png")], tmp_path / "link.png", 4)


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg")
    (tmp_path / "out.png").mkdir()
    assert targets(tmp_path / "photo.jpg", output=tmp_path / "out.png") == {"photo.jpg": "out.png/photo_x4.png"}


def test_inputs_that_stand_for_nothing_are_errors_and_the_others_go_on(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "old/only_x4.png")
    names = ["photo.jpg", "gone.jpg", "*.webp", "old", "x" * 300]
    jobs, errors = plan_batch([str(tmp_path / name) for name in names], None, 4)
    assert [job.source.name for job in jobs] == ["photo.jpg"]
    assert [str(error).replace(f"{tmp_path}/", "") for error in errors] == [
        "gone.jpg: no such file or folder",
        "*.webp: no picture has a name like this (results named *_x4.png do not count)",
        "old: no pictures in this folder (results named *_x4.png do not count)",
        f"{'x' * 300}: File name too long",
    ]


def test_a_batch_is_done_in_spite_of_errors(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    Image.fromarray(noise[:5]).save(tmp_path / "c.png")
    told: list[SrganError] = []
    progress: list[tuple[float, int]] = []
    outcome = upscale_files(
        Upscaler(), [str(tmp_path)], progress=lambda done, total: progress.append((done, total)), on_error=told.append
    )
    assert [path.name for path in outcome.done] == ["a_x4.png", "c_x4.png"]
    assert outcome.errors == told
    assert str(told[0]) == f"{tmp_path / 'b.png'}: not a picture, or not of a kind that can be read"
    assert progress == [(0, 3), (1, 3), (1, 3), (2, 3), (3, 3), (3, 3)]
    with Image.open(tmp_path / "c_x4.png") as image:
        assert np.array_equal(np.asarray(image), noise[:5].repeat(4, 0).repeat(4, 1))


def test_results_that_are_there_are_kept_unless_told_otherwise(tmp_path: Path, network: Nearest) -> None:
    touch(tmp_path / "photo.jpg")
    (tmp_path / "photo_x4.png").write_bytes(b"precious")
    outcome = upscale_files(Upscaler(), [str(tmp_path)])
    assert outcome.skipped == [tmp_path / "photo_x4.png"]
    assert (tmp_path / "photo_x4.png").read_bytes() == b"precious"
    assert network.shapes == []
    outcome = upscale_files(Upscaler(), [str(tmp_path)], overwrite=True)
    assert outcome.done == [tmp_path / "photo_x4.png"]
    with Image.open(tmp_path / "photo_x4.png") as image:
        assert image.size == (16, 12)


def test_a_folder_in_the_place_of_a_result_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg")
    (tmp_path / "photo_x4.png").mkdir()
    (error,) = upscale_files(Upscaler(), [str(tmp_path / "photo.jpg")]).errors
    assert "photo_x4.png: cannot be written: Is a directory" in str(error)


def test_a_network_that_fails_leaves_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Broken(fp32_too=True))
    touch(tmp_path / "photo.jpg")
    (error,) = upscale_files(Upscaler(), [str(tmp_path / "photo.jpg")]).errors
    assert str(error).startswith(f"{tmp_path / 'photo.jpg'}: tile 1 of 1 (rows 0 to 2, columns 0 to 3): ")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_no_memory_for_one_picture_is_an_error_of_that_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("srgan.inference.upscaler.upscale_pixels", short)
    touch(tmp_path / "photo.jpg")
    (error,) = upscale_files(Upscaler(), [str(tmp_path / "photo.jpg")]).errors
    assert str(error) == f"{tmp_path / 'photo.jpg'}: not enough memory for this picture and its result"


def test_no_space_left_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    touch(tmp_path / "photo.jpg")
    (error,) = upscale_files(Upscaler(), [str(tmp_path / "photo.jpg")], tmp_path / "out").errors
    assert str(error) == f"{tmp_path / 'out/photo_x4.png'}: cannot be written: No space left on device"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs the rights of root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, small_disk: Path) -> None:
    random = np.random.default_rng(0)
    for name, side in (("large.png", 120), ("small.png", 4)):
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(tmp_path / name)
    outcome = upscale_files(Upscaler(), [str(tmp_path / "large.png"), str(tmp_path / "small.png")], small_disk)
    assert [path.name for path in outcome.done] == ["small_x4.png"]
    assert [str(error) for error in outcome.errors] == [
        f"{small_disk / 'large_x4.png'}: cannot be written: No space left on device"
    ]
    assert [path.name for path in small_disk.iterdir()] == ["small_x4.png"]
