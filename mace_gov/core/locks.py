"""Lock a folder while a run writes in it; the lock ends with the process, so that leftovers can be told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock_now(folder: Path) -> Iterator[None]:
    """Lock ``folder`` for the block; a process that dies releases it too."""
    handle = _locked(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """``lock_now``, but wait while another process holds it: for a read that a write follows. Not re-entrant."""
    handle = _locked(folder, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_locked(folder: Path) -> bool:
    """Whether any process holds ``folder``; always True where the platform knows no such locks.

    True as well for one that has just gone: whoever held it has finished.
    """
    try:
        handle = _locked(folder)
    except (BlockingIOError, FileNotFoundError):
        return True
    if handle is None:
        return True
    os.close(handle)
    return False


def _locked(folder: Path, *, wait: bool = False) -> int | None:
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_NONBLOCK)  # a pipe in its place would wait for a writer
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(handle)
        raise
    return handle
