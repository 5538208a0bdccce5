"""How many processors this process may use."""

import math
import os
from pathlib import Path


def thread_limit(threads: int | None = None, *, root: Path = Path("/")) -> int | None:
    """Return how many threads a runtime should start: `threads` where given, else what the process is held to.

    Looks at the processor affinity and at the limit of the control groups (a container's, say). None where
    nothing holds the process to less than the machine, so that a runtime may choose by what it knows of it.
    """
    if threads is not None:
        return threads
    machine = os.cpu_count() or 1
    limits = [_quota(folder) for folder in _control_groups(root)]
    limit = min([_affinity() or machine, *(math.ceil(quota) for quota in limits if quota is not None)])
    return max(limit, 1) if limit < machine else None


def processors() -> int:
    """Return how many processors the process may use."""
    return thread_limit() or os.cpu_count() or 1


def _affinity() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _control_groups(root: Path) -> list[Path]:
    """Return the folders that may hold a processor limit of this process, of both versions of control groups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif "cpu" in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / controllers, root / "sys/fs/cgroup/cpu"]
        else:
            continue
        inner = Path(group.lstrip("/"))
        folders += [mount / part for mount in mounts for part in (inner, *inner.parents)]
    return folders


def _quota(folder: Path) -> float | None:
    """Return the processors that a control group grants, None where it sets no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None
