import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from srgan import atomic
from srgan.atomic import (
    alone_in,
    as_output_error,
    cache_folder,
    check_place,
    filled_whole,
    remove_leftovers,
    written_whole,
)
from srgan.errors import OutputError
from srgan.inference import compiled


def test_the_file_has_what_was_written_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "result.bin"
    with written_whole(path) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert list(path.parent.iterdir()) == [path]


def test_all_of_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda opened: sizes.append(os.fstat(opened).st_size))
    with written_whole(tmp_path / "result.bin") as file:
        file.write(b"0123456789")
    assert sizes == [10]
    assert not atomic._open, "nothing to remove when the process ends"


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_what_another_process_takes_for_a_leftover_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock, removed = fcntl.flock, list[Path]()

    def late(opened: int, how: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        lock(opened, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with written_whole(tmp_path / "result.bin") as file:
        file.write(b"abc")
    assert len(removed) == 1
    assert (tmp_path / "result.bin").read_bytes() == b"abc"


def test_a_place_is_looked_at_and_nothing_left_there(tmp_path: Path) -> None:
    check_place(tmp_path / "new/scores.json")
    assert [*(tmp_path / "new").iterdir()] == []
    with pytest.raises(OutputError, match=r"new: cannot be written: Is a directory"):
        check_place(tmp_path / "new")


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with written_whole(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_space_left_is_an_output_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "result.bin"
    with (
        pytest.raises(OutputError, match=r"result\.bin: cannot be written: No space left on device"),
        written_whole(path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"), written_whole(tmp_path / "folder" / "result.bin"):
        pass


def test_a_folder_in_the_place_of_the_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "result.bin" / "inner").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"), written_whole(tmp_path / "result.bin"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["result.bin"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits of POSIX")
def test_the_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        with written_whole(tmp_path / "result.bin"):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "result.bin").stat().st_mode) == 0o640


def test_leftovers_of_killed_processes_are_removed_and_files_being_written_are_not(tmp_path: Path) -> None:
    killed = (
        "import os, signal; from pathlib import Path; from srgan.atomic import filled_whole, written_whole\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with filled_whole(folder / 'store') as inside, written_whole(folder / 'other.bin') as file:\n"
        "    (inside / 'part.bin').write_bytes(b'half')\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)
    leftovers = set(tmp_path.iterdir())
    assert len(leftovers) == 2
    with written_whole(tmp_path / "result.bin") as file, filled_whole(tmp_path / "folder") as inside:
        being_written = set(tmp_path.iterdir()) - leftovers
        remove_leftovers(tmp_path)
        assert set(tmp_path.iterdir()) == being_written
        assert len(being_written) == 2
        (inside / "part.bin").write_bytes(b"whole")
        file.write(b"abc")
    assert {path.name for path in tmp_path.iterdir()} == {"result.bin", "folder"}
    assert (tmp_path / "folder" / "part.bin").read_bytes() == b"whole"
    remove_leftovers(tmp_path / "gone")


def test_a_folder_that_another_process_has_made_meanwhile_stays(tmp_path: Path) -> None:
    with filled_whole(tmp_path / "folder") as inside:
        (inside / "ours").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "theirs").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["folder", "folder/theirs"]


def test_a_folder_that_another_process_makes_in_the_last_moment_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def late(path: Path, target: Path) -> Path:
        (target / "theirs").mkdir(parents=True)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", late)
    with filled_whole(tmp_path / "folder") as inside:
        (inside / "ours").touch()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["folder", "folder/theirs"]


def test_a_folder_is_not_made_where_its_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), filled_whole(tmp_path / "folder"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_locks_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", without)
    with written_whole(tmp_path / "result.bin") as file:
        file.write(b"abc")
        (beside,) = tmp_path.iterdir()
        remove_leftovers(tmp_path)
        assert beside.exists()
    assert (tmp_path / "result.bin").read_bytes() == b"abc"


def test_what_a_thread_is_writing_when_the_program_ends_is_removed(tmp_path: Path) -> None:
    program = (
        "import threading; from pathlib import Path; from srgan.atomic import written_whole\n"
        "begun, never = threading.Event(), threading.Event()\n"
        "def write():\n"
        f"    with written_whole(Path({str(tmp_path)!r}, 'result.bin')):\n"
        "        begun.set(); never.wait()\n"
        "threading.Thread(target=write, daemon=True).start()\n"
        "begun.wait()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="users of POSIX")
def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder("kind") == Path("/home/me/.cache/srgan/kind")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(OutputError, match="neither XDG_CACHE_HOME nor HOME is set"):
        cache_folder("kind")
    compiled.keep("key", "{}", b"blob")
    assert compiled.recall("key") is None


def test_a_cache_folder_that_is_not_absolute_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for said, found in {"/var/cache": "/var/cache/srgan/x", "here": f"{tmp_path}/.cache/srgan/x"}.items():
        monkeypatch.setenv("XDG_CACHE_HOME", said)
        assert str(cache_folder("x")) == found


def test_an_error_without_a_number_says_what_it_is() -> None:
    with pytest.raises(OutputError, match=r"^a\.png: cannot be written: encoder error -2$"), as_output_error("a.png:"):
        raise OSError("encoder error -2")


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_one_process_at_a_time_is_alone_in_a_folder(tmp_path: Path) -> None:
    other = (
        "import sys; from pathlib import Path; from srgan.atomic import alone_in\n"
        "with alone_in(Path(sys.argv[1])) as alone: print(alone)"
    )
    told = []
    for _ in range(2):
        with alone_in(tmp_path) as alone:
            found = subprocess.run([sys.executable, "-c", other, tmp_path], capture_output=True, text=True, check=True)
        told.append((alone, found.stdout))
    assert told == [(True, "False\n")] * 2


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="a system that does not list open files")
def test_nothing_stays_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for _ in range(3):
        (tmp_path / ".srgan-left.part").touch()
        remove_leftovers(tmp_path)
        with written_whole(tmp_path / "file"), alone_in(tmp_path):
            pass
        with filled_whole(tmp_path / "folder"):
            pass
        check_place(tmp_path / "file")
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
