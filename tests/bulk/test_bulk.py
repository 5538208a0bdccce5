import codecs
import errno
import gzip
import io
import os
import re
import shutil
import sys
import tarfile
import time
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from inline import X4, Inline, counts, draw, making, results, run
from PIL import Image
from pyarrow import parquet
from stores import write_tar

from srgan.bulk import manifest as manifests
from srgan.bulk.manifest import FOLDER, Manifest, Record, Run
from srgan.bulk.places import Place, open_place
from srgan.bulk.sources import Listing, Task, list_source
from srgan.bulk.stages import Making, _model_file, expand, plan_making
from srgan.bulk.status import Status, failures, lines_of, status_of
from srgan.cli import main
from srgan.errors import BulkError, OutputError, PictureError
from srgan.image.picture import Limits
from srgan.image.size import Size
from srgan.image.writing import WriteOptions
from srgan.image.xmp import read_fingerprint


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three pictures, two of which have one stem, and one that is none."""
    folder = tmp_path / "photos"
    draw(folder / "a.png", folder / "deep/b.png", folder / "deep/b.webp")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    draw(folder / "a_x4.png")
    return folder


def test_results_are_those_of_srgan_upscale(photos: Path, tmp_path: Path, tiny_onnx: Path) -> None:
    outcome, records = run(tiny_onnx, photos, tmp_path / "bulk")
    assert counts(outcome) == {"done": 3, "failed": 1}
    arguments = ["--model", str(tiny_onnx), "--precision", "fp32", "--threads", "1"]
    assert main(["upscale", str(photos), "-o", str(tmp_path / "one"), *arguments]) == 1
    assert sorted(results(tmp_path / "bulk")) == ["a_x4.png", "deep/b.png_x4.png", "deep/b.webp_x4.png"]
    assert results(tmp_path / "bulk") == results(tmp_path / "one")
    assert {record.target: record.error for record in records if record.status == "failed"} == {
        "broken_x4.png": "not a picture, or not of a kind that can be read"
    }


@pytest.mark.parametrize("asked", ["ensemble", "seamless"])
def test_what_is_asked_of_the_network_is_that_of_srgan_upscale(asked: str, tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "bulk")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "bulk", **{asked: True})[0]) == {"remade": 1}
    arguments = ["--model", str(tiny_onnx), "--precision", "fp32", "--threads", "1", f"--{asked}"]
    assert main(["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "one"), *arguments]) == 0
    assert results(tmp_path / "bulk") == results(tmp_path / "one")


def test_what_goes_around_a_texture_counts_as_well(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    with Image.open(tmp_path / "in/a.png") as image:
        limits = Limits(output_pixels=16 * image.width * image.height)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "plain", limits=limits)[0]) == {"done": 1}
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "round", limits=limits, seamless=True)[0]) == {"failed": 1}


def test_results_of_the_same_format_are_those_of_srgan_upscale(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png", tmp_path / "in/deep/b.webp", tmp_path / "in/deep/c.gif")
    with Image.open(tmp_path / "in/a.png") as image:
        image.convert("RGB").save(tmp_path / "in/b.jpg")
    same = WriteOptions("same", quality=80)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "bulk", options=same)[0]) == {"done": 4}
    arguments = ["--model", str(tiny_onnx), "--precision", "fp32", "--threads", "1", "--format", "same"]
    assert main(["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "one"), *arguments, "--quality", "80"]) == 0
    assert sorted(results(tmp_path / "bulk")) == ["a_x4.png", "b_x4.jpg", "deep/b_x4.webp", "deep/c_x4.png"]
    assert results(tmp_path / "bulk") == results(tmp_path / "one")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "bulk", options=same)[0]) == {"skipped": 4}
    # a tar's pictures have names, and with another format other results
    write_tar(tmp_path / "shards/s.tar", {"b.jpg": (tmp_path / "in/b.jpg").read_bytes()})
    run(tiny_onnx, tmp_path / "shards", tmp_path / "tars", options=same)
    assert results(tmp_path / "tars") == {"s/b_x4.jpg": results(tmp_path / "one")["b_x4.jpg"]}
    mark = making(tiny_onnx, tmp_path, same).mark
    assert mark not in {making(tiny_onnx, tmp_path, WriteOptions(kind, quality=80)).mark for kind in ("jpeg", "webp")}


@pytest.mark.usefixtures("shipped")
def test_each_picture_goes_through_the_network_that_it_asks_for(tmp_path: Path) -> None:
    draw(tmp_path / "in/a.png")
    with Image.open(tmp_path / "in/a.png") as image:
        image.convert("RGB").save(tmp_path / "in/b.jpg", quality=60)
    assert counts(run("auto", tmp_path / "in", tmp_path / "out")[0]) == {"done": 2}
    made = {
        name: re.findall(rb"srgan-plus|srgan-photo", content) for name, content in results(tmp_path / "out").items()
    }
    assert {name: set(names) for name, names in made.items()} == {
        "a_x4.png": {b"srgan-plus"},
        "b_x4.png": {b"srgan-photo"},
    }
    assert counts(run("auto", tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 2}


def test_what_srgan_upscale_made_is_known_without_a_manifest(photos: Path, tmp_path: Path, tiny_onnx: Path) -> None:
    arguments = ["--model", str(tiny_onnx), "--precision", "fp32"]
    assert main(["upscale", str(photos), "-o", str(tmp_path / "out"), *arguments]) == 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    assert counts(run(tiny_onnx, photos, tmp_path / "out")[0]) == {"skipped": 3, "failed": 1}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")} == before


def test_a_run_that_is_stopped_goes_on_and_makes_nothing_twice(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(*(tmp_path / f"in/{number}.png" for number in range(7)))
    stopped = Inline(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_onnx, tmp_path / "in", tmp_path / "out", engine=stopped)
    assert len(results(tmp_path / "out")) == 3
    again = Inline()
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", engine=again)[0]) == {"skipped": 3, "done": 4}
    assert not set(stopped.sources) & set(again.sources)
    third = Inline()
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", engine=third)[0]) == {"skipped": 7}
    assert third.sources == []


def test_without_its_manifest_a_result_is_known_by_its_fingerprint(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png")
    run(tiny_onnx, tmp_path / "in/a.png", tmp_path / "out")
    for path in (tmp_path / "out/_srgan/manifest").iterdir():
        path.unlink()
    monkeypatch.setattr("srgan.inference.upscaler.upscale_pixels", None)  # no network runs
    outcome, records = run(tiny_onnx, tmp_path / "in/a.png", tmp_path / "out")
    assert counts(outcome) == {"skipped": 1}
    assert records[0].identity == read_fingerprint(tmp_path / "out/a_x4.png")


def test_what_has_changed_is_made_anew_and_nothing_else(tmp_path: Path, tiny_onnx: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    draw(source / "a.png", source / "b.png", source / "c.png")
    run(tiny_onnx, source, target)
    before = results(target)
    draw(source / "b.png", seed=5)
    (source / "c.png").touch()
    engine = Inline()
    outcome, records = run(tiny_onnx, source, target, engine=engine)
    assert counts(outcome) == {"skipped": 2, "remade": 1}
    assert {record.target: record.status for record in records} == {"b_x4.png": "remade", "c_x4.png": "skipped"}
    changed = [name for name, content in results(target).items() if content != before[name]]
    assert changed == ["b_x4.png"]
    run(tiny_onnx, source, target, engine=(engine := Inline()))
    assert engine.sources == [], "a file that was touched is read once more, not each time"
    assert counts(run(tiny_onnx, source, target, options=WriteOptions(strip=True))[0]) == {"remade": 3}
    assert counts(run(tiny_onnx, source, target, options=WriteOptions(strip=True))[0]) == {"skipped": 3}
    (target / "a_x4.png").unlink()
    assert counts(run(tiny_onnx, source, target, options=WriteOptions(strip=True))[0]) == {"skipped": 2, "done": 1}
    outcome, _ = run(tiny_onnx, source, target, options=WriteOptions(strip=True), overwrite=True)
    assert counts(outcome) == {"remade": 3}
    assert counts(run(tiny_onnx, source, target, size=Size(scale=2))[0]) == {"done": 3}
    assert len(results(target)) == 6


def test_a_result_whose_identity_is_known_is_not_read_again(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in/a.png")
    write_tar(tmp_path / "in/0.tar", {"b.png": (tmp_path / "in/a.png").read_bytes()})
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 2}
    for path in (tmp_path / "in").iterdir():
        os.utime(path, (1, 1))
    monkeypatch.setattr(Place, "fingerprint_of", lambda *_: pytest.fail("a result is read"))
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 2}


def test_what_is_made_where_nothing_was_is_done_and_else_remade(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    (tmp_path / "out/b_x4.png").unlink()
    _, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out", overwrite=True)
    assert {record.target: record.status for record in records} == {"a_x4.png": "remade", "b_x4.png": "done"}


def test_a_result_that_went_after_the_listing_is_done_anew(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in/a.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    fingerprint_of = Place.fingerprint_of

    def gone(place: Place, name: str) -> str | None:
        place.remove(name)
        return fingerprint_of(place, name)

    monkeypatch.setattr(Place, "fingerprint_of", gone)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=WriteOptions(strip=True))[0]) == {"done": 1}


def test_what_is_in_the_place_of_a_result_and_not_ours_is_kept(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png", tmp_path / "out/a_x4.png")
    before = results(tmp_path / "out")
    place = tmp_path / "out/a_x4.png"
    for _ in range(2):
        outcome, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out")
        assert counts(outcome) == {"failed": 1}
        assert records[0].error == f"{place}: is there already and was not made by srgan; --overwrite replaces it"
        assert results(tmp_path / "out") == before
    place.unlink()
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 1}, "no reason of the picture's"


def test_without_provenance_the_manifest_tells_what_has_changed(tmp_path: Path, tiny_onnx: Path) -> None:
    """And what it does not know of is kept, whatever becomes of the picture."""
    silent = WriteOptions(provenance=False)
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png", tmp_path / "out/b_x4.png", seed=1)
    before = results(tmp_path / "out")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=silent)[0]) == {"done": 1, "skipped": 1}
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png", seed=2)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=silent)[0]) == {"remade": 1, "skipped": 1}
    other = replace(silent, compression=9)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=other)[0]) == {"remade": 1, "skipped": 1}
    assert results(tmp_path / "out")["b_x4.png"] == before["b_x4.png"]
    fresh = tmp_path / "fresh"
    run(tiny_onnx, tmp_path / "in", fresh, options=other)
    assert results(tmp_path / "out")["a_x4.png"] == results(fresh)["a_x4.png"]


@pytest.mark.parametrize("source", ["a.png", "0.tar"])
def test_a_result_that_could_not_be_replaced_is_not_taken_for_the_new_one(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    draw(tmp_path / "in/a.png")
    write_tar(tmp_path / "in/0.tar", {"a.png": (tmp_path / "in/a.png").read_bytes()})
    source, target = f"{tmp_path}/in/{source}", tmp_path / "out"
    run(tiny_onnx, source, target)
    before = results(target)
    write = Place.write

    def refuse(place: Place, name: str, content: bytes | memoryview) -> None:
        if name in before:
            raise OutputError("no space")
        write(place, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", refuse)
        outcome, _ = run(tiny_onnx, source, target, options=WriteOptions(strip=True))
    assert (counts(outcome), results(target)) == ({"failed": 1}, before)
    assert counts(run(tiny_onnx, source, target, options=WriteOptions(strip=True))[0]) == {"remade": 1}


def test_a_picture_that_there_was_too_little_memory_for_is_tried_again(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    draw(tmp_path / "in/a.png")
    with monkeypatch.context() as patch:
        patch.setattr("srgan.bulk.stages.read_picture", refuse)
        outcome, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert counts(outcome) == {"failed": 1}
    assert (records[0].stage, records[0].error) == ("memory", "not enough memory for this picture and its result")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 1}


def test_weights_of_ones_own_are_sent_along_however_their_path_is_written(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_onnx.parent)
    for model in (str(tiny_onnx), tiny_onnx.name, f"./{tiny_onnx.name}"):
        made = plan_making(model, X4, WriteOptions(), open_place(str(tmp_path)), {}, Limits())
        assert made.weights == tiny_onnx.read_bytes()
    assert plan_making("srgan", X4, WriteOptions(), open_place(str(tmp_path)), {}, Limits()).weights is None


def test_two_pictures_with_one_result_are_refused(tmp_path: Path, tiny_onnx: Path) -> None:
    names = ["photo.jpg", "photo.png", "photo.jpg.webp"]
    draw(*(tmp_path / "in" / name for name in names))
    with pytest.raises(BulkError) as raised:
        run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert str(raised.value) == (
        f"{tmp_path}/in/photo.jpg and {tmp_path}/in/photo.jpg.webp would both become photo.jpg_x4.png:"
        " give one of them another name"
    )
    (tmp_path / "in/list.txt").write_text(f"{tmp_path}/in/photo.jpg\n{str(tmp_path).lstrip('/')}/in/photo.jpg\n")
    with pytest.raises(BulkError, match=r"would both become .*/in/photo\.jpg_x4\.png"):
        run(tiny_onnx, tmp_path / "in/list.txt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_tables_of_a_folder_are_named_together(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/x/1.jpg", tmp_path / "in/x/1.png", tmp_path / "in/x/2.png")
    tables = tmp_path / "tables"
    tables.mkdir()
    for name, paths in {"one": ["x/1.jpg", "x/2.png"], "two": ["x/1.png", "x/2.png"]}.items():
        column = [f"{tmp_path}/in/{path}" for path in paths]
        parquet.write_table(pa.table({"path": column}), tables / f"{name}.parquet")
    outcome, _ = run(tiny_onnx, tables, tmp_path / "out")
    assert counts(outcome) == {"done": 3}
    folder = f"{str(tmp_path).lstrip('/')}/in/x"
    names = ("1.jpg", "1.png", "2")
    assert results(tmp_path / "out").keys() == {f"{folder}/{name}_x4.png" for name in names}
    assert counts(run(tiny_onnx, tables, tmp_path / "out")[0]) == {"skipped": 3}


def test_archives_whose_results_would_meet_keep_their_suffixes(tmp_path: Path, tiny_onnx: Path) -> None:
    shards = tmp_path / "shards"
    draw(tmp_path / "a.png", tmp_path / "b.png", shards / "b/0.png")
    a, b = ((tmp_path / f"{name}.png").read_bytes() for name in "ab")
    for name, content in {"a.tar": a, "a.tgz": b, "b.tar": b, "c.tar": a}.items():
        write_tar(shards / name, {"0.png": content})
    outcome, _ = run(tiny_onnx, shards, tmp_path / "out")
    assert counts(outcome) == {"done": 5}
    names = {f"{folder}/0_x4.png" for folder in ("a.tar", "a.tgz", "b.tar", "b", "c")}
    assert results(tmp_path / "out").keys() == names
    assert counts(run(tiny_onnx, shards, tmp_path / "out")[0]) == {"skipped": 5}
    write_tar(shards / "c.tgz", {"0.png": b})
    assert counts(run(tiny_onnx, shards, tmp_path / "out")[0]) == {"skipped": 4, "done": 2}, "c is c.tar from now on"
    assert counts(run(tiny_onnx, shards, tmp_path / "out")[0]) == {"skipped": 6}


def test_results_may_lie_beside_a_list_of_pictures(
    tmp_path: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png")
    monkeypatch.chdir(tmp_path)
    assert main(["bulk", "list.txt", "large", "--workers", "1"]) == 0, capfd.readouterr().err
    assert results(tmp_path / "large").keys() == {"a_x4.png"}
    assert counts(run(shipped / "srgan.onnx", "a.png", "large", size=Size(scale=2))[0]) == {"done": 1}


def test_pictures_that_cannot_be_decoded_are_tried_again_when_asked_or_changed(tmp_path: Path, tiny_onnx: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    draw(source / "a.png")
    (source / "b.png").write_bytes(b"no picture")
    assert counts(run(tiny_onnx, source, target)[0]) == {"done": 1, "failed": 1}
    engine = Inline()
    assert counts(run(tiny_onnx, source, target, engine=engine)[0]) == {"skipped": 1, "failed": 1}
    assert engine.sources == []
    assert counts(run(tiny_onnx, source, target, engine=engine, retry_failed=True)[0]) == {"skipped": 1, "failed": 1}
    assert engine.sources == [f"{source}/b.png"]
    assert counts(run(tiny_onnx, source, target, limits=Limits(10))[0]) == {"skipped": 1, "failed": 1}
    draw(source / "b.png")
    assert counts(run(tiny_onnx, source, target)[0]) == {"skipped": 1, "done": 1}


@pytest.mark.skipif(os.name != "posix", reason="paths of POSIX")
def test_lists_of_paths(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "lists/near/a.png", tmp_path / "far/b c#1.png")
    lines = [
        "near/a.png",
        "./near/a.png",
        f"{tmp_path}/far/b c#1.png",
        f"file://{tmp_path}/far/b%20c%231.png",
        "near/gone.png",
        "",
    ]
    (tmp_path / "lists/list.txt").write_text("\n".join(lines))
    outcome, records = run(tiny_onnx, tmp_path / "lists/list.txt", tmp_path / "out")
    far = str(tmp_path).lstrip("/")
    assert counts(outcome) == {"done": 2, "failed": 1}
    assert set(results(tmp_path / "out")) == {"near/a_x4.png", f"{far}/far/b c#1_x4.png"}
    (failed,) = [record for record in records if record.status == "failed"]
    assert (failed.source, failed.error) == (f"{tmp_path}/lists/near/gone.png", "no such file")
    draw(tmp_path / "lists/near/gone.png")
    assert counts(run(tiny_onnx, tmp_path / "lists/list.txt", tmp_path / "out")[0])["done"] == 1
    (tmp_path / "lists/list.txt").write_bytes(codecs.BOM_UTF8 + b"near/a.png\r\n")
    assert counts(run(tiny_onnx, tmp_path / "lists/list.txt", tmp_path / "out")[0])["skipped"] == 1
    (tmp_path / "lists/list.txt").write_text("../far/b.png")
    with pytest.raises(BulkError, match=r"\.\./far/b\.png: a path in a list cannot leave its folder"):
        run(tiny_onnx, tmp_path / "lists/list.txt", tmp_path / "out")


@pytest.mark.parametrize("content", ["a.png\n".encode("utf-16"), "a.png\n".encode("utf-16-be"), b"a.png\n\0b.png\n"])
def test_a_list_that_is_not_utf_8_is_one_line(
    tmp_path: Path, tiny_onnx: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """As PowerShell's > writes it."""
    (tmp_path / "list.txt").write_bytes(content)
    assert main(["bulk", str(tmp_path / "list.txt"), str(tmp_path / "out"), "--model", str(tiny_onnx)]) == 1
    message = f"{tmp_path}/list.txt: a list is UTF-8, and this one UTF-16 or with a NUL in it"
    assert capfd.readouterr().err == f"srgan: error: {message}\n"


