import errno
import os
import stat
from pathlib import Path

import pytest

from srgan.atomic import written_whole
from srgan.errors import OutputError


def test_the_file_has_what_was_written_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "result.bin"
    with written_whole(path) as file:
        file.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert list(path.parent.iterdir()) == [path]


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
