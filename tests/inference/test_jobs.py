import errno
import glob
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from srgan.errors import ArgumentError
from srgan.image.picture import Maker, Picture
from srgan.image.reading import files_below
from srgan.image.size import Size
from srgan.image.writing import RESULT_FORMATS, write_picture
from srgan.image.xmp import is_marked
from srgan.inference.jobs import Ending, Job, fitting, name_results, plan_batch

X4 = Size(scale=4)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (10, 20, 30)).save(path)


def targets(*inputs: Path | str, output: Path | None = None) -> dict[str, str]:
    """Return the names of the pictures and of their results, without the folders that they share."""
    jobs, errors = plan_batch([str(name) for name in inputs], output, X4)
    assert errors == {}
    pairs = [(job.source, job.target) for job in jobs if job.source is not None and job.target is not None]
    assert len(pairs) == len(jobs)
    root = os.path.commonpath([path.parent for pair in pairs for path in pair])
    return {str(source.relative_to(root)): str(target.relative_to(root)) for source, target in pairs}


def test_a_result_lies_beside_its_picture(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg")
    assert plan_batch([str(tmp_path / "photo.jpg")], None, X4) == (
        [Job(tmp_path / "photo.jpg", tmp_path / "photo_x4.png")],
        {},
    )
    assert (
        plan_batch([str(tmp_path / "photo.jpg")], None, Size(scale=2), "jpeg")[0][0].target == tmp_path / "photo_x2.jpg"
    )


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
    touch(tmp_path / "photo_x4.png.jpg")
    assert len(targets(tmp_path / "photo.png", tmp_path / "photo_x4.png.jpg")) == 2


@pytest.mark.parametrize(
    "size", [Size(scale=2), Size(scale=1e-7), Size(scale=2.5), Size(width=200), Size(height=9), Size(width=3, height=4)]
)
def test_results_of_another_size_are_no_pictures_and_what_others_name_so_is_one(tmp_path: Path, size: Size) -> None:
    """A second run on a folder with another size makes as many results as the first."""
    pixels = np.zeros((3, 4, 3), np.uint8)
    ours = Picture(pixels, maker=Maker("srgan", "srgan-plus", "c0ffee", "0123456789abcdef" * 2))
    name = f"photo{size.ending}.png"
    touch(tmp_path / "in" / "photo.jpg")
    for folder in ("in", "in/large"):
        write_picture(ours, tmp_path / folder / name)
    write_picture(Picture(pixels), tmp_path / "in" / "own" / name)
    jobs, _ = plan_batch([str(tmp_path / "in")], None, X4)
    assert [job.source for job in jobs] == [tmp_path / "in/photo.jpg", tmp_path / "in/own" / name]
    jobs, _ = plan_batch([str(path) for path in sorted((tmp_path / "in").glob("*.*"))], None, X4)  # as a shell does
    assert [job.source for job in jobs] == [tmp_path / "in/photo.jpg"]


def test_a_picture_that_is_called_like_a_result_of_another_size_is_a_picture(tmp_path: Path) -> None:
    """As icons are, of which a program keeps some sizes."""
    names = ("icon.png", "icon_64x64.png", "icon_x2.png", "icon_x4.png")
    for name in names:
        write_picture(Picture(np.zeros((3, 4, 3), np.uint8)), tmp_path / name)
    for inputs in ([tmp_path], [tmp_path / name for name in names]):
        jobs, _ = plan_batch([str(path) for path in inputs], None, X4)
        assert [job.source.name for job in jobs if job.source is not None] == [
            "icon.png",
            "icon_64x64.png",
            "icon_x2.png",
        ]


def test_what_srgan_made_is_no_picture_of_a_folder_whatever_it_is_called(tmp_path: Path) -> None:
    """Such as -o and --confidence have names for; named alone it is upscaled."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    ours = Picture(pixels, maker=Maker("srgan", "srgan-plus", "c0ffee", "0123456789abcdef" * 2))
    for suffix in (*RESULT_FORMATS, ".JPG"):
        write_picture(ours, tmp_path / f"large{suffix}")
        assert (tmp_path / f"large{suffix}").stat().st_size > 2**14
    write_picture(replace(ours, more=(Picture(pixels),) * 2), tmp_path / "pages.tif")
    profile = np.random.default_rng(1).bytes(2**18)
    write_picture(replace(ours, icc=profile), tmp_path / "profile.png")
    write_picture(Picture(pixels), tmp_path / "theirs.webp")
    jobs, _ = plan_batch([str(tmp_path)], None, X4)
    assert [job.source for job in jobs] == [tmp_path / "theirs.webp"]
    jobs, _ = plan_batch([str(tmp_path / "large.webp")], None, X4)
    assert [job.source for job in jobs] == [tmp_path / "large.webp"]


def test_a_mark_is_found_at_either_end_of_a_file(tmp_path: Path) -> None:
    mark = b'srgan:fingerprint="0123456789abcdef"'
    for before, after, found in [(0, 0, True), (1000, 2**19, True), (2**19, 1000, True), (2**19, 2**19, False)]:
        (tmp_path / "a.webp").write_bytes(bytes(before) + mark + bytes(after))
        assert is_marked(tmp_path / "a.webp") is found
    (tmp_path / "a.webp").write_bytes(b"")
    assert not is_marked(tmp_path / "a.webp")


def test_for_one_picture_no_other_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But those of its stem, which its result's name depends on."""
    touch(*(tmp_path / name for name in ("photo.jpg", "other.jpg", "Photo.png")))
    opened: list[str] = []

    def noted(path: Path) -> bool:
        opened.append(path.name)
        return False

    monkeypatch.setattr("srgan.inference.jobs.is_marked", noted)
    jobs, _ = plan_batch([str(tmp_path / "photo.jpg")], None, X4)
    assert [job.target for job in jobs] == [tmp_path / "photo.jpg_x4.png"]
    assert sorted(opened) == ["Photo.png", "photo.jpg"]


@pytest.mark.parametrize("name", ["large.wepb", "large.jxl", "large.SVG"])
def test_a_file_s_name_of_no_kind_that_is_written_is_no_new_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "photo.jpg")
    with pytest.raises(ArgumentError, match=rf"{name}: no such folder, and results are written as \.png"):
        plan_batch([str(tmp_path / "photo.jpg")], tmp_path / name, X4)
    jobs, _ = plan_batch([str(tmp_path)], tmp_path / name, X4)  # of a folder it is one
    assert [job.target for job in jobs] == [tmp_path / name / "photo_x4.png"]
    (tmp_path / name).mkdir()
    jobs, _ = plan_batch([str(tmp_path / "photo.jpg")], tmp_path / name, X4)
    assert [job.target for job in jobs] == [tmp_path / name / "photo_x4.png"]


