"""Files that appear whole or not at all."""

import atexit
import os
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
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` to write; when the block ends without an error it is synced and renamed to `path`.

    Where the block fails, `path` is as it was and nothing is left beside it; where the process is killed, `path` is
    as it was, and `remove_leftovers` removes the rest. Makes the folder where it lacks. Raises OutputError where the
    file system refuses (no space, no permission, a folder in the way).
    """
    beside = None
    try:
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
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
            _open.discard(beside)


def remove_leftovers(folder: Path) -> None:
    """Remove from a folder what killed processes left of files that they were writing.

    Those that this process or another is writing are locked, and stay; so does what cannot be removed.
    """
    with suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                if sys.platform == "win32":  # where an open file cannot be removed
                    path.unlink()
                else:
                    with path.open("rb") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.unlink()


@atexit.register
def _drop() -> None:
    """Remove what threads are still writing when the interpreter ends without them, after a second Ctrl-C."""
    for path in list(_open):
        path.unlink(missing_ok=True)


def _open_beside(folder: Path) -> tuple[BinaryIO, Path]:
    """Make a file with a new name in a folder, locked for as long as it is open."""
    while True:
        path = folder / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
        file = path.open("xb")
        if sys.platform == "win32":
            return file, path
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process takes the file for a leftover
            ours = False
        except OSError:  # a file system without locks
            ours = True
        else:
            ours = path.exists()
        if ours:
            return file, path
        file.close()


def cache_folder(name: str) -> Path:
    """Return where files of a kind are kept between runs: `srgan/NAME` under XDG_CACHE_HOME, or under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "srgan" / name
