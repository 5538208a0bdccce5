"""A Ray cluster of two nodes: a worker is killed halfway, the command is, and a picture kills whoever reads it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stores
from inline import counts, draw, results, run
from stores import CREDENTIALS, Store, upload, write_tar

from srgan.bulk.manifest import Manifest, Record
from srgan.bulk.places import open_place
from srgan.bulk.sources import Task
from srgan.cli import main
from srgan.image.size import Size
from srgan.inference.jobs import Ending

store = stores.store
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

COUNT, BROKEN = 500, (7, 108, 209, 310, 411)

CLUSTER = """
import logging, os, sys, time
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
options = {"num_cpus": 1, "object_store_memory": 150_000_000}
cluster = Cluster(initialize_head=True, head_node_args=options | {"include_dashboard": False})
cluster.add_node(**options)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of two nodes with a processor each; in a process of its own, as Ray warns and logs."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])} | CREDENTIALS,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    draw(*(folder / f"{number % 10}/{number:03}.png" for number in range(COUNT)))
    for number in BROKEN:
        (folder / f"{number % 10}/{number:03}.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory, tiny_onnx: Path) -> dict[str, bytes]:
    """What the stages make of it in this process."""
    folder = tmp_path_factory.mktemp("expected")
    outcome, _ = run(tiny_onnx, photos, folder)
    assert counts(outcome) == {"done": COUNT - len(BROKEN), "failed": len(BROKEN)}
    return results(folder)


def command(source: Path, target: Path, model: Path, *arguments: object) -> list[str]:
    options = ["--model", model, "--precision", "fp32", *arguments]
    return [sys.executable, "-m", "srgan", "bulk", *map(str, (source, target, *options))]


def made(target: Path) -> dict[Path, int]:
    """Return when each result that is there was written."""
    return {path: path.stat().st_mtime_ns for path in target.glob("*/*.png")}


def halfway(process: "subprocess.Popen[str]", target: Path) -> dict[Path, int]:
    deadline = time.monotonic() + 120
    while len(found := made(target)) < 150:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def networks() -> list[int]:
    """Return the processes that Ray runs networks in."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:  # gone meanwhile
                continue
            if title.startswith(b"ray::MapWorker"):
                found.append(int(folder.name))
    return found


def failed(errors: str, photos: Path) -> list[str]:
    told = [line for line in errors.splitlines() if " of 500 pictures, " not in line]  # on a slow machine
    lines = [line.removeprefix(f"srgan: error: {photos}/") for line in told]
    assert lines.pop().startswith("srgan bulk --failures ")
    return sorted(lines)


ALL_BROKEN = [f"{number % 10}/{number:03}.png: not a picture, or not of a kind that can be read" for number in BROKEN]


def test_a_worker_killed_halfway(
    photos: Path, expected: dict[str, bytes], tmp_path: Path, tiny_onnx: Path, address: str
) -> None:
    target = tmp_path / "out"
    arguments = command(photos, target, tiny_onnx, "--engine", "ray", "--address", address)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    before = halfway(process, target)
    os.kill(networks()[0], signal.SIGKILL)
    output, errors = process.communicate(timeout=200)
    assert re.fullmatch(r"495 done, 0 skipped, 5 failed in \d+\.\d s\n", output), output + errors
    assert failed(errors, photos) == sorted(ALL_BROKEN)
    assert process.returncode == 1
    assert results(target) == expected
    again = [path for path, when in made(target).items() if path in before and when != before[path]]
    assert len(again) <= 64, "what was in flight"
    table, _ = Manifest(open_place(str(target))).read(["target", "worker"])
    assert sorted(table["target"].to_pylist()) == sorted([*expected, *(f"{line[:5]}_x4.png" for line in ALL_BROKEN)])
    assert len(set(table["worker"].to_pylist())) >= 3, "two networks, and one in the place of the killed one"


def test_the_command_killed_halfway(
    photos: Path, expected: dict[str, bytes], tmp_path: Path, tiny_onnx: Path, address: str
) -> None:
    target = tmp_path / "out"
    arguments = command(photos, target, tiny_onnx, "--engine", "ray", "--address", address)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    halfway(process, target)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while networks() and time.monotonic() < deadline:  # Ray ends what the command had started
        time.sleep(0.2)
    before = made(target)
    assert len(before) < 495
    assert all(expected[path.relative_to(target).as_posix()] == path.read_bytes() for path in before)
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=200)
    summary = re.fullmatch(r"(\d+) done, (\d+) skipped \(there already\), 5 failed in \d+\.\d s\n", result.stdout)
    assert summary is not None, result.stdout + result.stderr
    assert int(summary[2]) == len(before)
    assert int(summary[1]) == 495 - len(before)
    listed = subprocess.run([*arguments[:4], "--failures", str(target)], capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.splitlines()) == sorted(
        f"{photos}/{line}".replace(": ", "\t", 1) for line in ALL_BROKEN
    )
    assert results(target) == expected
    assert {path: when for path, when in made(target).items() if path in before} == before, "nothing was made twice"


DEADLY = """
import sys
from dataclasses import replace
from pathlib import Path
from inline import deadly, making
from srgan.bulk.ray import RayEngine
from srgan.bulk.sources import list_source
model, photos, target, address = sys.argv[1:]
made = making(Path(model), target)
tasks = [replace(task, place=deadly(task.place)) for task in list_source(photos, made.ending, None).tasks]
for record in RayEngine(address, None).run(made, tasks):
    print(record.target, record.status, record.stage, record.error, sep=",")
"""


def test_a_picture_that_ends_its_workers_fails_alone(tmp_path: Path, tiny_onnx: Path, address: str) -> None:
    names = ["a.png", "b.png", "c.png", "deadly.png", "e.png"]
    draw(*(tmp_path / "in" / name for name in names))
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    arguments = [sys.executable, "-c", DEADLY, tiny_onnx, tmp_path / "in", tmp_path / "out", address]
    result = subprocess.run(
        [str(part) for part in arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": path},
    )
    said = [line.split(",") for line in result.stdout.splitlines()]
    assert {target: status for target, status, *_ in said} == {
        name.replace(".png", "_x4.png"): "failed" if name == "deadly.png" else "done" for name in names
    }, result.stderr
    assert len(said) == 5
    assert [line[2:] for line in said if line[1] == "failed"] == [
        ["worker", "every process that had it died; is there too little memory?"]
    ]
    assert results(tmp_path / "out").keys() == {name.replace(".", "_x4.") for name in names if name != "deadly.png"}


def test_what_is_left_of_an_archive_is_what_has_not_been_told_of(tmp_path: Path) -> None:
    from srgan.bulk.ray import _left

    place = open_place(str(tmp_path))
    tar = Task("tar", place, "a.tar", "a.tar", "a", "1", settled=frozenset({"a/0_x4.png"}))
    rows = Task("rows", place, "t.parquet", "t.parquet", "t", "1", rows=range(2, 4), group=1)
    png = Ending(Size(scale=4), None)
    listed = Record("a.tar", "a.tar", "listed", members=2)
    done = {"a/1_x4.png", "t/00000002_x4.png", "t/00000003_x4.png"}
    failed = replace(listed, status="failed")
    assert _left(tar, set(), {"a.tar": listed}, png) == tar
    assert _left(tar, done, {}, png) == replace(tar, settled=tar.settled | {"a/1_x4.png"})
    assert _left(tar, done, {"a.tar": listed}, png) is None
    assert _left(tar, set(), {"a.tar": failed}, png) is None
    assert _left(rows, set(), {"t.parquet#1": listed}, png) == rows
    assert _left(rows, set(), {"t.parquet#0": failed}, png) == rows
    assert _left(rows, set(), {"t.parquet#1": failed}, png) is None
    assert _left(rows, done, {}, png) is None


def test_tars_tables_and_a_store(tmp_path: Path, tiny_onnx: Path, address: str, store: Store) -> None:
    draw(tmp_path / "in/a.png", tmp_path / "in/b.png")
    a, b = ((tmp_path / f"in/{name}.png").read_bytes() for name in "ab")
    write_tar(tmp_path / "up/0.tar", {"a.png": a, "x.txt": b"", "b.png": b, "c.png": b"no picture"})
    write_tar(tmp_path / "up/1.tar", {"a.png": a})
    upload(store, tmp_path / "up", "up")
    target = store.url("bucket/large")
    arguments = command(store.url("bucket/up"), target, tiny_onnx, "--engine", "ray", "--address", address)  # type: ignore[arg-type]
    first = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=200)
    assert first.stdout.startswith("3 done, 0 skipped, 1 failed in "), first.stdout + first.stderr
    run(tiny_onnx, tmp_path / "in", tmp_path / "out")
    expected = results(tmp_path / "out")
    found = {name: content for name, content in store.objects("bucket", "large/").items() if "_srgan" not in name}
    assert found == {
        "large/0/a_x4.png": expected["a_x4.png"],
        "large/0/b_x4.png": expected["b_x4.png"],
        "large/1/a_x4.png": expected["a_x4.png"],
    }
    again = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=200)
    assert again.stdout.startswith("0 done, 3 skipped (there already), 1 failed in "), again.stdout + again.stderr


def test_a_cluster_that_does_not_answer_is_one_line(
    photos: Path, tmp_path: Path, tiny_onnx: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for address, status, message in (
        ("127.0.0.1:1", 1, "the Ray cluster at 127.0.0.1:1 cannot be reached: Connection refused"),
        ("ray://127.0.0.1:1", 1, "the Ray cluster at ray://127.0.0.1:1 cannot be reached: Connection refused"),
        ("somewhere", 2, "--address somewhere: HOST:PORT, ray://HOST:PORT or auto"),
    ):
        arguments = command(photos, tmp_path / "out", tiny_onnx, "--engine", "ray", "--address", address)[3:]
        assert main(arguments) == status
        assert capfd.readouterr().err == f"srgan: error: {message}\n"
    assert results(tmp_path / "out") == {}
