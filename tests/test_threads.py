import os
from pathlib import Path

import pytest

from srgan.threads import thread_limit


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_asked_for_is_what_there_is(tmp_path: Path) -> None:
    assert thread_limit(3, root=tmp_path) == 3


def test_without_a_limit_the_runtime_may_choose(tmp_path: Path) -> None:
    assert thread_limit(root=tmp_path) is None


def test_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5})
    assert thread_limit(root=tmp_path) == 2


@pytest.mark.parametrize(
    ("text", "limit"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", None), ("900000 100000", None)],
)
def test_the_quota_of_version_two(tmp_path: Path, text: str, limit: int | None) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text + "\n"})
    assert thread_limit(root=tmp_path) == limit


def test_the_quota_of_a_group_further_up(tmp_path: Path) -> None:
    files = {"cpu.max": "500000 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}
    write(tmp_path, {"proc/self/cgroup": "0::/a/b\n"} | {f"sys/fs/cgroup/{key}": value for key, value in files.items()})
    assert thread_limit(root=tmp_path) == 3


@pytest.mark.parametrize(("quota", "limit"), [("250000", 3), ("-1", None)])
def test_the_quota_of_version_one(tmp_path: Path, quota: str, limit: int | None) -> None:
    folder = "sys/fs/cgroup/cpu,cpuacct/docker/x"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n",
            f"{folder}/cpu.cfs_quota_us": quota + "\n",
            f"{folder}/cpu.cfs_period_us": "100000\n",
        },
    )
    assert thread_limit(root=tmp_path) == limit