def test_an_address_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jobs, errors = plan_batch(["https://example.org/a.jpg"], None, X4)
    assert jobs == []
    assert str(errors["https://example.org/a.jpg"]).startswith("https://example.org/a.jpg: an address: ")


def test_a_result_of_the_size_asked_for_needs_no_mark_to_be_known(tmp_path: Path) -> None:
    """Such as --no-provenance leaves; below another folder no picture lies beside it."""
    touch(tmp_path / "photo.jpg", tmp_path / "large/photo_x2.png", tmp_path / "large/photo_x4.png")
    jobs, _ = plan_batch([str(tmp_path)], None, Size(scale=2))
    assert [job.source for job in jobs] == [tmp_path / "photo.jpg"]


def test_what_is_hidden_does_not_count(tmp_path: Path) -> None:
    touch(*(tmp_path / ".in" / name for name in ("a.jpg", "._a.jpg", ".thumbs/a.jpg", "__MACOSX/a.jpg")))
    jobs, _ = plan_batch([str(tmp_path / ".in")], None, X4)
    assert [job.source for job in jobs] == [tmp_path / ".in/a.jpg"]
    jobs, _ = plan_batch([str(tmp_path / ".in/.thumbs/a.jpg")], None, X4)
    assert len(jobs) == 1


def test_a_picture_has_the_same_result_alone_as_among_others(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "A.png", tmp_path / "b.jpg", tmp_path / "b_x4.png", tmp_path / "c.jpg")
    for output in (None, tmp_path / "out"):
        together, _ = plan_batch([str(tmp_path)], output, X4)
        alone = [job for each in together for job in plan_batch([str(each.source)], output, X4)[0]]
        assert alone == together
        names = [job.target.name for job in together if job.target]
        assert names == ["A.png_x4.png", "a.jpg_x4.png", "b_x4.png", "c_x4.png"]


