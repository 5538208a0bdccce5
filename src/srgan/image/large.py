"""Arrays of results that are too large for memory: in a file without a name, whose pages come and go.

A picture of 30000x20000 pixels makes 29 GB. What is written of it, and what is read of it once, can leave memory
at once; `release` says so.
"""

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srgan.errors import OutputError

IN_MEMORY = 1_000_000_000
"""How many bytes an array may have to be an ordinary one."""


class _OnDisk(np.ndarray[Any, np.dtype[Any]]):
    """An array whose memory is a map of a file; its parts and copies are ordinary uses of it."""

    pages: mmap.mmap


def allocate(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array for a result, in memory or, of more than IN_MEMORY bytes, in a file in the temporary folder.

    Raises OutputError where that folder has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= IN_MEMORY or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a map of a file that cannot grow would kill the process
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: no room for a result of {size / 1e9:.1f} GB ({error.strerror});"
                " TMPDIR names another folder"
            ) from error
        pages = mmap.mmap(file.fileno(), size)
    array = np.frombuffer(pages, dtype).reshape(shape).view(_OnDisk)
    array.pages = pages
    return array


def release(array: NDArray[Any], start: int, stop: int) -> None:
    """Let rows of an array that `allocate` gave leave memory, where it lies in a file; they can still be read."""
    pages = getattr(array, "pages", None)
    if pages is None:
        return
    start, stop = max(start, 0), max(stop, 0)
    row = array.nbytes // len(array)
    first = -(-start * row // mmap.PAGESIZE) * mmap.PAGESIZE
    last = stop * row // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        pages.madvise(mmap.MADV_DONTNEED, first, last - first)
