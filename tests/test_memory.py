"""What becomes of freed memory, counted in the pages that this process holds."""

import subprocess
import sys

import pytest

FREED = """
import sys
import numpy as np
from srgan import memory

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

getattr(memory, sys.argv[1])()
before = held()
freed = np.ones(64 << 20, np.uint8)
behind = np.ones(1 << 20, np.uint8)
del freed
print(held() - before)
memory.give_back_memory()
print(held() - before)
"""
"""Prints how many pages an array of 64 MiB, 16,384 of 4 KiB, leaves when it is gone, and how many after giving back."""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
@pytest.mark.parametrize(("policy", "kept"), [("keep_freed_memory", True), ("keep_memory_steady", False)])
def test_what_was_freed_is_kept_or_given_back(policy: str, kept: bool) -> None:
    made = subprocess.run([sys.executable, "-c", FREED, policy], check=True, capture_output=True, text=True)
    gone, given_back = map(int, made.stdout.split())
    assert (gone > 16_000) == kept
    assert given_back < 2_000
