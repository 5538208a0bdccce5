"""The engine of one machine, with real processes: one is killed, all are, the command is, or interrupted."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from inline import counts, deadly, draw, making, results, run
from PIL import Image

from srgan.bulk import local
from srgan.bulk.local import LocalEngine
from srgan.bulk.manifest import Manifest, Record
from srgan.bulk.places import open_place
from srgan.bulk.run import run_bulk
from srgan.bulk.sources import list_source
from srgan.cli import main
from srgan.errors import BulkError, WeightsError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draw(*(tmp_path / f"photos/{number:02}.png" for number in range(24)))
    (tmp_path / "photos/broken.png").write_bytes(b"no picture")
    return tmp_path / "photos"


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(photos: Path, tmp_path: Path, tiny_onnx: Path) -> None:
    run(tiny_onnx, photos, tmp_path / "one")
    records: list[Record] = []

    def tell(record: Record) -> None:
        records.append(record)
        if len(records) == 5:
            os.kill(int(record.worker.rpartition(":")[2]), signal.SIGKILL)

    outcome = run_bulk(str(photos), making(tiny_onnx, tmp_path / "two"), LocalEngine(2), on_record=tell)
    assert outcome.counts["failed"] == 1
    assert outcome.counts.total() == 25
    assert len({record.target for record in records}) == len(records)
    assert len({record.worker for record in records}) >= 2
    assert results(tmp_path / "two") == results(tmp_path / "one")


def test_a_picture_that_ends_its_workers_fails_alone(photos: Path, tmp_path: Path, tiny_onnx: Path) -> None:
    draw(photos / "deadly.png")
    made = making(tiny_onnx, tmp_path / "out")
    tasks = list_source(str(photos), made.size, "png", None).tasks
    records = list(LocalEngine(2).run(made, [deadly(task) for task in tasks]))
    assert len(records) == 26
    failed = {record.target: record for record in records if record.status == "failed"}
    assert failed.keys() == {"broken_x4.png", "deadly_x4.png"}
    assert failed["deadly_x4.png"].error.startswith("its process was ended by signal 9, and so was the next")
    assert not failed["deadly_x4.png"].final, "the next run tries it again"


def test_workers_that_all_end_as_they_begin_end_the_run(
    tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in/deadly.png")
    made = making(tiny_onnx, tmp_path / "out")
    (task,) = list_source(str(tmp_path / "in"), made.size, "png", None).tasks
    tasks = [replace(deadly(task), target=f"{number}.png") for number in range(12)]
    monkeypatch.setattr(local, "STILLBORN", 3)
    with pytest.raises(BulkError, match="3 workers, one after the other, were ended by signal 9 before they did"):
        list(LocalEngine(1).run(made, tasks))


def test_an_engine_that_is_not_installed_names_its_extra(
    photos: Path, tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "srgan.bulk.ray", raising=False)
    assert main(["bulk", str(photos), str(tmp_path / "out"), "--model", str(tiny_onnx), "--engine", "ray"]) == 1
    error = capfd.readouterr().err
    assert error.startswith("srgan: error: the engine ray is not installed (")
    assert error.endswith("): pip install 'srgan[ray]'\n")


def test_a_command_without_pyarrow_names_its_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pyarrow'] = None; from srgan.cli import main; sys.exit(main(['bulk', 'a', 'b']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    message = "srgan bulk needs pyarrow, which is not installed: pip install 'srgan[bulk]'"
    assert (result.returncode, result.stderr) == (1, f"srgan: error: {message}\n")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "srgan", "bulk", *map(str, arguments)]


def many(folder: Path, count: int = 120) -> Path:
    draw(*(folder / f"{number:03}.png" for number in range(count)))
    return folder


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_goes_on_where_it_was(tmp_path: Path, tiny_onnx: Path, end: signal.Signals) -> None:
    source, target = many(tmp_path / "in"), tmp_path / "out"
    arguments = (source, target, "--model", tiny_onnx, "--workers", "1")
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list(target.glob("*.png"))) < 10:
        time.sleep(0.01)
    process.send_signal(end)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == (-9 if end == signal.SIGKILL else 130), errors
    assert (output, errors) == ("", "" if end == signal.SIGKILL else "\nsrgan: interrupted\n")
    deadline = time.monotonic() + 10
    before, now = -1, len(list(target.glob("*.png")))
    while before != now and time.monotonic() < deadline:
        time.sleep(0.5)  # its worker ends with what it has in hand
        before, now = now, len(list(target.glob("*.png")))
    assert before < 120
    assert not list(target.glob(".srgan-*"))
    again = subprocess.run(command(*arguments), capture_output=True, text=True, check=True)
    assert again.stderr == ""
    summary = re.fullmatch(r"(\d+) done, (\d+) skipped \(there already\), 0 failed in \d+\.\d s\n", again.stdout)
    assert summary is not None
    assert int(summary[2]) == before
    assert int(summary[1]) == 120 - before
    run(tiny_onnx, source, tmp_path / "inline", precision="auto")
    assert results(target) == results(tmp_path / "inline")


def test_a_network_that_cannot_be_loaded_ends_the_run(photos: Path, tmp_path: Path, tiny_onnx: Path) -> None:
    made = making(tiny_onnx, tmp_path / "out")
    with pytest.raises(WeightsError, match="damaged, or not an ONNX model"):
        run_bulk(str(photos), replace(made, weights=b"no network"), LocalEngine(1))
    assert results(tmp_path / "out") == {}


def test_the_command_says_what_became_of_it(
    photos: Path, tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    assert main(["bulk", str(photos), str(target), "--model", str(tiny_onnx), "--workers", "1"]) == 1
    captured = capfd.readouterr()
    assert re.fullmatch(r"24 done, 0 skipped, 1 failed in \d+\.\d s\n", captured.out)
    assert captured.err == (
        f"srgan: error: {photos}/broken.png: not a picture, or not of a kind that can be read\n"
        f"srgan bulk --failures {target} lists what failed, and why\n"
    )
    assert main(["bulk", str(photos), str(target), "--model", str(tiny_onnx)]) == 1
    captured = capfd.readouterr()
    assert captured.out.startswith("0 done, 24 skipped (there already), 1 failed in ")
    assert captured.err.count("\n") == 1
    assert main(["bulk", "--status", str(target)]) == 0
    assert capfd.readouterr().out.splitlines()[1] == "            24 done"
    assert main(["bulk", "--failures", str(target)]) == 0
    assert capfd.readouterr().out == f"{photos}/broken.png\tnot a picture, or not of a kind that can be read\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "SOURCE and DESTINATION: two places"),
        (["in", "out", "more"], 2, "SOURCE and DESTINATION: two places"),
        (["in", "out", "--status"], 2, "--status and --failures are of one DESTINATION"),
        (["in", "out", "--quality", "90"], 2, "PNG has no quality: it loses nothing"),
        (["in", "out", "--model", "gone.onnx"], 1, "gone.onnx: no such file"),
        (["gone", "out"], 1, "gone: no such file or folder"),
        (["--status", "out"], 1, "out: nobody has written a manifest there"),
        (["hdfs://localhost:1/in", "out"], 1, None),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str],
    status: int,
    message: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bulk", *arguments]) == status
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"srgan: error: {message or arguments[0]}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_of_the_picture_and_the_rest_stays(
    tmp_path: Path, tiny_onnx: Path, small_disk: Path
) -> None:
    draw(tmp_path / "in/a.png")
    Image.effect_noise((400, 400), 90).convert("RGB").save(tmp_path / "in/large.png")
    outcome, records = run(tiny_onnx, tmp_path / "in", small_disk / "out")
    assert counts(outcome) == {"done": 1, "failed": 1}
    assert records[1].error.endswith("large_x4.png: cannot be written: No space left on device")
    assert results(small_disk / "out").keys() == {"a_x4.png"}
    assert len(Manifest(open_place(str(small_disk / "out"))).names()) == 2
    assert not records[1].final
