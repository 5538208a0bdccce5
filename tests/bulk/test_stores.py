"""An object store over real HTTP: moto's S3, with a server in front that can say that it is busy, or forbid."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import stores
from inline import Inline, counts, draw, results, run
from moto.s3.models import s3_backends
from stores import ACCOUNT, Store, upload, write_tar

from srgan.bulk import places
from srgan.bulk.manifest import Manifest
from srgan.bulk.places import open_place
from srgan.bulk.status import status_of
from srgan.cli import main
from srgan.errors import BulkError

store = stores.store
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(moto|botocore|werkzeug|flask)")


def test_a_prefix_page_by_page_to_another(store: Store, tmp_path: Path, tiny_onnx: Path) -> None:
    names = ["a.png", "deep/b c+#?.png", "z/last.png"]
    draw(*(tmp_path / "in" / name for name in names))
    upload(store, tmp_path / "in", "photos")
    for number in range(1100):
        s3_backends[ACCOUNT]["aws"].put_object("bucket", f"photos/m/{number:04}.txt", b"")
    store.requests.clear()
    outcome, records = run(tiny_onnx, store.url("bucket/photos"), store.url("bucket/large"))
    assert counts(outcome) == {"done": 3}
    assert [record.source for record in records] == [f"s3://bucket/photos/{name}" for name in names]
    listings = [line for line in store.requests if "list-type=2" in line and "photos" in line]
    assert len(listings) == 2, "1103 keys are two pages"
    writes = [line for line in store.requests if line.startswith(("PUT", "POST")) and "_srgan" not in line]
    assert len(writes) == 3, "a result is one request"
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    found = {key.removeprefix("large/"): body for key, body in store.objects("bucket", "large/").items()}
    assert {name: body for name, body in found.items() if "_srgan" not in name} == results(tmp_path / "out")
    engine = Inline()
    store.requests.clear()
    assert counts(run(tiny_onnx, store.url("bucket/photos"), store.url("bucket/large"), engine=engine)[0]) == {
        "skipped": 3
    }
    assert engine.sources == []
    assert not [line for line in store.requests if line.startswith("GET /bucket/photos/")], "no picture was read"
    assert status_of(Manifest(open_place(store.url("bucket/large")))).done == 3


@pytest.mark.cluster
def test_a_busy_store_is_asked_again(store: Store, tmp_path: Path, tiny_onnx: Path) -> None:
    draw(*(tmp_path / f"in/{number}.png" for number in range(4)))
    upload(store, tmp_path / "in", "photos")
    seen: dict[str, int] = {}

    def busy(line: str) -> bool:
        seen[line] = seen.get(line, 0) + 1
        return seen[line] == 1

    store.busy = busy
    assert counts(run(tiny_onnx, store.url("bucket/photos"), store.url("bucket/large"))[0]) == {"done": 4}
    assert store.refused == len(seen) > 12, "each request, once"


def test_lists_tars_and_tables_in_a_store(store: Store, tmp_path: Path, tiny_onnx: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    draw(tmp_path / "up/p/a.png", tmp_path / "up/p/b.png")
    content = (tmp_path / "up/p/a.png").read_bytes()
    write_tar(tmp_path / "up/shards/0.tar", {"x.png": content})
    (tmp_path / "up/list.txt").write_text("s3://bucket/up/p/a.png\np/b.png\n")
    parquet.write_table(pa.table({"jpg": [content, content]}), tmp_path / "up/table.parquet")
    upload(store, tmp_path / "up", "up")
    target = tmp_path / "out"
    assert counts(run(tiny_onnx, store.url("bucket/up/list.txt"), target)[0]) == {"done": 2}
    assert counts(run(tiny_onnx, store.url("bucket/up/shards"), target)[0]) == {"done": 1}
    assert counts(run(tiny_onnx, store.url("bucket/up/table.parquet"), target)[0]) == {"done": 2}
    assert results(target).keys() == {
        "bucket/up/p/a_x4.png",
        "p/b_x4.png",
        "0/x_x4.png",
        "table/00000000_x4.png",
        "table/00000001_x4.png",
    }


def test_pictures_below_what_is_a_tar_as_well_are_refused(store: Store, tmp_path: Path, tiny_onnx: Path) -> None:
    for name in ("a.tar", "a/x.png", "a.tar/x.png"):
        store.client().put_object(Bucket="bucket", Key=f"up/{name}", Body=b"")
    with pytest.raises(BulkError, match=r"up/a\.tar and s3://bucket/up/a\.tar/x\.png would both become a\.tar: give"):
        run(tiny_onnx, store.url("bucket/up"), tmp_path / "out")


def test_an_object_whose_name_leads_out_of_its_prefix_has_no_result(
    store: Store, tmp_path: Path, tiny_onnx: Path
) -> None:
    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for name in ("a.png", "../../other.png", "../list.tar"):
        store.client().put_object(Bucket="bucket", Key=f"in/deep/{name}", Body=content)
    outcome, _ = run(tiny_onnx, store.url("bucket/in/deep"), tmp_path / "far/below/out")
    assert counts(outcome) == {"done": 1, "failed": 2}
    assert all(str(error).endswith("a name with .. in it is that of no file below") for error in outcome.errors)
    assert results(tmp_path / "far").keys() == {"below/out/a_x4.png"}


def test_what_a_store_refuses_is_one_line(
    store: Store, tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "in/a.png")
    upload(store, tmp_path / "in", "photos")
    for source, target, message in (
        ("nobucket/photos", "bucket/large", r"s3://nobucket/photos: The specified bucket does not exist"),
        ("bucket/photos", "nobucket/large", r"s3://nobucket/large: The specified bucket does not exist"),
        ("bucket/none", "bucket/large", r"s3://bucket/none: no pictures, tars or Parquet files"),
        ("bucket/photos", "bucket/photos/large", r"s3://bucket/photos/large is in s3://bucket/photos"),
        ("bucket", "bucket/large", r"s3://bucket/large is in s3://bucket: results would become pictures"),
    ):
        with pytest.raises(BulkError, match=message):
            run(tiny_onnx, store.url(source), store.url(target))
    store.forbidden = True
    arguments = ["bulk", store.url("bucket/photos"), str(tmp_path / "out"), "--model", str(tiny_onnx)]
    assert main(arguments) == 1
    assert capfd.readouterr().err == "srgan: error: s3://bucket/photos: Access Denied (ACCESS_DENIED)\n"


@pytest.mark.cluster
def test_a_picture_that_a_store_will_not_take_is_tried_by_the_next_run(
    store: Store, tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "TRIES", 1)  # each is 6 seconds of Arrow's own tries
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png")
    store.busy = lambda line: line.startswith("PUT /bucket/large/b_x4.png")
    outcome, records = run(tiny_onnx, tmp_path / "in", store.url("bucket/large"))
    assert counts(outcome) == {"done": 1, "failed": 1}
    assert records[1].stage == "write"
    assert records[1].error.startswith("s3://bucket/large/b_x4.png: cannot be written: Please reduce your request rate")
    assert [key for key in store.objects("bucket") if "_srgan" not in key] == ["large/a_x4.png"]
    store.busy = lambda _: False
    assert counts(run(tiny_onnx, tmp_path / "in", store.url("bucket/large"))[0]) == {"skipped": 1, "done": 1}


def test_what_fails_for_a_while_is_tried_again_and_what_fails_for_ever_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("srgan.bulk.places.time.sleep", waits.append)
    place = replace(open_place(str(tmp_path)), kind="other")

    def failing(*errors: OSError) -> Callable[[], str]:
        rest = list(errors)

        def request() -> str:
            if rest:
                raise rest.pop(0)
            return "done"

        return request

    assert place._again(failing(*[OSError("SLOW_DOWN")] * 4)) == "done"
    assert len(waits) == 4
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits))
    for error in (OSError("AWS Error ACCESS_DENIED"), FileNotFoundError("none"), PermissionError("no")):
        with pytest.raises(OSError, match=str(error)):
            place._again(failing(error))
    assert len(waits) == 4
    with pytest.raises(OSError, match="SLOW_DOWN"):
        place._again(failing(*[OSError("SLOW_DOWN")] * 5))


def test_other_stores_by_fsspec_rename_what_is_whole(tmp_path: Path, tiny_onnx: Path) -> None:
    import fsspec

    draw(tmp_path / "in/a.png", tmp_path / "in/deep/b.png")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "in"), "/photos", recursive=True)
    assert counts(run(tiny_onnx, "memory://photos", "memory://large")[0]) == {"done": 2}
    assert counts(run(tiny_onnx, "memory://photos", "memory://large")[0]) == {"skipped": 2}
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    found = {key.removeprefix("/large/"): memory.cat(key) for key in memory.find("/large") if "_srgan" not in key}
    assert found == results(tmp_path / "out")


def test_a_hash_in_an_address_is_of_a_name(tmp_path: Path, tiny_onnx: Path) -> None:
    import fsspec

    draw(tmp_path / "in/a.png")
    content = (tmp_path / "in/a.png").read_bytes()
    write_tar(tmp_path / "in/t#1.tar", {"b.png": content})
    (tmp_path / "in/list#1.txt").write_text("a.png\nmemory://hash/in#1/a.png\n")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "in"), "/hash/in#1", recursive=True)
    for source, names in (
        ("in#1", {"a_x4.png", "t#1/b_x4.png"}),
        ("in#1/t#1.tar", {"t#1/b_x4.png"}),
        ("in#1/list#1.txt", {"a_x4.png", "hash/in#1/a_x4.png"}),
    ):
        target = f"file://{tmp_path}/out#{len(source)}"
        run(tiny_onnx, f"memory://hash/{source}", target)
        assert results(Path(target.removeprefix("file://"))).keys() == names
