"""The largest amount of memory that work held, errors that say that there is no more, work without garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAYINGS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""How CUDA and its libraries, Apple's Metal and the CPU's allocator say that there is no more."""
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(saying in str(error) for saying in SAYINGS))


class Peak:
    """Filled in when the block ends."""

    bytes: int = 0
    """Largest resident memory of the process during the block."""


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch the process's resident memory during the block.

    Where the system cannot set the mark back (anywhere but on Linux), it is the largest since the process began.
    """
    peak = Peak()
    gc.collect()
    restarted = _restart()
    try:
        yield peak
    finally:
        peak.bytes = _high_water() if restarted else _since_the_beginning()


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage during the block: for work that makes millions of things and drops none of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _restart() -> bool:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _high_water() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _since_the_beginning() -> int:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
