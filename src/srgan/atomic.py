"""Files and folders that appear whole or not at all."""

import atexit
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from srgan.errors import OutputError

if sys.platform != "win32":
    import fcntl

_PREFIX, _SUFFIX = ".srgan-", ".part"
_open: set[Path] = set()


@contextmanager
def as_output_error(what: str) -> Iterator[None]:
    """Raise OutputError, `what` with "cannot be written" and why behind it, for an OSError in the block."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{what} cannot be written: {error.strerror or error}") from error


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` to write; when the block ends without an error it is synced and renamed to `path`.

    Where the block fails, `path` is as it was and nothing is left beside it; where the process is killed, `path` is
    as it was, and `remove_leftovers` removes the rest. Makes the folder where it lacks. Raises OutputError where the
    file system refuses (no space, no permission, a folder in the way).
    """
    beside = None
    try:
        with as_output_error(f"{path}:"):
            path.parent.mkdir(parents=True, exist_ok=True)
            file, beside = _open_beside(path.parent)
            _open.add(beside)
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if sys.platform == "win32":  # an open file is not renamed there
                    file.close()
                beside.replace(path)
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
            _open.discard(beside)


def check_place(path: Path) -> None:
    """Raise OutputError, as `written_whole` would, where a file cannot be written; makes the folder where it lacks."""
    with as_output_error(f"{path}:"):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        file, beside = _open_beside(path.parent)
        file.close()
        beside.unlink()


@contextmanager
def filled_whole(folder: Path) -> Iterator[Path]:
    """Make a folder beside `folder` to fill; when the block ends without an error it is renamed to `folder`.

    Where another process has made `folder` meanwhile, that one stays. Where the block fails, nothing is left; where the
    process is killed, `remove_leftovers` removes the rest. Raises OSError where the file system refuses.
    """
    beside, opened = _make_beside(folder)
    try:
        yield beside
        try:
            beside.replace(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if opened >= 0:
            os.close(opened)


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Hold a folder, which has to be there, for the block; tell whether another process holds it, which goes on then.

    Where the file system has no locks, nobody is told.
    """
    opened = -1 if sys.platform == "win32" else os.open(folder, os.O_RDONLY)
    try:
        yield _held(opened, folder)
    finally:
        if opened >= 0:
            os.close(opened)


def remove_leftovers(folder: Path) -> None:
    """Remove from a folder what killed processes left of files and folders that they were writing.

    Those that this process or another is writing are locked, and stay; so does what cannot be removed.
    """
    with suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                if sys.platform == "win32":  # where an open file cannot be removed
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                else:
                    opened = os.open(path, os.O_RDONLY)
                    try:
                        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        if path.is_dir():
                            shutil.rmtree(path)
                        else:
                            path.unlink()
                    finally:
                        os.close(opened)


@atexit.register
def _drop() -> None:
    """Remove what threads are still writing when the interpreter ends without them, after a second Ctrl-C."""
    for path in list(_open):
        path.unlink(missing_ok=True)


def _open_beside(folder: Path) -> tuple[BinaryIO, Path]:
    """Make a file with a new name in a folder, locked for as long as it is open."""
    while True:
        path = _new(folder)
        file = path.open("xb")
        if _held(file.fileno(), path):
            return file, path
        file.close()


def _make_beside(folder: Path) -> tuple[Path, int]:
    """Make a folder with a new name beside another, locked until what is returned with it is closed, if not -1."""
    while True:
        path = _new(folder.parent)
        path.mkdir()
        opened = -1 if sys.platform == "win32" else os.open(path, os.O_RDONLY)
        if _held(opened, path):
            return path, opened
        os.close(opened)


def _new(folder: Path) -> Path:
    """Return a name in a folder that no other process takes."""
    return folder / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"


def _held(opened: int, path: Path) -> bool:
    """Lock what is open; False where another process has, which takes it for a leftover if it was made this moment."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return path.exists()


def cache_folder(name: str) -> Path:
    """Return where files of a kind are kept between runs: `srgan/NAME` under XDG_CACHE_HOME, or under ~/.cache.

    As its specification has it, a path there that is not absolute does not count.
    Raises OutputError for a user without a home where XDG_CACHE_HOME does not say it.
    """
    try:
        said = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (said if said.is_absolute() else Path.home() / ".cache") / "srgan" / name
    except RuntimeError as error:
        raise OutputError("no place for what is kept between runs: neither XDG_CACHE_HOME nor HOME is set") from error