def test_a_picture_that_is_named_twice_is_one(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "in/a.jpg")
    names = [tmp_path / "in/a.jpg", tmp_path, tmp_path / "in/../in/a.jpg", tmp_path / "link.jpg"]
    assert targets(*names, output=tmp_path / "out") == {"in/a.jpg": "out/a_x4.png"}, "as it was named first"


def test_two_pictures_of_one_stem_get_results_with_their_whole_names(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "photo.png", tmp_path / "other.png")
    expected = {"photo.jpg": "photo.jpg_x4.png", "photo.png": "photo.png_x4.png", "other.png": "other_x4.png"}
    assert targets(tmp_path) == expected
    touch(tmp_path / "photo.jpg_x4.png", tmp_path / "photo.png_x4.png")
    touch(tmp_path / "Other.jpg")
    expected |= {"other.png": "other.png_x4.png", "Other.jpg": "Other.jpg_x4.png"}
    assert targets(tmp_path) == expected
    assert targets(*sorted(tmp_path.iterdir())) == expected


def test_results_of_the_same_format_are_called_like_it(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("a.jpg", "a.png", "b.JPEG", "c.gif", "c.apng", "d.tiff")))
    jobs, _ = plan_batch([str(tmp_path)], None, X4, "same")
    assert {job.source.name: job.target.name for job in jobs if job.source and job.target} == {
        "a.jpg": "a_x4.jpg",
        "a.png": "a_x4.png",
        "b.JPEG": "b_x4.jpg",
        "c.gif": "c.gif_x4.png",
        "c.apng": "c.apng_x4.png",
        "d.tiff": "d_x4.tif",
    }
    for name in ("e.jpe", "f.JFIF"):  # as cameras and browsers call JPEGs
        Image.new("RGB", (4, 3)).save(tmp_path / name, "JPEG")
        (job,), _ = plan_batch([str(tmp_path / name)], None, X4, "same")
        assert job.target == tmp_path / f"{name[0]}_x4.jpg"
    assert plan_batch([str(tmp_path / "a.jpg")], Path("out.jpeg"), X4, "same")[0][0].target == Path("out.jpeg")
    with pytest.raises(ArgumentError, match=r"out\.webp is named like a WEBP, and the format is to be jpeg"):
        plan_batch([str(tmp_path / "a.jpg")], Path("out.webp"), X4, "same")
    with pytest.raises(ArgumentError, match=r"standard input has no name to tell its format by: choose one of png, "):
        plan_batch(["-"], Path("out.png"), X4, "same")
    assert list(plan_batch(["none.jpg"], Path("out.png"), X4, "same")[1]) == ["none.jpg"]


def test_pictures_of_one_name_in_one_results_folder_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a/photo.jpg", tmp_path / "b/photo.jpg")
    with pytest.raises(ArgumentError, match=r"a/photo\.jpg and .*b/photo\.jpg would both become .*photo\.jpg_x4\.png"):
        plan_batch([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "out", X4)
    assert len(targets(tmp_path, output=tmp_path / "out")) == 2
    assert len(targets(tmp_path / "a", tmp_path / "b")) == 2


def test_whole_names_that_meet_a_stem_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "photo.png", tmp_path / "photo.jpg.png")
    with pytest.raises(ArgumentError, match="would both become"):
        plan_batch([str(tmp_path)], None, X4)


