"""How many threads the work may have: what the container is given, not what its host has."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

COUNT = "OMP_NUM_THREADS"
"""Read by torch and numpy when they are loaded."""
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""By which a user says how threads wait: the standard's name, GNU's and LLVM's."""
_CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus(cgroups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Processors that this process may keep busy: those that it may run on, within its control groups' quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroups, membership)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def cpu_quota(cgroups: Path = _CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """Processors' worth of time that control groups (v2 or v1) grant this process; None without a limit.

    A group's limit holds for those below it, so the least on the way up to the root counts.
    """
    limits = []
    for mount, group, read in _places(cgroups, membership):
        here = mount / group.lstrip("/")
        # in a container the group's path may be the host's, of which nothing is mounted but the leaf, as the root
        limits += [read(folder) for folder in (here, *here.parents) if folder.is_relative_to(mount)]
    return min((limit for limit in limits if limit is not None), default=None)


def _places(cgroups: Path, membership: Path) -> Iterator[tuple[Path, str, Callable[[Path], float | None]]]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield cgroups, group, _v2
        elif "cpu" in controllers.split(","):
            mounted = next((cgroups / name for name in (controllers, "cpu,cpuacct", "cpu")
                            if (cgroups / name).is_dir()), cgroups)
            yield mounted, group, _v1


def _v2(folder: Path) -> float | None:
    """``cpu.max``: quota and period in microseconds, or max for no quota."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _v1(folder: Path) -> float | None:
    """``cpu.cfs_quota_us``, -1 for no quota, and its period."""
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def settle_threads() -> None:
    """Before torch is loaded: as many threads as there are processors for, and none that waits busily.

    OpenMP's threads spin for milliseconds after every operation unless told: beside other jobs that takes more of the
    processors than the work does (benchmarks/threads.py). What the user set stays.
    """
    if "torch" in sys.modules:
        return
    os.environ.setdefault(COUNT, str(usable_cpus()))
    if not any(name in os.environ for name in WAITING):
        os.environ[WAITING[0]] = "passive"


def limit_threads(count: int) -> None:
    """Keep this process's numerical work to ``count`` threads, whether torch is loaded yet or not."""
    os.environ[COUNT] = str(count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)
