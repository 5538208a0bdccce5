"""The engine of one machine, with real processes: one is killed, all are, the command is, or interrupted."""

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import Pipe, resource_tracker, util
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from inline import DeadlyModel, UnloadableModel, counts, deadly, draw, hanging, making, results, run, slow
from PIL import Image
from stores import write_tar

from srgan.bulk import local
from srgan.bulk.local import LocalEngine, _Crew, _Flight, gpu_environments
from srgan.bulk.manifest import Manifest, Record, known
from srgan.bulk.places import Place, open_place
from srgan.bulk.run import Outcome, run_bulk
from srgan.bulk.sources import Task, list_source
from srgan.bulk.stages import Making
from srgan.cli import main
from srgan.cli.bulk import _ended_by_signals
from srgan.errors import ArgumentError, BulkError, WeightsError
from srgan.image.picture import Limits

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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells which signals a process hears")
def test_ctrl_c_is_the_drivers_before_a_worker_can_say_so(tmp_path: Path, tiny_onnx: Path) -> None:
    """For moments, while it starts a thread, a process hears no signal at all."""

    def unheard(pid: int | None) -> int:
        found = re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        assert found is not None
        return int(found[1], 16)

    crew = local._Crew(making(tiny_onnx, tmp_path / "out"), 1, 1, [], None)
    try:
        crew._hire(0)
        ((process, _, _),) = crew._crew.values()
        told = (unheard(process.pid) for _ in range(10_000))
        assert next(mask for mask in told if not mask >> signal.SIGTERM - 1 & 1) == 1 << signal.SIGINT - 1
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        crew.end()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_is_told_all_before_the_driver_hears_that_it_is_to_end(
    end: signal.Signals,
    tmp_path: Path,
    tiny_onnx: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One that has been told half of it would end with a traceback. Another thread hears the signal for this one."""
    start, other = util.spawnv_passfds, ThreadPoolExecutor(1)
    other.submit(int).result()

    def interrupted(path: bytes, arguments: Any, handles: Any) -> int:
        number: int = start(path, arguments, handles)
        other.submit(signal.raise_signal, end).result()
        return number

    def hear(*_: Any) -> None:
        raise KeyboardInterrupt

    resource_tracker.ensure_running()
    monkeypatch.setattr(util, "spawnv_passfds", interrupted)
    crew = local._Crew(making(tiny_onnx, tmp_path / "out"), 1, 1, [], None)
    before = signal.signal(end, hear)
    try:
        with pytest.raises(KeyboardInterrupt):
            crew._hire(0)
        assert signal.getsignal(end) == hear
        assert len(crew._crew) == 1
    finally:
        signal.signal(end, before)
        crew.end()
    other.shutdown()
    assert capfd.readouterr().err == ""


@dataclass(frozen=True)
class Ended(Place):
    """A place whose reader is told twice that it is to end, and once more when it does."""

    def read(self, name: str) -> bytes:
        atexit.register(os.kill, os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        return super().read(name)


def test_a_worker_that_is_told_to_end_once_more_ends_quietly(
    tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By whoever ends all of a group, `timeout` say, and by the driver that hears it too."""
    draw(tmp_path / "in/a.png")
    made = making(tiny_onnx, tmp_path / "out")
    (task,) = list_source(str(tmp_path / "in"), made.ending, None).tasks
    (record,) = LocalEngine(1).run(made, [replace(task, place=Ended(**vars(task.place)))])
    assert (record.status, record.stage) == ("failed", "worker")
    assert capfd.readouterr().err == ""


def test_a_picture_that_ends_its_workers_fails_alone(photos: Path, tmp_path: Path, tiny_onnx: Path) -> None:
    draw(photos / "deadly.png")
    made = making(tiny_onnx, tmp_path / "out")
    tasks = list_source(str(photos), made.ending, None).tasks
    records = list(LocalEngine(2).run(made, [replace(task, place=deadly(task.place)) for task in tasks]))
    assert len(records) == 26
    failed = {record.target: record for record in records if record.status == "failed"}
    assert failed.keys() == {"broken_x4.png", "deadly_x4.png"}
    assert failed["deadly_x4.png"].error.startswith("its process was ended by signal 9, and so was the next")
    assert failed["deadly_x4.png"].stage == "worker"  # and not decode: the next run tries it again


def test_a_picture_that_hangs_fails_alone(tmp_path: Path, tiny_onnx: Path) -> None:
    """As a file on a disk that does not answer; what waits beside it is done."""
    draw(*(tmp_path / f"photos/{name}.png" for name in ("0", "1", "hanging", "3", "4")))
    made = making(tiny_onnx, tmp_path / "out")
    tasks = list_source(str(tmp_path / "photos"), made.ending, None).tasks
    tasks = [replace(task, place=hanging(task.place)) for task in tasks]
    records = {record.target: record for record in LocalEngine(1, timeout=2.5).run(made, tasks)}
    assert len(records) == 5
    assert {name for name, record in records.items() if record.status == "failed"} == {"hanging_x4.png"}
    error = "its process was ended by the timeout of 2.5 s, and so was the next"
    assert records["hanging_x4.png"].error == error


def test_a_worker_that_reads_on_in_a_tar_has_not_fallen_silent(tmp_path: Path, tiny_onnx: Path) -> None:
    """Whatever there is to pass, settled pictures or other files."""
    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    write_tar(tmp_path / "t.tar", {"a.png": content, "much.bin": bytes(120_000), "b.png": content})
    made = making(tiny_onnx, tmp_path / "out")
    (task,) = list_source(str(tmp_path / "t.tar"), made.ending, None).tasks
    task = replace(task, place=slow(task.place), settled=frozenset({"t/a_x4.png"}))
    records = {record.target: record.status for record in LocalEngine(1, timeout=2.0).run(made, [task])}
    assert records == {"t/b_x4.png": "done", "t.tar": "listed"}


def test_many_that_hang_do_not_end_the_run(tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STILLBORN", 2)
    draw(*(tmp_path / f"photos/{name}.png" for name in ("0 hanging", "1 hanging", "2")))
    made = making(tiny_onnx, tmp_path / "out")
    tasks = list_source(str(tmp_path / "photos"), made.ending, None).tasks
    tasks = [replace(task, place=hanging(task.place)) for task in tasks]
    records = list(LocalEngine(1, timeout=2.0).run(made, tasks))
    assert sorted((record.target, record.status) for record in records) == [
        ("0 hanging_x4.png", "failed"),
        ("1 hanging_x4.png", "failed"),
        ("2_x4.png", "done"),
    ]


def test_a_picture_of_an_archive_that_ends_its_workers_fails_alone(tmp_path: Path, tiny_onnx: Path) -> None:
    draw(tmp_path / "a.png")
    names = ["0", "1", "deadly", "3", "4", "5", "6", "7", "8", "deadly too", "10", "11"]
    write_tar(tmp_path / "in/0.tar", {f"{name}.png": (tmp_path / "a.png").read_bytes() for name in names})
    made = making(tiny_onnx, tmp_path / "out")
    (task,) = list_source(str(tmp_path / "in"), made.ending, None).tasks
    records: list[Record] = []
    run_bulk(
        str(tmp_path / "in"),
        replace(made, destination=deadly(made.destination)),
        LocalEngine(1),
        on_record=records.append,
    )
    found = [(record.target, record.status) for record in records if record.target != task.name]
    failed = {"0/deadly_x4.png", "0/deadly too_x4.png"}
    assert {target for target, status in found if status == "failed"} == failed
    made_or_found = {status for target, status in found if target not in failed}  # a killed worker's, not told yet
    assert made_or_found <= {"done", "skipped"}
    assert sorted(target for target, _ in found) == sorted(f"0/{name}_x4.png" for name in names)
    assert results(tmp_path / "out").keys() == dict(found).keys() - failed
    for record in records:
        if record.status == "failed":
            assert record.error.startswith("its process was ended by signal 9, and so was the next")
            assert (record.source, record.archive) == (
                f"{tmp_path}/in/0.tar/{Path(record.target).stem[:-3]}.png",
                task.name,
            )
    assert counts(run(tiny_onnx, tmp_path / "in", tmp_path / "out")[0]) == {"skipped": 10, "done": 2}
    assert run(tiny_onnx, tmp_path / "in", tmp_path / "out")[1] == [], "and that was all"


def test_large_orders_and_many_answers_do_not_wait_for_each_other(tmp_path: Path, tiny_onnx: Path) -> None:
    """Archives whose tasks are more than a pipe holds, as are the records of what is in them."""
    write_tar(tmp_path / "0.tar", {f"{number:0200d}.png": b"no picture" for number in range(300)})
    made = making(tiny_onnx, tmp_path / "out")
    (task,) = list_source(str(tmp_path / "0.tar"), made.ending, None).tasks
    known = tuple((f"0/{number:0200d}_x4.png", "0" * 32) for number in range(5000))
    records: list[Record] = []
    working = Thread(target=lambda: records.extend(LocalEngine(1).run(made, [replace(task, members=known)] * 2)))
    working.daemon = True
    working.start()
    working.join(60)
    assert not working.is_alive()
    assert len(records) == 2 * 301


def test_workers_that_all_end_as_they_begin_end_the_run(
    photos: Path, tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "broken.png").unlink()
    made = replace(making(tiny_onnx, tmp_path / "out"), model=DeadlyModel(), weights=b"")  # type: ignore[arg-type]
    tasks = list_source(str(photos), made.ending, None).tasks
    monkeypatch.setattr(local, "STILLBORN", 3)
    with pytest.raises(BulkError, match="3 workers, one after the other, were ended by signal 9 before they did"):
        list(LocalEngine(1).run(made, tasks))


def test_pictures_that_end_their_workers_end_no_run_that_makes_others(
    photos: Path, tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(*(photos / f"{number}.deadly.png" for number in (30, 31, 32)))
    made = making(tiny_onnx, tmp_path / "out")
    tasks = list_source(str(photos), made.ending, None).tasks
    monkeypatch.setattr(local, "STILLBORN", 3)
    records = list(LocalEngine(1).run(made, [replace(task, place=deadly(task.place)) for task in tasks]))
    failed = {record.target for record in records if record.status == "failed"}
    assert failed == {"broken_x4.png", *(f"{number}.deadly_x4.png" for number in (30, 31, 32))}
    assert len(records) == 28


def test_workers_share_the_gpus_that_the_process_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(workers: int, gpus: int) -> list[str]:
        return [environment["CUDA_VISIBLE_DEVICES"] for environment in gpu_environments(workers, gpus)]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert shared(3, 2) == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-5ab")
    assert shared(3, 2) == ["4", "GPU-5ab", "4"]
    assert shared(1, 1) == ["4"]
    with pytest.raises(ArgumentError, match=r"--gpus 3 are more than CUDA_VISIBLE_DEVICES has: '4, GPU-5ab'"):
        shared(3, 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ArgumentError, match="--gpus 1 are more"):
        shared(1, 1)


def test_every_option_reaches_the_run(tmp_path: Path, tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Making, Any, dict[str, Any]]] = []

    def ran(_: str, made: Making, engine: Any, *, column: str | None, retry_failed: bool, **__: Any) -> Outcome:
        seen.append((made, engine, {"column": column, "retry_failed": retry_failed}))
        return Outcome()

    monkeypatch.setattr("srgan.cli.bulk.run_bulk", ran)
    monkeypatch.setattr("srgan.cli.bulk.processors", lambda: 5)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "srgan.bulk.ray", SimpleNamespace(RayEngine=lambda *what: what))
    more = ["--workers", "3", "--threads", "4", "--strip", "--no-provenance", "--overwrite", "--column", "picture"]
    more += ["--retry-failed", "--max-input-pixels", "7", "--max-output-pixels", "9"]
    for options in (
        [],
        ["--gpus", "2"],
        ["--gpus", "2", "--timeout", "6", *more],
        ["--engine", "ray"],
        ["--engine", "ray", "--address", "head:6379", "--gpus", "2", *more],
    ):
        assert main(["bulk", "in", str(tmp_path), "--model", str(tiny_onnx), *options]) == 0
    gpus = [{"CUDA_VISIBLE_DEVICES": number} for number in "010"]
    assert [engine for _, engine, _ in seen] == [
        LocalEngine(5),
        LocalEngine(2, gpus[:2]),
        LocalEngine(3, gpus, 6),
        (None, None, 1, None),
        ("head:6379", 3, 4, 2),
    ]
    assert [made.how["threads"] for made, _, _ in seen] == [1, None, 4, 1, 4]
    plain, full = seen[0], seen[2]
    assert (plain[0].limits, plain[0].options.strip, plain[0].options.provenance) == (Limits(), False, True)
    assert (full[0].limits, full[0].options.strip, full[0].options.provenance) == (Limits(7, 9), True, False)
    assert (plain[0].overwrite, full[0].overwrite) == (False, True)
    assert plain[2] == {"column": None, "retry_failed": False}
    assert full[2] == {"column": "picture", "retry_failed": True}


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


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_goes_on_where_it_was(tmp_path: Path, tiny_onnx: Path, end: signal.Signals) -> None:
    source, target = many(tmp_path / "in"), tmp_path / "out"
    arguments = (source, target, "--model", tiny_onnx, "--workers", "1")
    before_that = (
        signal.signal(end, signal.SIG_DFL) if end == signal.SIGHUP else None
    )  # what nohup ignores, heirs ignore
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if before_that is not None:
        signal.signal(end, before_that)
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


def test_a_network_that_cannot_be_loaded_ends_the_run(
    photos: Path, tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = making(tiny_onnx, tmp_path / "out")
    with pytest.raises(WeightsError, match="damaged, or not an ONNX model"):
        run_bulk(str(photos), replace(made, weights=b"no network"), LocalEngine(1))
    assert results(tmp_path / "out") == {}
    made = replace(made, model=UnloadableModel(), weights=b"")  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="no network"):
        run_bulk(str(photos), made, LocalEngine(1))
    assert capfd.readouterr().err == "", "of workers, which are ended as they tell of it"


def test_the_command_says_what_became_of_it(
    photos: Path, tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "large ones"
    assert main(["bulk", str(photos), str(target), "--model", str(tiny_onnx), "--workers", "1"]) == 1
    captured = capfd.readouterr()
    assert re.fullmatch(r"24 done, 0 skipped, 1 failed in \d+\.\d s\n", captured.out)
    assert captured.err == (
        f"srgan: error: {photos}/broken.png: not a picture, or not of a kind that can be read\n"
        f"srgan bulk --failures '{target}' lists what failed, and why\n"
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
        (["--status"], 2, "--status and --failures are of one DESTINATION"),
        (["in", "out", "--engine", "ray", "--timeout", "1"], 2, "--timeout is of --engine local"),
        (["in", "out", "--address", "head:6379"], 2, "--address is of --engine ray"),
        (["in", "out", "--model", "gone.onnx"], 1, "gone.onnx: no such file"),
        (["gone", "out"], 1, "gone: no such file or folder"),
        (["--status", "out"], 1, "out: nobody has written a manifest there"),
        (["--failures", "out"], 1, "out: nobody has written a manifest there"),
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
    found, _ = known(Manifest(open_place(str(small_disk / "out"))))
    assert (found["a_x4.png"].final, found["large_x4.png"].final) == (True, False)


def test_what_nohup_has_ignored_ends_no_run() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _ended_by_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def crew_of_one(monkeypatch: pytest.MonkeyPatch, timeout: float | None = None) -> tuple[_Crew, Any, dict[int, _Flight]]:
    """Return a crew, the line to its only worker, which is no process, and what that has in hand."""
    monkeypatch.setattr(_Crew, "_hire", lambda *_: None)
    crew = _Crew(SimpleNamespace(mark="m"), 1, 2, [], timeout)  # type: ignore[arg-type]
    line, flights = Pipe()[0], dict[int, _Flight]()
    worker = SimpleNamespace(exitcode=-9, join=lambda: None, kill=lambda: pytest.fail("it is ended"))
    crew._crew[line] = (worker, flights, 0)  # type: ignore[assignment]
    return crew, line, flights


def test_a_worker_that_had_nothing_to_do_has_its_time_from_when_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, line, flights = crew_of_one(monkeypatch, timeout=10.0)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert list(crew._hear(line, None)) == []
    now[0] = 100.0
    assert crew._end_silent() is None
    picture = Task("file", open_place("."), "b.png", "/b.png", "b_x4.png", "v")
    crew._suspects.append(_Flight(picture))
    crew._give(line, flights, crew._suspects)
    assert crew._end_silent() == 10.0


def test_a_worker_that_dies_after_a_picture_of_an_archive_did_not_die_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, line, flights = crew_of_one(monkeypatch)
    archive = Task("tar", open_place("."), "a.tar", "/a.tar", "a", "v", archive="a.tar")
    picture = Task("file", archive.place, "b.png", "/a.tar/b.png", "a/b_x4.png", "v", archive="a.tar")
    flights[1] = _Flight(archive, suspect=True)
    assert list(crew._hear(line, (1, picture))) == []
    assert [record.target for record in crew._hear(line, (1, Record(picture.source, picture.target)))] == ["a/b_x4.png"]
    assert [(record.target, record.status) for record in crew._bury(line)] == [("a.tar", "failed")]