def test_one_result_can_be_named(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "other.jpg")
    assert targets(tmp_path / "photo.jpg", output=tmp_path / "big.WEBP") == {"photo.jpg": "big.WEBP"}
    touch(tmp_path / "one/only.jpg")
    photo = tmp_path / "photo.jpg"
    for inputs in (
        [tmp_path],
        [tmp_path / "one"],
        [photo, tmp_path / "other.jpg"],
        [photo, "gone"],
        [tmp_path / "*.jpg"],
    ):
        with pytest.raises(ArgumentError, match=r"big\.png can hold one result"):
            plan_batch([str(path) for path in inputs], tmp_path / "big.png", X4)


def test_outputs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "photo.png")
    photo = str(tmp_path / "photo.png")
    (tmp_path / "file").write_text("")
    for output, message in (
        ("big.bmp", r"big\.bmp: results are written as \.png, \.apng, \.jpg, \.jpeg, \.webp, \.avif, \.tif, \.tiff"),
        ("file", "is a file, and neither a folder nor"),
        (os.devnull, "is a file, and neither a folder nor"),
        ("photo.png", r"photo\.png is an input: a result cannot take its place"),
    ):
        with pytest.raises(ArgumentError, match=message):
            plan_batch([photo], tmp_path / output, X4)


def test_a_result_that_is_an_input_by_another_path_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "photo.png")
    (tmp_path / "link.png").symlink_to("photo.png")
    with pytest.raises(ArgumentError, match="is an input"):
        plan_batch([str(tmp_path / "photo.png")], tmp_path / "link.png", X4)


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg")
    (tmp_path / "out.png").mkdir()
    assert targets(tmp_path / "photo.jpg", output=tmp_path / "out.png") == {"photo.jpg": "out.png/photo_x4.png"}


def test_inputs_that_stand_for_nothing_are_errors_and_the_others_go_on(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "old/only_x4.png")
    names = ["photo.jpg", "gone.jpg", "*.webp", "old", "x" * 300]
    jobs, errors = plan_batch([str(tmp_path / name) for name in names], None, X4)
    assert [job.source_name for job in jobs] == [str(tmp_path / "photo.jpg")]
    assert list(errors) == [str(tmp_path / name) for name in names[1:]]
    assert [str(error).replace(f"{tmp_path}/", "") for error in errors.values()] == [
        "gone.jpg: no such file or folder",
        "*.webp: no picture has a name like this (results do not count)",
        "old: no pictures in this folder (results do not count)",
        f"{'x' * 300}: File name too long",
    ]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg", tmp_path / "else/b.jpg", tmp_path / "else/deep/c.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "else/b.jpg")
    (tmp_path / "in/folder").symlink_to(tmp_path / "else/deep")
    (tmp_path / "in/again").symlink_to(tmp_path / "in")
    (tmp_path / "else/deep/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/nothing.jpg").symlink_to("gone.jpg")
    (tmp_path / "in/itself.jpg").symlink_to("itself.jpg")
    assert targets(tmp_path / "in", output=tmp_path / "out") == {
        "in/a.jpg": "out/a_x4.png",
        "in/itself.jpg": "out/itself_x4.png",  # an error when it is read, as is what is nothing
        "in/link.jpg": "out/link_x4.png",
        "in/nothing.jpg": "out/nothing_x4.png",
        "in/folder/c.jpg": "out/folder/c_x4.png",
    }