def test_a_path_with_a_nul_fails_alone(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    paths = ["a.png", "\0b.png", "c\0/d.png", f"file://{tmp_path}/e%00/f.png"]
    parquet.write_table(pa.table({"path": paths}), tmp_path / "t.parquet")
    for first in ({"done": 1}, {"skipped": 1}):
        outcome, records = run(tiny_onnx, tmp_path / "t.parquet", tmp_path / "out")
        assert counts(outcome) == {**first, "failed": 3}
        failed = {record.source: record.error for record in records if record.status == "failed"}
        assert failed == {f"{tmp_path}/{name}": "no such file" for name in (r"\0b.png", r"c\0/d.png", r"e\0/f.png")}
    for place in ("x%00", "x%00/a.png"):
        with pytest.raises(BulkError, match=r"/x\\0: no such file or folder"):
            run(tiny_onnx, f"file://{tmp_path}/{place}", tmp_path / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_that_are_not_unicode(tmp_path: Path, tiny_onnx: Path) -> None:
    name = os.fsdecode(b"in/\xff.png")
    draw(tmp_path / name)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 1}
    assert results(tmp_path / "out").keys() == {os.fsdecode(b"\xff_x4.png")}
    (tmp_path / "list.txt").write_bytes(b"in/\xff.png")
    assert counts(run(tiny_onnx, tmp_path / "list.txt", tmp_path / "listed")[0]) == {"done": 1}
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_a_table_whose_name_is_not_unicode(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    file = tmp_path / os.fsdecode(b"caf\xe9.parquet")
    parquet.write_table(pa.table({"image": [(tmp_path / "a.png").read_bytes(), b"no picture"]}), tmp_path / "t.parquet")
    (tmp_path / "t.parquet").rename(file)
    assert counts(run(tiny_onnx, file, tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    outcome, records = run(tiny_onnx, file, tmp_path / "out", retry_failed=True)
    assert (counts(outcome), len(records)) == ({"skipped": 1, "failed": 1}, 2)
    assert records[0].target.endswith("/00000001_x4.png")


def test_names_in_tars_that_are_not_unicode(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png", tmp_path / "out/x/a_x4.png")
    name = os.fsdecode(b"\xff.png")
    write_tar(tmp_path / "x.tar", dict.fromkeys(("a.png", name), (tmp_path / "a.png").read_bytes()))
    assert counts(run(tiny_onnx, tmp_path / "x.tar", tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    (tmp_path / "out/x/a_x4.png").unlink()
    assert counts(run(tiny_onnx, tmp_path / "x.tar", tmp_path / "out")[0]) == {"done": 1, "skipped": 1}
    (tmp_path / "x.tar").touch()
    outcome, records = run(tiny_onnx, tmp_path / "x.tar", tmp_path / "out")
    assert counts(outcome) == {"skipped": 2}
    assert all(record.network_s == 0 for record in records)
    assert status_of(Manifest(open_place(str(tmp_path / "out")))).done == 2


def test_a_destination_whose_name_is_not_unicode(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest is put together as others are."""
    draw(tmp_path / "in/a.png")
    target = tmp_path / os.fsdecode(b"\xff")
    monkeypatch.setattr(manifests, "MANY", 2)
    for _ in range(3):
        run(tiny_onnx, tmp_path / "in", target)
    assert len(list((target / "_srgan/manifest").iterdir())) == 1


@pytest.mark.parametrize("name", ["holiday.jpg", "all.tar", "list.txt"])
def test_a_folder_may_be_called_as_a_file(tmp_path: Path, tiny_onnx: Path, name: str) -> None:
    draw(tmp_path / name / "a.png")
    assert counts(run(tiny_onnx, tmp_path / name, tmp_path / "out")[0])["done"] == 1


def test_settings_of_the_pictures_own_format_are_settings_of_their_own(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.jpg", tmp_path / "in/b.png")
    members = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    write_tar(tmp_path / "tars/t.tar", members)
    for source, out in ((tmp_path / "in", tmp_path / "out"), (tmp_path / "tars", tmp_path / "out2/t")):
        target = tmp_path / out.relative_to(tmp_path).parts[0]
        assert counts(run(tiny_onnx, source, target, options=WriteOptions("same"))[0]) == {"done": 2}
        poor, before = WriteOptions("same", quality=30), (out / "a_x4.jpg").read_bytes()
        assert counts(run(tiny_onnx, source, target, options=poor)[0]) == {"remade": 1, "skipped": 1}
        assert len((out / "a_x4.jpg").read_bytes()) < len(before)
        assert counts(run(tiny_onnx, source, target)[0]) == {"done": 1, "skipped": 1}
        assert (out / "a_x4.png").is_file()


def test_parquet_with_paths_and_with_pictures(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "t/a.png", tmp_path / "t/b.png")
    a, b = ((tmp_path / f"t/{name}.png").read_bytes() for name in "ab")
    (tmp_path / "t/table").mkdir()
    parquet.write_table(pa.table({"path": ["a.png", "b.png"], "text": ["x", "y"]}), tmp_path / "t/paths.parquet")
    assert counts(run(tiny_onnx, tmp_path / "t/paths.parquet", tmp_path / "out")[0]) == {"done": 2}
    assert set(results(tmp_path / "out")) == {"a_x4.png", "b_x4.png"}
    pictures = [{"bytes": a, "path": "a"}, {"bytes": b"no", "path": None}, None, {"bytes": b, "path": "b"}]
    table = pa.table({"image": pictures, "label": [1, 2, 3, 4]})
    parquet.write_table(table, tmp_path / "t/table/train.parquet", row_group_size=2)
    engine = Inline()
    outcome, _ = run(tiny_onnx, tmp_path / "t/table", tmp_path / "out2", engine=engine)
    assert counts(outcome) == {"done": 2, "failed": 2}
    assert engine.sources == [f"{tmp_path}/t/table/train.parquet/{row}" for row in range(4)]
    assert results(tmp_path / "out2").keys() == {"train/00000000_x4.png", "train/00000003_x4.png"}
    assert read_fingerprint(tmp_path / "out2/train/00000003_x4.png") == read_fingerprint(tmp_path / "out/b_x4.png")
    engine = Inline()
    outcome, _ = run(tiny_onnx, tmp_path / "t/table", tmp_path / "out2", engine=engine)
    assert (counts(outcome), engine.sources) == ({"skipped": 2, "failed": 2}, [])
    (tmp_path / "out2/train/00000003_x4.png").unlink()
    run(tiny_onnx, tmp_path / "t/table", tmp_path / "out2", engine=engine)
    assert engine.sources == [f"{tmp_path}/t/table/train.parquet/3"]
    with pytest.raises(BulkError, match=r"train\.parquet: no column 'photo': image, label"):
        run(tiny_onnx, tmp_path / "t/table", tmp_path / "out3", column="photo")
    with pytest.raises(BulkError, match=r"the column label is int64, and neither paths nor pictures"):
        run(tiny_onnx, tmp_path / "t/table", tmp_path / "out3", column="label")
    parquet.write_table(pa.table({"x": [a], "y": [b]}), tmp_path / "t/two.parquet")
    with pytest.raises(BulkError, match=r"which column has the pictures or their paths\? --column says it: x, y"):
        run(tiny_onnx, tmp_path / "t/two.parquet", tmp_path / "out3")
    both = pa.Table.from_arrays([pa.array([a]), pa.array([b])], names=["x", "x"])
    parquet.write_table(both, tmp_path / "t/both.parquet")
    with pytest.raises(BulkError, match=r"both\.parquet: 2 columns 'x': x, x"):
        run(tiny_onnx, tmp_path / "t/both.parquet", tmp_path / "out3", column="x")
    (tmp_path / "t/bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BulkError, match=r"bad\.parquet: damaged: "):
        run(tiny_onnx, tmp_path / "t/bad.parquet", tmp_path / "out3")


def test_results_of_another_suffix_are_others(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png", tmp_path / "in/sub/b-large.png", tmp_path / "in/c.png")
    members = {name: (tmp_path / "in" / name).read_bytes() for name in ("a.png", "c.png")}
    write_tar(tmp_path / "tars/shard.tar", members)
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", suffix="-large")[0]) == {"done": 2}
    assert set(results(tmp_path / "out")) == {"a-large.png", "c-large.png"}
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", suffix="-large")[0]) == {"skipped": 2}
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out", suffix="")[0]) == {"done": 3}
    assert set(results(tmp_path / "out")) == {"a-large.png", "c-large.png", "a.png", "c.png", "sub/b-large.png"}
    named = {None: "a_x4.png", "": "a.png", "-large": "a-large.png", "-\udcff": "a-\udcff.png"}
    for suffix, name in named.items():
        assert counts(run(tiny_onnx, tmp_path / "tars", tmp_path / "out", suffix=suffix)[0]) == {"done": 2}
        assert counts(run(tiny_onnx, tmp_path / "tars", tmp_path / "out", suffix=suffix)[0]) == {"skipped": 2}
        assert f"shard/{name}" in results(tmp_path / "out")


def test_tars_of_pictures(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    members = {"000.png": a, "000.cls": b"1", "000.jpg": b"no picture", "001.seg.png": b, "x/../../002.png": c}
    write_tar(tmp_path / "shards/train-0.tar", members)
    write_tar(tmp_path / "shards/train-1.tar", {"000.png": c})
    engine = Inline(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_onnx, tmp_path / "shards", tmp_path / "out", engine=engine)
    names = {f"train-0/{name}_x4.png" for name in ("000", "001.seg", "002")} | {"train-1/000_x4.png"}
    rest = Inline()
    assert counts(run(tiny_onnx, tmp_path / "shards", tmp_path / "out", engine=rest)[0]) == {
        "skipped": 2,
        "done": 2,
        "failed": 1,
    }
    assert results(tmp_path / "out").keys() == names
    assert not set(rest.sources) & set(engine.sources)
    again = Inline()
    outcome, records = run(tiny_onnx, tmp_path / "shards", tmp_path / "out", engine=again)
    assert (counts(outcome), records, again.sources) == ({"skipped": 4, "failed": 1}, [], [])
    write_tar(tmp_path / "shards/train-1.tar", {"000.png": c, "003.png": a})
    outcome, records = run(tiny_onnx, tmp_path / "shards", tmp_path / "out")
    assert counts(outcome) == {"skipped": 4, "failed": 1, "done": 1}
    whole = (tmp_path / "shards/train-0.tar").read_bytes()
    (tmp_path / "shards/train-0.tar").write_bytes(whole[: len(whole) // 2])
    outcome, records = run(tiny_onnx, tmp_path / "shards", tmp_path / "out")
    assert [record.source for record in records if record.status == "failed"][-1] == f"{tmp_path}/shards/train-0.tar"
    assert "damaged, or cannot be read to its end" in records[-1].error


def test_a_table_that_was_repaired_has_failed_no_more(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png", tmp_path / "b.png")
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in "ab"]
    file, place = tmp_path / "t.parquet", open_place(str(tmp_path / "out"))
    parquet.write_table(pa.table({"image": pictures}), file, row_group_size=1, compression="none")
    whole = file.read_bytes()
    file.write_bytes(whole[:4] + bytes(60) + whole[64:])  # the first page's header
    assert counts(run(tiny_onnx, file, tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    (line,) = failures(Manifest(place))
    assert line.startswith(f"{file}\tdamaged, or cannot be read to its end")
    file.write_bytes(whole)
    assert counts(run(tiny_onnx, file, tmp_path / "out")[0]) == {"skipped": 1, "done": 1}
    assert list(failures(Manifest(place))) == []
    assert status_of(Manifest(place)).failed == 0
    assert run(tiny_onnx, file, tmp_path / "out")[1] == []


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("harm", ["a byte of it", "cut", "cut before it", "a length in it"])
def test_a_header_that_is_damaged_does_not_end_a_tar_quietly(
    tmp_path: Path, tiny_onnx: Path, harm: str, packed: bool
) -> None:
    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    write_tar(tmp_path / "whole.tar", {f"{number}.png": content for number in range(3)})
    whole = (tmp_path / "whole.tar").read_bytes()
    at = 512 + -(-len(content) // 512) * 512  # the second header
    pax = tarfile.TarInfo("x")
    pax.type, pax.size = tarfile.XHDTYPE, 512
    damaged = {
        "a byte of it": whole[: at + 3] + b"?" + whole[at + 4 :],
        "cut": whole[: at + 200],
        "cut before it": whole[:at],
        "a length in it": whole[:at] + pax.tobuf() + b"0 a=b\n".ljust(512, b"\0") + whole[at:],
    }[harm]
    file, out = tmp_path / ("t.tgz" if packed else "t.tar"), tmp_path / "out"
    file.write_bytes(gzip.compress(damaged) if packed else damaged)
    if packed and harm == "cut before it":
        packing = zlib.compressobj(wbits=31)
        file.write_bytes(packing.compress(damaged) + packing.flush(zlib.Z_FULL_FLUSH))
    if not packed and harm == "cut before it":  # is whole, as GNU's tar sees it
        assert counts(run(tiny_onnx, file, out)[0]) == {"done": 1}
        assert run(tiny_onnx, file, out)[1] == []
        return
    for first in ({"done": 1}, {"skipped": 1}):
        outcome, records = run(tiny_onnx, file, out)
        assert counts(outcome) == {**first, "failed": 1}
        assert (records[-1].source, records[-1].status) == (str(file), "failed")
        assert records[-1].error.startswith("damaged, or cannot be read to its end: ")
    assert results(out).keys() == {"t/0_x4.png"}


def test_a_tar_may_be_packed_in_any_number_of_pieces(tmp_path: Path, tiny_onnx: Path) -> None:
    """As those are that can be read from anywhere: estargz begins a piece of gzip with each member, bgzip at 64 KB."""
    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    write_tar(tmp_path / "t.tar", {f"{number}.png": content for number in range(3)})
    whole = (tmp_path / "t.tar").read_bytes()
    each = 512 + -(-len(content) // 512) * 512
    for name, length in (("members", each), ("pieces", 1000)):
        pieces = (whole[place : place + length] for place in range(0, len(whole), length))
        (tmp_path / f"{name}.tar.gz").write_bytes(b"".join(map(gzip.compress, pieces)))
        outcome, _ = run(tiny_onnx, tmp_path / f"{name}.tar.gz", tmp_path / name)
        assert counts(outcome) == {"done": 3}


@pytest.mark.parametrize("headers", [{"GNU.sparse.map": "x,y"}, {"GNU.sparse.size": "much"}, None])
def test_whatever_is_raised_of_a_damaged_tar_is_of_that_tar(
    tmp_path: Path, tiny_onnx: Path, headers: dict[str, str] | None
) -> None:
    draw(tmp_path / "in/b.png")
    content = (tmp_path / "in/b.png").read_bytes()
    with tarfile.open(tmp_path / "in/a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("1.png", "2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = headers or {} if name == "2.png" else {}
            tar.addfile(info, io.BytesIO(content))
    if headers is None:
        (tmp_path / "in/a.tar").write_bytes(b"\x1f\x8b\x08")  # gzip, cut in its own header
    outcome, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert counts(outcome) == {"done": 1 if headers is None else 2, "failed": 1}
    (error,) = [record.error for record in records if record.status == "failed"]
    assert error.startswith("damaged, or cannot be read to its end: ")


def test_each_part_of_an_archive_that_is_read_is_told_of(tmp_path: Path, tiny_onnx: Path) -> None:
    write_tar(tmp_path / "t.tar", {"much.bin": bytes(40_000)})
    parquet.write_table(pa.table({"image": [b"no picture"] * 200}), tmp_path / "t.parquet")
    made = making(tiny_onnx, tmp_path / "out")
    for name, times in (("t.tar", 5), ("t.parquet", 4)):
        (task,) = list_source(str(tmp_path / name), made.ending, None).tasks
        told: list[None] = []
        list(expand(task, made, lambda told=told: told.append(None)))  # type: ignore[misc]
        assert len(told) == times


def test_links_in_tars_are_told_of(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").hardlink_to(tmp_path / "in/a.png")
    (tmp_path / "in/c.png").symlink_to("a.png")
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.add(tmp_path / "in", arcname="in")
    outcome, records = run(tiny_onnx, tmp_path / "t.tar", tmp_path / "out")
    assert counts(outcome) == {"done": 1, "failed": 2}
    first, second = (record for record in records if record.status == "failed")
    assert first.source.startswith(f"{tmp_path}/t.tar/in/")
    assert first.error.startswith("a link, and tars are read from front to back alone: to in/")
    assert second.target == "t/in/c_x4.png"
    assert second.error == "a link, and tars are read from front to back alone: to a.png"
    assert status_of(Manifest(open_place(str(tmp_path / "out")))).reasons == {
        "a link, and tars are read from front to back alone": 2
    }
    assert run(tiny_onnx, tmp_path / "t.tar", tmp_path / "out")[1] == [], "a link stays one"


def test_a_link_in_a_tar_takes_no_picture_s_name(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "else.jpg"
        tar.addfile(link)
        tar.add(tmp_path / "a.png", arcname="a.png")
    assert counts(run(tiny_onnx, tmp_path / "t.tar", tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    assert results(tmp_path / "out").keys() == {"t/a_x4.png"}


def test_a_destination_that_cannot_be_searched_is_not_taken_for_an_empty_one(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in/sub/a.png", tmp_path / "in/b.png")
    (tmp_path / "out/sub").mkdir(parents=True)
    (tmp_path / "out/sub/a_x4.png").write_text("somebody's")

    names: tuple[str, ...] = ("out/sub",)

    def closed(place: str, *_: object) -> Iterator[os.DirEntry[str]]:
        if str(place).endswith(names):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", closed)
    outcome, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert counts(outcome) == {"done": 1, "failed": 1}
    assert next(record.error for record in records if record.status == "failed").endswith("--overwrite replaces it")
    assert (tmp_path / "out/sub/a_x4.png").read_text() == "somebody's"
    names = (*names, FOLDER)
    with pytest.raises(BulkError, match=r"out/_srgan/\w+: Permission denied"):
        status_of(Manifest(open_place(str(tmp_path / "out"))))


def test_no_result_takes_the_place_of_a_picture_of_a_list(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "b.png", tmp_path / "b_x4.png")
    before = (tmp_path / "b_x4.png").read_bytes()
    (tmp_path / "list.txt").write_text("b.png\nb_x4.png\n")
    (tmp_path / "link").symlink_to(tmp_path)
    for listed, destination in (("b.png", "."), ("./b.png", "."), ("sub/../b.png", "."), ("b.png", "link")):
        (tmp_path / "list.txt").write_text(f"{listed}\n{listed.replace('b', 'b_x4')}\n")
        with pytest.raises(BulkError, match=r"b_x4\.png: the result of .*b\.png would go there, which is a picture of"):
            run(tiny_onnx, tmp_path / "list.txt", tmp_path / destination, overwrite=True)
    assert (tmp_path / "b_x4.png").read_bytes() == before
    assert counts(run(tiny_onnx, tmp_path / "list.txt", tmp_path / "out")[0]) == {"done": 2}


def test_tars_may_be_packed(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    write_tar(tmp_path / "plain.tar", {"a.png": (tmp_path / "a.png").read_bytes()})
    packed = gzip.compress((tmp_path / "plain.tar").read_bytes())
    (tmp_path / "shards").mkdir()
    for name in ("one.tar.gz", "two.tgz", "three.TAR.GZ"):
        (tmp_path / "shards" / name).write_bytes(packed)
    (tmp_path / "shards/no.gz").write_bytes(packed)
    assert counts(run(tiny_onnx, tmp_path / "shards", tmp_path / "out")[0]) == {"done": 3}
    assert results(tmp_path / "out").keys() == {f"{name}/a_x4.png" for name in ("one", "two", "three")}
    assert counts(run(tiny_onnx, tmp_path / "shards/one.tar.gz", tmp_path / "out")[0]) == {"skipped": 1}


def test_of_two_columns_that_are_called_like_paths_the_first_of_the_list_counts(
    tmp_path: Path, tiny_onnx: Path
) -> None:
    draw(tmp_path / "a.png", tmp_path / "b.png")
    parquet.write_table(pa.table({"url": ["b.png"], "text": ["x"], "path": ["a.png"]}), tmp_path / "t.parquet")
    run(tiny_onnx, tmp_path / "t.parquet", tmp_path / "out")
    assert results(tmp_path / "out").keys() == {"a_x4.png"}
    run(tiny_onnx, tmp_path / "t.parquet", tmp_path / "other", column="url")
    assert results(tmp_path / "other").keys() == {"b_x4.png"}


def test_the_status_of_archives_counts_what_was_in_them(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for number in range(2):
        write_tar(tmp_path / f"t/{number}.tar", {f"{name}.png": content for name in "abc"} | {"._a.png": b"of a Mac"})
    run(tiny_onnx, tmp_path / "t", tmp_path / "out")
    lines = list(lines_of(status_of(Manifest(open_place(str(tmp_path / "out"))))))
    assert lines[0] == f"{tmp_path}/t, 6 pictures"
    assert [line.split() for line in lines[1:4]] == [["6", "done"], ["0", "failed"], ["0", "to", "do"]]


def test_while_a_tar_is_not_read_to_its_end_more_is_to_do(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "t/z.png")
    content = (tmp_path / "t/z.png").read_bytes()
    write_tar(tmp_path / "t/0.tar", dict.fromkeys(("a.png", "b.png", "c.png"), content))
    write_tar(tmp_path / "t/1.tar", dict.fromkeys(("a.png", "b.png"), content))

    def said() -> list[str]:
        lines = list(lines_of(status_of(Manifest(open_place(str(tmp_path / "out"))))))
        assert "left" not in lines[-1]
        return [line.strip().removeprefix(f"{tmp_path}/t, ") for line in lines[:-1] if "failed" not in line]

    for stop_after, expected in (
        (0, ["3 pictures or more", "0 done", "3 to do, or more: tars that are not read to their ends: 2"]),
        (3, ["5 pictures or more", "3 done", "2 to do, or more: tars that are not read to their ends: 2"]),
        (2, ["6 pictures or more", "5 done", "1 to do, or more: tars that are not read to their ends: 1"]),
    ):
        with pytest.raises(KeyboardInterrupt):
            run(tiny_onnx, tmp_path / "t", tmp_path / "out", engine=Inline(stop_after=stop_after))
        assert said() == expected
    run(tiny_onnx, tmp_path / "t", tmp_path / "out")
    assert said() == ["6 pictures", "6 done", "0 to do"]


def test_what_is_still_in_hand_of_a_tar_that_has_been_read_is_to_do(tmp_path: Path, tiny_onnx: Path) -> None:
    class Ahead(Inline):
        def run(self, making: Making, tasks: list[Task]) -> Generator[Record, None, None]:
            records = list(super().run(making, tasks))
            yield records.pop()
            yield records.pop()
            raise KeyboardInterrupt

    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    write_tar(tmp_path / "t.tar", dict.fromkeys(("a.png", "b.png", "c.png", "d.png"), content))
    with pytest.raises(KeyboardInterrupt):
        run(tiny_onnx, tmp_path / "t.tar", tmp_path / "out", engine=Ahead())
    status = status_of(Manifest(open_place(str(tmp_path / "out"))))
    assert (status.run.total, status.run.unread, status.done, status.left) == (4, 0, 1, 3)
    whole = (tmp_path / "t.tar").read_bytes()
    (tmp_path / "t.tar").write_bytes(whole[: whole.index(b"d.png") + 600])
    with pytest.raises(KeyboardInterrupt):
        run(tiny_onnx, tmp_path / "t.tar", tmp_path / "broken", engine=Ahead())
    status = status_of(Manifest(open_place(str(tmp_path / "broken"))))
    assert (status.run.total, status.done, status.failed, status.left) == (4, 1, 1, 2)


def test_results_that_cannot_be_written_one_after_the_other_end_the_run(
    tmp_path: Path, tiny_onnx: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srgan.bulk.run.REFUSED", 3)
    (tmp_path / "in").mkdir()
    for name in ("b", "d"):
        Image.new("RGB", (12, 12), (200, 100, 50)).save(tmp_path / f"in/{name}.png")  # with room for the manifest
    for name in ("a", "c", "e", "f", "g", "h"):
        Image.effect_noise((400, 400), 90).convert("RGB").save(tmp_path / f"in/{name}1.png")
    engine = Inline()
    with pytest.raises(
        BulkError, match=r"3 results, one after the other: .*cannot be written: No space left on device"
    ):
        run(tiny_onnx, tmp_path / "in", small_disk / "out", engine=engine)
    assert [Path(source).stem for source in engine.sources] == ["a1", "b", "c1", "d", "e1", "f1", "g1"]
    lines = list(lines_of(status_of(Manifest(open_place(str(small_disk / "out"))))))
    assert [line.split(maxsplit=1) for line in lines[3:5]] == [
        ["5", "cannot be written: No space left on device"],
        ["1", "to do"],
    ]


def test_what_killed_runs_were_writing_is_removed(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    write_tar(tmp_path / "in/0.tar", {"deep/a.png": (tmp_path / "in/a.png").read_bytes()})
    for folder in ("", "0", "0/deep", "_srgan/manifest"):
        (tmp_path / "out" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / folder / ".srgan-0123456789abcdef.part").touch()
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert results(tmp_path / "out").keys() == {"a_x4.png", "0/deep/a_x4.png"}
    assert not list(tmp_path.rglob(".srgan-*"))


def test_places_that_cannot_be_are_one_line(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.csv").touch()
    (tmp_path / "list.txt").write_text("\n\n")
    parquet.write_table(pa.table({"path": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    for source, target, message in (
        ("gone", "out", r"gone: no such file or folder"),
        ("gone.txt", "out", r"gone\.txt: no such file"),
        ("list.csv/gone.tar", "out", r"gone\.tar: no such file"),
        (f"{300 * 'a'}.tar", "out", r"aa\.tar: cannot be read: File name too long"),
        ("list.txt", "out", r"list\.txt: no path in this list"),
        ("empty.parquet", "out", r"empty\.parquet: no pictures, tars or Parquet files with rows"),
        ("list.csv", "out", r"list\.csv: neither a picture, a \.tar nor a list"),
        ("empty", "out", r"empty: no pictures, tars or Parquet files"),
        ("in", "in/large", r"in/large is in .*in: results would become pictures; choose another"),
        ("in", "in", r"results would become pictures"),
    ):
        with pytest.raises(BulkError, match=message):
            run(tiny_onnx, tmp_path / source, tmp_path / target)
    with pytest.raises(BulkError, match="nosuch://bucket/x: "):
        open_place("nosuch://bucket/x")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        run(tiny_onnx, tmp_path / "in", tmp_path / "file/out")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.png"]


def test_without_a_terminal_a_line_says_how_far_it_is(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("srgan.cli.bulk.EVERY", 0.0)
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png")
    options = ["--model", str(tiny_onnx), "--workers", "1"]
    assert main(["bulk", str(tmp_path / "in"), str(tmp_path / "out"), *options]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "0 of 2 pictures, 0.00/s"
    assert re.fullmatch(r"1 of 2 pictures, \d+\.\d\d/s, 00:0\d left", lines[1])
    assert re.fullmatch(r"2 of 2 pictures, \d+\.\d\d/s, 00:00 left", lines[-1])


def test_the_manifest_tells_of_every_picture(tmp_path: Path, tiny_onnx: Path, photos: Path) -> None:
    run(tiny_onnx, photos, tmp_path / "out")
    table, runs = Manifest(open_place(str(tmp_path / "out"))).read()
    rows = {row["target"]: row for row in table.to_pylist()}
    assert rows.keys() == {"a_x4.png", "broken_x4.png", "deep/b.png_x4.png", "deep/b.webp_x4.png"}
    a = rows["a_x4.png"]
    assert (a["height_out"], a["width_out"]) == (4 * a["height_in"], 4 * a["width_in"])
    assert a["bytes_in"] == (photos / "a.png").stat().st_size
    assert a["bytes_out"] == (tmp_path / "out/a_x4.png").stat().st_size
    assert a["identity"] == read_fingerprint(tmp_path / "out/a_x4.png")
    assert all(a[f"{stage}_s"] > 0 for stage in ("read", "decode", "network", "encode", "write"))
    assert (rows["broken_x4.png"]["stage"], rows["broken_x4.png"]["network_s"]) == ("decode", 0)
    assert {(run.total, run.done_before) for run in runs} == {(4, 0)}
    status = status_of(Manifest(open_place(str(tmp_path / "out"))))
    assert (status.done, status.failed, status.left) == (3, 1, 0)
    assert list(failures(Manifest(open_place(str(tmp_path / "out"))))) == [
        f"{photos}/broken.jpg\tnot a picture, or not of a kind that can be read"
    ]


def test_what_has_failed_by_one_format_is_not_tried_again_after_a_run_with_another(
    tmp_path: Path, tiny_onnx: Path
) -> None:
    draw(tmp_path / "in/a.png")
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    given = []
    for name in ("png", "jpeg", "png", "jpeg"):
        engine = Inline()
        run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=WriteOptions(name), engine=engine)
        given.append(len(engine.sources))
    assert given == [2, 2, 0, 0]
    assert len(list(failures(Manifest(open_place(str(tmp_path / "out")))))) == 1


def test_pictures_that_have_a_result_of_another_name_by_now_have_failed_no_more(
    tmp_path: Path, tiny_onnx: Path
) -> None:
    Image.new("RGB", (5000, 1)).save(tmp_path / "wide.png")
    content = (tmp_path / "wide.png").read_bytes()
    for name in ("w", "v"):
        (tmp_path / f"in/{name}").mkdir(parents=True)
        (tmp_path / f"in/{name}/{name}.png").write_bytes(content)
    write_tar(tmp_path / "in/t.tar", {"w.png": content})
    manifest = Manifest(open_place(str(tmp_path / "out")))

    def listed() -> list[str]:
        return [line.partition("\t")[0].removeprefix(f"{tmp_path}/in/") for line in failures(manifest)]

    webp = WriteOptions("webp")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=webp)
    assert listed() == ["v/v.png", "w/w.png", "t.tar/w.png"]
    run(tiny_onnx, tmp_path / "in/w", tmp_path / "out")
    assert listed() == ["v/v.png", "t.tar/w.png"]
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert listed() == []
    for again in (False, True):
        run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=webp, retry_failed=again)
        assert listed() == ["v/v.png", "w/w.png", "t.tar/w.png"]
        assert status_of(manifest).failed == 3
        run(tiny_onnx, tmp_path / "in", tmp_path / "out")
        assert listed() == []
        assert status_of(manifest).failed == 0


def test_of_members_that_are_called_alike_each_that_failed_is_listed(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name in ("broken.png", "a.png"):
            tar.add(tmp_path / name, "a.png")
    assert counts(run(tiny_onnx, tmp_path / "t.tar", tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    assert len(list(failures(Manifest(open_place(str(tmp_path / "out")))))) == 1


def test_pictures_that_are_gone_have_failed_no_more(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    (tmp_path / "in/gone.png").symlink_to("nowhere")
    write_tar(tmp_path / "in/t.tar", {"b.png": (tmp_path / "in/a.png").read_bytes(), "broken.png": b"no picture"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other/apart.gif").write_bytes(b"no picture")
    manifest = Manifest(open_place(str(tmp_path / "out")))

    def listed() -> list[str]:
        return [line.partition("\t")[0].removeprefix(f"{tmp_path}/") for line in failures(manifest)]

    broken = ["other/apart.gif", "in/broken.png", "in/gone.png", "in/t.tar/broken.png"]
    run(tiny_onnx, tmp_path / "other", tmp_path / "out")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=WriteOptions("jpeg"))
    assert listed() == broken
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert listed() == broken
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 2, "failed": 3}
    (tmp_path / "in/broken.png").unlink()
    (tmp_path / "in/gone.png").unlink()
    for _ in range(2):
        assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 2, "failed": 1}
        assert listed() == [broken[0], broken[3]]
        status = status_of(manifest)
        assert (status.run.total, status.done, status.failed, status.left) == (3, 2, 1, 0)
        assert status.run.ended is not None
    files = manifest.names()
    (tmp_path / "in/t.tar").unlink()
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 1}
    assert listed() == broken[:1]
    assert len(manifest.names()) == len(files) + 2
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 1, "failed": 1}
    assert listed() == [broken[0], broken[1]]


def test_what_was_gone_from_a_tar_and_is_there_again_is_settled(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "a.png")
    good = {"a.png": (tmp_path / "a.png").read_bytes()}
    for members in (good | {"broken.png": b"no picture"}, good, good | {"broken.png": b"no picture", "c.gif": b"no"}):
        write_tar(tmp_path / "in/t.tar", members)
        with monkeypatch.context() as patched:
            patched.setattr(manifests, "MANY", 1)  # the last row of each result is all that is kept
            run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    for _ in range(2):
        outcome, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out")
        assert (counts(outcome), records) == ({"skipped": 1, "failed": 2}, [])


def test_the_status_says_how_fast_and_how_long_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(str(tmp_path))
    with pytest.raises(BulkError, match="nobody has written a manifest there"):
        status_of(Manifest(place))
    manifest = Manifest(place)
    start = time.time() - 100
    manifest.begin(Run("photos", 1000, started=start))
    for number in range(50):
        record = Record(f"photos/{number}.jpg", f"{number}_x4.png")
        if number < 20:
            record.status, record.stage = "failed", "decode"
            record.error = f"too large: {number}x{number} are much" if number % 2 else "damaged: broken data stream"
        manifest.add(record)
    manifest.flush()
    lines = list(lines_of(status_of(Manifest(place))))
    assert lines[:6] == [
        "photos, 1,000 pictures",
        "            30 done",
        "            20 failed",
        "            10 damaged",
        "            10 too large",
        "           950 to do",
    ]
    assert lines[6].startswith("0.50 pictures/s, 31 min 4")
    assert len(lines) == 7
    monkeypatch.setattr("srgan.bulk.status.SILENT", -1.0)
    assert list(lines_of(status_of(Manifest(place))))[7].startswith("silent for 0 min 0 s: it has been ended")


def test_the_status_is_that_of_the_last_run(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(*(tmp_path / f"in/{number}.png" for number in range(3)))
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    place = open_place(str(tmp_path / "out"))

    def said() -> list[str]:
        return list(lines_of(status_of(Manifest(place))))[:5]

    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    expected = [
        f"{tmp_path}/in, 4 pictures",
        "             3 done",
        "             1 failed",
        "             1 not a picture, or not of a kind that can be read",
        "             0 to do",
    ]
    assert said() == expected
    run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=WriteOptions("jpeg"))
    assert said() == expected
    draw(tmp_path / "in/new.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out", options=WriteOptions("jpeg"))
    assert said() == [f"{tmp_path}/in, 5 pictures", "             4 done", *expected[2:]]


def test_the_status_is_of_now_where_a_run_finds_nothing_to_do(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(*(tmp_path / f"in/{number}.png" for number in range(4)))
    place = open_place(str(tmp_path / "out"))
    with pytest.raises(KeyboardInterrupt):
        run(tiny_onnx, tmp_path / "in", tmp_path / "out", engine=Inline(stop_after=2))
    for number in (2, 3):
        (tmp_path / f"in/{number}.png").unlink()
    assert status_of(Manifest(place)).left == 2
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 2}
    status = status_of(Manifest(place))
    assert (status.run.total, status.done, status.left) == (2, 2, 0)
    assert status.run.ended is not None
    files = Manifest(place).names()
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert Manifest(place).names() == files, "nothing new is to be told"
    run(tiny_onnx, tmp_path / "in/0.png", tmp_path / "out")
    draw(tmp_path / "in/1.png", seed=1)
    run(tiny_onnx, tmp_path / "in/1.png", tmp_path / "out")
    run(tiny_onnx, tmp_path / "in/0.png", tmp_path / "out")
    assert status_of(Manifest(place)).run.source == f"{tmp_path}/in/0.png"


def test_what_a_clock_that_was_ahead_told_does_not_stay_the_last_word(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(time.time() + 10_000, tz)

    draw(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"no picture")
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "datetime", Ahead)
        assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    draw(tmp_path / "in/b.png")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 1, "done": 1}
    manifest = Manifest(open_place(str(tmp_path / "out")))
    status = status_of(manifest)
    assert (status.run.total, status.done, status.failed) == (2, 2, 0)
    assert list(failures(manifest)) == []
    assert run(tiny_onnx, tmp_path / "in", tmp_path / "out")[1] == []


def test_a_failure_is_one_line_whatever_its_picture_is_called(tmp_path: Path, tiny_onnx: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a\tb\nc\rd.png").write_bytes(b"no picture")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    (line,) = failures(Manifest(open_place(str(tmp_path / "out"))))
    assert line == f"{tmp_path}/in/a\\tb\\nc\\rd.png\tnot a picture, or not of a kind that can be read"
    draw(tmp_path / "in/a\tb\nc\rd.png", tmp_path / "out/a\tb\nc\rd_x4.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    (line,) = failures(Manifest(open_place(str(tmp_path / "out"))))
    assert line.partition("\t")[2].startswith(f"{tmp_path}/out/a\\tb\\nc\\rd_x4.png: is there already")


def test_a_list_has_lines_that_end_as_lines_of_files_do(tmp_path: Path, tiny_onnx: Path) -> None:
    names = ["a\u2028b.png", "c\x85d.png", "e\x0cf.png", "g.png"]
    draw(*(tmp_path / name for name in names))
    (tmp_path / "list.txt").write_bytes("\r\n".join(names).encode())
    outcome, _ = run(tiny_onnx, tmp_path / "list.txt", tmp_path / "out")
    assert counts(outcome) == {"done": 4}


def test_many_files_of_a_manifest_become_one(tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(*(tmp_path / f"in/{number}.png" for number in range(6)))
    monkeypatch.setattr(manifests, "ROWS", 1)
    monkeypatch.setattr(manifests, "MANY", 5)
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    folder = tmp_path / "out/_srgan/manifest"
    assert len(list(folder.iterdir())) == 8  # six, one at the beginning and one at the end
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 6}
    assert len(list(folder.iterdir())) == 1
    status = status_of(Manifest(open_place(str(tmp_path / "out"))))
    assert status.done == 6
    assert status.run.ended is not None
    (folder / "foreign.parquet").write_bytes(b"no")
    with pytest.raises(BulkError, match=r"foreign\.parquet: damaged"):
        run(tiny_onnx, tmp_path / "in", tmp_path / "out")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second goes by each time that a manifest looks at the clock."""
    ticks, start = count(), datetime(2026, 1, 1, tzinfo=UTC)
    told = {"now": lambda _: start + timedelta(seconds=next(ticks)), "fromtimestamp": datetime.fromtimestamp}
    monkeypatch.setattr(manifests, "datetime", SimpleNamespace(**told))


def test_files_of_runs_that_came_to_nothing_become_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a cluster that was away each time."""
    monkeypatch.setattr(manifests, "MANY", 3)
    manifest = Manifest(open_place(str(tmp_path)))
    for number in range(3):
        manifest.begin(Run("photos", number))
    manifest.tidy()
    table, runs = manifest.read()
    assert (len(manifest.names()), table.num_rows, [run.total for run in runs]) == (1, 0, [2])


@pytest.mark.usefixtures("clock")
def test_of_the_rows_of_a_result_the_last_one_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MANY", 4)
    manifest = Manifest(open_place(str(tmp_path)))
    manifest.begin(Run("photos", 2))
    for target, status, error in (("a.png", "failed", "one"), ("b.png", "done", ""), ("a.png", "remade", "")):
        manifest.add(Record("photos", target, status, error=error))  # type: ignore[arg-type]
        manifest.flush()
    assert len(manifest.names()) == 4
    manifest.tidy()
    assert len(manifest.names()) == 1
    table, runs = manifest.read()
    assert [(row["target"], row["status"]) for row in table.to_pylist()] == [("b.png", "done"), ("a.png", "remade")]
    assert [run.source for run in runs] == ["photos"]


def test_files_that_are_put_together_while_a_manifest_is_read_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "MANY", 2)
    writing, reading = (Manifest(open_place(str(tmp_path))) for _ in range(2))
    writing.begin(Run("photos", 1))
    writing.end(Run("photos", 1))
    before, names = reading.names(), reading.names

    def listed() -> list[str]:
        monkeypatch.setattr(reading, "names", names)
        writing.tidy()
        return before

    monkeypatch.setattr(reading, "names", listed)
    assert [run.ended is not None for run in reading.read()[1]] == [True]
    with pytest.raises(BulkError, match="no such file"):
        reading.read(names=before)


@pytest.mark.usefixtures("clock")
def test_rows_are_in_the_order_of_their_times_whichever_file_has_them(tmp_path: Path) -> None:
    """As two drivers write that share a destination."""
    one, other = (Manifest(open_place(str(tmp_path))) for _ in range(2))
    for manifest in (one, other):
        manifest.begin(Run("photos", 1))
    one.add(Record("photos/a.jpg", "a.png", "failed", stage="network"))
    other.add(Record("photos/a.jpg", "a.png", "done", identity="0123"))
    other.flush()
    one.flush()
    assert one.read()[0]["status"].to_pylist() == ["failed", "done"]
    found, _ = manifests.known(one)
    assert (found["a.png"].failed, found["a.png"].identity) == (False, "0123")


def test_a_rerun_reads_a_large_manifest_quickly(tmp_path: Path, tiny_onnx: Path) -> None:
    """Without reading a picture: here 20,000 rows, of a million in benchmarks/bulk.py."""
    place = open_place(str(tmp_path))
    manifest = Manifest(place)
    manifest.begin(Run("photos", 20_000))
    for number in range(20_000):
        manifest.add(Record(f"photos/{number}.jpg", f"{number}_x4.png", version="1-1", settings="s"))
    manifest.flush()
    found, archives = manifests.known(manifest)
    assert len(found) == 20_000
    assert archives == {}
    assert found["7_x4.png"].final
    assert making(tiny_onnx, tmp_path).mark != "s"
    assert X4.ending == "_x4"


def test_a_machine_without_the_model_s_file_keeps_one_copy_of_it(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    model = tmp_path / "mine.onnx"
    model.write_bytes(tiny_onnx.read_bytes())
    ours = making(model, tmp_path)
    assert _model_file(ours) == model
    model.write_bytes(b"another one by now")
    for _ in range(2):
        found = Path(_model_file(ours))
        assert found.read_bytes() == tiny_onnx.read_bytes()
        assert found.name == "mine.onnx"
    found.write_bytes(b"damaged")
    assert Path(_model_file(ours)).read_bytes() == tiny_onnx.read_bytes()
    assert [path.name for path in (tmp_path / "cache/srgan/models").rglob("*.onnx")] == ["mine.onnx"]
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "temporary").mkdir()
    assert Path(_model_file(ours)).parent.parent == tmp_path / "temporary"


@pytest.mark.parametrize("url", ["ftp://me:secret@127.0.0.1:1/x", "s3://me:secret@bucket/x?region=us-east-1"])
def test_what_is_secret_in_an_address_is_not_told(url: str) -> None:
    try:
        told = open_place(url).url
    except BulkError as error:  # of a server that is not there
        told = str(error)
    assert told.startswith((f"{url.partition(':')[0]}://127.0.0.1:1/x: ", "s3://bucket/x"))
    assert "secret" not in told


def test_the_status_of_a_run_that_has_done_nothing_yet() -> None:
    lines = list(lines_of(Status(Run("photos", total=3), 0, Counter(), 0.0, time.time())))
    assert lines[0] == "photos, 3 pictures"
    assert lines[-1].startswith("0.00 pictures/s; last word ")


def test_an_archive_is_no_picture_of_the_rate(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    write_tar(tmp_path / "t/0.tar", {f"{name}.png": (tmp_path / "a.png").read_bytes() for name in "ab"})
    run(tiny_onnx, tmp_path / "t", tmp_path / "out")
    status = status_of(Manifest(open_place(str(tmp_path / "out"))))
    assert status.rate * (status.last - status.run.started) == pytest.approx(2)


def test_a_result_that_cannot_be_encoded_leaves_no_file(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OutputError("no")

    draw(tmp_path / "in/a.png")
    monkeypatch.setattr("srgan.bulk.stages.write_picture", refuse)
    outcome, records = run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    assert (counts(outcome), records[0].stage, records[0].error) == ({"failed": 1}, "encode", "no")
    assert results(tmp_path / "out") == {}


def test_members_of_a_tar_that_are_called_alike_have_results_of_their_own(tmp_path: Path, tiny_onnx: Path) -> None:
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in/t.tar", "w") as tar:
        for seed in range(4):
            draw(tmp_path / "a.png", seed=seed)
            tar.add(tmp_path / "a.png", "./a.png")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 4}
    made = results(tmp_path / "out")
    assert made.keys() == {f"t/{name}_x4.png" for name in ("a", "a.png", "a.png~2", "a.png~3")}
    assert len(set(made.values())) == 4


def test_rows_are_written_after_some_seconds_however_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(open_place(str(tmp_path)))
    manifest.begin(Run("photos"))
    manifest.add(Record("a.png", "a_x4.png"))
    assert Manifest(open_place(str(tmp_path))).read()[0].num_rows == 0
    monkeypatch.setattr(manifests, "SECONDS", -1)
    manifest.add(Record("b.png", "b_x4.png"))
    assert Manifest(open_place(str(tmp_path))).read()[0]["target"].to_pylist() == ["a_x4.png", "b_x4.png"]


def test_files_of_a_manifest_stay_until_the_one_of_them_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OutputError("no room")

    manifest = Manifest(open_place(str(tmp_path)))
    manifest.begin(Run("photos"))
    before = manifest.names()
    monkeypatch.setattr(manifests, "MANY", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", refuse)
        with pytest.raises(OutputError, match="no room"):
            manifest.tidy()
    assert manifest.names() == before


def test_a_folder_that_could_not_be_searched_is_no_picture_of_the_total(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listing(*of: object) -> Listing:
        found = list_source(*of)  # type: ignore[arg-type]
        found.errors.append(PictureError("closed: Permission denied"))
        return found

    monkeypatch.setattr("srgan.bulk.run.list_source", listing)
    draw(tmp_path / "in/a.png")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"done": 1, "failed": 1}
    status = status_of(Manifest(open_place(str(tmp_path / "out"))))
    assert (status.run.total, status.done, status.left) == (1, 1, 0)


def test_what_workers_that_were_killed_in_this_run_were_writing_is_removed(tmp_path: Path, tiny_onnx: Path) -> None:
    left = tmp_path / "out/.srgan-0123456789abcdef.part"

    class Killed(Inline):
        def run(self, making: Making, tasks: list[Task]) -> Generator[Record, None, None]:
            yield from super().run(making, tasks)
            left.touch()

    draw(tmp_path / "in/a.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out", engine=Killed())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_srgan", "a_x4.png"]


def test_results_that_are_known_by_their_fingerprints_count_as_done(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "in/a.png")
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    shutil.rmtree(tmp_path / "out/_srgan")
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 1}
    status = status_of(Manifest(open_place(str(tmp_path / "out"))))
    assert (status.done, status.left) == (1, 0)


def test_nothing_is_left_where_an_archive_had_more_than_the_one_that_it_counts_for() -> None:
    assert Status(Run("shards", total=1), 3, Counter({"damaged": 1}), 0.0, 0.0).left == 0
