import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srgan.errors import OutputError
from srgan.image import large
from srgan.image.large import allocate, release

if not hasattr(os, "posix_fallocate") or not Path("/proc/self/status").exists():
    pytest.skip("a system whose files can be given room", allow_module_level=True)


def test_small_arrays_are_ordinary_ones() -> None:
    array = allocate((3, 4), np.dtype(np.uint8))
    assert type(array) is np.ndarray
    release(array, 0, 3)


def test_a_large_array_keeps_its_values_when_they_leave_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "IN_MEMORY", 1000)
    array = allocate((300, 101, 3), np.dtype(np.uint16))
    values = np.random.default_rng(0).integers(0, 65536, array.shape, dtype=np.uint16)
    array[:] = values
    release(array, -50, 200)
    release(array, 200, 300)
    assert np.array_equal(array, values)


def test_memory_does_not_grow_with_what_is_released() -> None:
    program = """
import numpy as np
from srgan.image import large
large.IN_MEMORY = 1
array = large.allocate((400, 1000, 1000), np.dtype(np.uint8))
for row in range(400):
    array[row] = row % 251
    large.release(array, row, row + 1)
for row in range(400):
    assert (array[row] == row % 251).all()
    large.release(array, row - 1, row + 1)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200_000, "kilobytes, of an array of 400 MB"


def test_no_room_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(large, "IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=r"no room for a result of 3\.0 GB \(No space left on device\); TMPDIR names"):
        allocate((1000, 1000, 3000), np.dtype(np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_what_is_resampled_and_what_is_corrected_leaves_memory_too() -> None:
    program = """
import numpy as np
from srgan.image import large
from srgan.image.consistent import consistent
from srgan.image.resample import resample
large.IN_MEMORY = 10_000_000
sr = large.allocate((12_000, 4_000), np.dtype(np.uint8))
for row in range(0, 12_000, 1000):
    sr[row : row + 1000] = 9
    large.release(sr, row, row + 1000)
for made in (consistent(sr, np.full((3_000, 1_000), 9, np.uint8)), resample(sr, 9_000, 3_000)):
    assert made[0, 0] == made[-1, -1] == 9
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 180_000, (
        "kilobytes: two arrays of 48 MB and one of 27 MB have left; with them it were 205,000"
    )