@pytest.mark.skipif(os.name != "posix", reason="file types of POSIX")
def test_what_is_no_file_is_not_searched_for_pictures(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert targets(tmp_path) == {"a.jpg": "a_x4.png"}


@pytest.mark.skipif(os.name != "posix", reason="permission bits of POSIX")
def test_folders_that_cannot_be_searched_are_errors_and_the_others_go_on(held_by_permissions: Path) -> None:
    tmp_path = held_by_permissions
    touch(tmp_path / "a.jpg", tmp_path / "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    jobs, errors = plan_batch([str(tmp_path)], None, X4)
    (tmp_path / "closed").chmod(0o700)
    assert [job.source for job in jobs] == [tmp_path / "a.jpg"]
    assert {name: str(error) for name, error in errors.items()} == {
        str(tmp_path / "closed"): f"{tmp_path / 'closed'}: Permission denied"
    }


def test_names_that_differ_in_case_alone_have_results_that_do_not() -> None:
    """By the digits of sha256 of each; one has the same name beside the other as with it."""
    ending = Ending(X4, None)
    photos = [("out", name) for name in ("Photo.jpg", "photo.jpg", "photo.png", "other.jpg")]
    names = name_results(photos, ending)
    assert names == ["Photo.jpg~4cd34cb8_x4.png", "photo.jpg~aff6100b_x4.png", "photo.png_x4.png", "other_x4.png"]
    assert name_results(photos[:2], ending) == names[:2]
    assert name_results([("out", "ß.jpg"), ("out", "SS.png")], ending) == ["ß.jpg_x4.png", "SS.png_x4.png"]
    for photo, name in zip(photos, names, strict=True):
        assert name_results([photo], ending, [other for other in photos if other != photo]) == [name]


def test_names_too_long_for_a_result_are_cut_and_stay_apart(tmp_path: Path) -> None:
    latin, greek = "a" * 251, "λ" * 124 + "bc"  # 251 and 250 bytes
    touch(tmp_path / f"{latin}.jpg", tmp_path / f"{latin[:-1]}b.jpg", tmp_path / f"{greek}.png")
    found = targets(tmp_path)
    assert len(set(found.values())) == 3
    for name, target in found.items():
        assert 252 <= len(os.fsencode(target)) <= 255
        start, mark = target.removesuffix("_x4.png").split("~")
        assert name.startswith(start)
        assert len(mark) == 8
    assert targets(tmp_path) == found
    longest = "c" * 244
    touch(tmp_path / "short" / f"{longest}.jpg")
    assert targets(tmp_path / "short") == {f"{longest}.jpg": f"{longest}_x4.png"}


def test_names_of_any_letters_and_bytes(tmp_path: Path) -> None:
    names = ["größe ✨.jpg", "日本語.png", "two\nlines.jpg"]
    if os.name == "posix":
        names.append(os.fsdecode(b"latin-\xe9.jpg"))
    touch(*(tmp_path / name for name in names))
    assert targets(tmp_path) == {name: f"{name.rpartition('.')[0]}_x4.png" for name in sorted(names)}


def test_results_of_any_format_do_not_count_as_pictures(tmp_path: Path) -> None:
    touch(tmp_path / "photo.jpg", tmp_path / "photo_x4.webp", tmp_path / "photo_x4.jpg", tmp_path / "other_x4.tiff")
    assert targets(tmp_path) == {"photo.jpg": "photo_x4.png"}
    assert targets(tmp_path / "photo.jpg", tmp_path / "photo_x4.webp") == {"photo.jpg": "photo_x4.png"}


def test_streams_are_one_picture_each(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    a, b = str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")
    assert plan_batch(["-"], Path("-"), X4) == ([Job(None, None)], {})
    assert plan_batch(["-"], Path("large.webp"), X4) == ([Job(None, Path("large.webp"))], {})
    assert plan_batch([a], Path("-"), X4) == ([Job(tmp_path / "a.jpg", None)], {})
    for inputs, output, message in (
        (["-", a], Path("-"), r"standard input \(-\) is one picture"),
        (["-"], None, "the result of standard input needs a name"),
        (["-"], tmp_path, "the result of standard input needs a name"),
        ([a, b], Path("-"), "- can hold one result"),
        ([str(tmp_path)], Path("-"), "- can hold one result"),
    ):
        with pytest.raises(ArgumentError, match=message):
            plan_batch(inputs, output, X4)


def test_a_name_and_a_format_that_contradict_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    a = str(tmp_path / "a.jpg")
    assert plan_batch([a], tmp_path / "large.jpeg", X4, "jpeg")[0] == [Job(tmp_path / "a.jpg", tmp_path / "large.jpeg")]
    with pytest.raises(ArgumentError, match=r"large\.jpeg is named like a JPEG, and the format is to be webp"):
        plan_batch([a], tmp_path / "large.jpeg", X4, "webp")


def test_an_empty_name_is_nothing_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("a.jpg"), Path("b.jpg"))
    jobs, errors = plan_batch(["", "b.jpg"], None, X4)
    assert jobs == [Job(Path("b.jpg"), Path("b_x4.png"))]
    assert {name: str(error) for name, error in errors.items()} == {"": "'': no such file or folder"}
    jobs, errors = plan_batch([""], Path("large.png"), X4)
    assert (jobs, list(errors)) == ([], [""])


def test_a_folder_that_cannot_be_searched_is_said_to_be_that_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "closed/a.jpg", tmp_path / "above/closed/b.jpg")
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if os.path.basename(path) == "closed":  # noqa: PTH119
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    for name, closed in (("closed", tmp_path / "closed"), ("above", tmp_path / "above/closed")):
        jobs, errors = plan_batch([str(tmp_path / name)], None, X4)
        assert jobs == []
        assert [str(error) for error in errors.values()] == [f"{closed}: Permission denied"]


def test_a_map_has_a_place_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    a, b, large = str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg"), tmp_path / "large.png"
    (tmp_path / "link").symlink_to(tmp_path)
    other = tmp_path / "link" / "map.png"
    assert plan_batch([a], large, X4, confidence=other)[0] == [Job(tmp_path / "a.jpg", large, other)]
    assert plan_batch(["-"], Path("-"), X4, confidence=other)[0] == [Job(None, None, other)]
    for inputs, maps in (([a, str(tmp_path / "gone.jpg")], [other]), (["gone.jpg"], [])):
        jobs, errors = plan_batch(inputs, None, X4, confidence=other)
        assert ([job.confidence for job in jobs], list(errors)) == (maps, inputs[-1:])
    for inputs, output, confidence, message in (
        ([a], large, tmp_path / "link/a.jpg", r"link/a\.jpg is an input: a result cannot take its place"),
        ([a], large, tmp_path / "link/large.png", r"large\.png is the result: the map needs a name of its own"),
        ([a], None, tmp_path / "a_x4.png", "is the result"),
        (["-"], large, large, "is the result"),
        ([a, b], None, other, "--confidence is for one picture"),
    ):
        with pytest.raises(ArgumentError, match=message):
            plan_batch(inputs, output, X4, confidence=confidence)


def test_pictures_that_cannot_be_opened_are_pictures_all_the_same(held_by_permissions: Path) -> None:
    for name in "ab":
        (held_by_permissions / f"{name}.png").touch(0o000)
    jobs, errors = plan_batch([str(held_by_permissions)], None, Size(scale=4))
    assert ([job.source.name for job in jobs if job.source], errors) == (["a.png", "b.png"], {})


def test_pictures_are_in_order_whatever_order_the_disk_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk, find = os.walk, glob.glob

    def backwards(*where: Any, **how: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for place, folders, names in walk(*where, **how):
            folders.sort(reverse=True)
            yield place, folders, sorted(names, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    monkeypatch.setattr(glob, "glob", lambda *what, **how: sorted(find(*what, **how), reverse=True))
    places = [f"{folder}/{name}.png" for folder in "abc" for name in "xyz"]
    for place in places:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert [os.path.relpath(path, tmp_path) for path in files_below(tmp_path, {})] == places
    jobs, _ = plan_batch([str(tmp_path / "*" / "*.png")], None, Size(scale=4))
    assert [os.path.relpath(job.source, tmp_path) for job in jobs if job.source] == places


def test_a_name_as_long_as_can_be_is_kept() -> None:
    assert fitting("x" * 248, "_x4.png") == "x" * 248 + "_x4.png"
    assert len(fitting("x" * 249, "_x4.png")) == 255


def test_a_picture_of_a_folder_that_cannot_be_searched_has_a_result(held_by_permissions: Path) -> None:
    (held_by_permissions / "a.png").touch()
    held_by_permissions.chmod(0o300)
    (job,) = plan_batch([str(held_by_permissions / "a.png")], None, Size(scale=4))[0]
    assert job.target == held_by_permissions / "a_x4.png"


def test_a_name_for_the_result_in_the_place_of_a_picture_leads_to_the_option(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    names = [str(tmp_path / "a.jpg"), str(tmp_path / "large.png")]
    for output, told in ((None, "; a result's name comes after -o"), (tmp_path / "out", "")):
        jobs, errors = plan_batch(names, output, Size(scale=4))
        assert [job.source for job in jobs] == [tmp_path / "a.jpg"]
        assert [str(error) for error in errors.values()] == [f"{names[1]}: no such file or folder{told}"]


def called(folder: Path, suffix: str, output: Path | None = None, **how: Any) -> dict[str, str]:
    jobs, errors = plan_batch([str(folder)], output, X4, suffix=suffix, **how)
    assert not errors
    return {job.source_name.rpartition("/")[2]: job.target_name.rpartition("/")[2] for job in jobs}


def test_a_suffix_of_ones_own_stands_in_the_place_of_x4(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg", tmp_path / "in/b.jpg", tmp_path / "in/b.png", tmp_path / "in/c_x4.png")
    touch(tmp_path / "in/a-large.webp", tmp_path / "in/d-large-no.png")
    assert called(tmp_path / "in", "-large") == {
        "a.jpg": "a-large.png",
        "b.jpg": "b.jpg-large.png",
        "b.png": "b.png-large.png",
        "d-large-no.png": "d-large-no-large.png",
    }
    assert called(tmp_path / "in", "(x4).+", format="same")["a.jpg"] == "a(x4).+.jpg"
    # of a shell's *.png, what lies beside its picture is its result, and else a picture
    names = [str(tmp_path / "in" / name) for name in ("a.jpg", "a-large.webp", "d-large-no.png")]
    found = plan_batch(names, None, X4, suffix="-large")[0]
    assert [job.source_name for job in found] == [names[0], names[2]]
    assert len(plan_batch(names, None, X4)[0]) == 3


def test_a_picture_named_like_anothers_result_counts_where_results_go_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path / "in/frame1.png", tmp_path / "in/frame12.png")
    names = [str(tmp_path / "in" / name) for name in ("frame1.png", "frame12.png")]
    jobs, _ = plan_batch(names, tmp_path / "out", X4, suffix="2")
    assert [job.target for job in jobs] == [tmp_path / "out/frame12.png", tmp_path / "out/frame122.png"]


def test_results_without_a_suffix_have_their_pictures_names_in_another_folder(tmp_path: Path) -> None:
    touch(tmp_path / "in/a.jpg", tmp_path / "in/a.png", tmp_path / "in/b.JPG", tmp_path / "in/c.gif")
    same = called(tmp_path / "in", "", tmp_path / "out", format="same")
    assert same == {"a.jpg": "a.jpg", "a.png": "a.png", "b.JPG": "b.jpg", "c.gif": "c.png"}
    found = called(tmp_path / "in", "", tmp_path / "out")
    assert found == {"a.jpg": "a.jpg.png", "a.png": "a.png.png", "b.JPG": "b.png", "c.gif": "c.png"}
    with pytest.raises(ArgumentError, match="results without a suffix need a folder of their own: -o DIR"):
        called(tmp_path / "in", "")
    touch(tmp_path / "in/e.png")
    with pytest.raises(ArgumentError, match=r"e\.png is an input: a result cannot take its place"):
        plan_batch([str(tmp_path / "in/e.png")], tmp_path / "in", X4, suffix="")


@pytest.mark.parametrize(("name", "output"), [("a.jpg", "large.png"), ("a.jpg", "-"), ("-", "large.png"), ("-", "-")])
def test_a_suffix_says_nothing_of_a_result_that_has_a_name(
    tmp_path: Path, name: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("a.jpg"))
    with pytest.raises(ArgumentError, match=f"--suffix is for results in folders: {output} is called as it is"):
        plan_batch([name], Path(output), X4, suffix="-large")


def test_bytes_of_a_suffix_count(tmp_path: Path) -> None:
    touch(tmp_path / f"{'a' * 240}.png")
    ((_, target),) = called(tmp_path, "λ" * 6).items()
    assert len(os.fsencode(target)) == 255
    assert target.endswith("λ" * 6 + ".png")
    assert "~" in target
