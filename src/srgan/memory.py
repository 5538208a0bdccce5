"""What becomes of memory that this process has freed, where the C library is glibc (its mallopt(3)), and want of it."""

import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that there is no memory: Python's, or PyTorch's of a GPU or a processor."""
    torchs = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return torchs or isinstance(error, MemoryError)


def keep_freed_memory() -> None:
    """Have the C library keep all that is freed: for a process that asks for as much again at once, as each step does.

    Else every large array comes from the system and goes back to it, which has to fill each of its pages with zeros.
    """
    _set(((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)))


def keep_memory_steady() -> None:
    """Have the C library give back the memory of large arrays at once: for a process that stays.

    Else each of many threads keeps pieces for itself, and a service that was busy once holds more than it needs.
    """
    _set(((_MMAP_THRESHOLD, 2**18), (_TRIM_THRESHOLD, 2**18), (_ARENA_MAX, 2)))


def give_back_memory() -> None:
    """Give the system back what was freed between things that are still there."""
    gc.collect()
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _set(parameters: tuple[tuple[int, int], ...]) -> None:
    if (library := _glibc()) is not None:
        for parameter, value in parameters:
            library.mallopt(parameter, value)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None
