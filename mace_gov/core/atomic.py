"""Writes that either happen whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HALF_WRITTEN = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of what is being written here, or was when a process was killed."""


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write ``data`` to ``path`` through a temporary file in the same folder, then rename."""
    with _complete_file(path, data, mode) as scratch:
        scratch.replace(path)


def write_new(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """``write_bytes`` to a path that must not exist yet. Raises FileExistsError: of two writers only one succeeds."""
    with _complete_file(path, data, mode) as scratch:
        # A link, unlike a rename, never replaces what is there.
        os.link(scratch, path)


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write ``text`` as UTF-8, see ``write_bytes``."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A scratch folder beside ``path`` that becomes ``path`` when the block ends well, and vanishes when it does not.

    ``path`` must not exist yet, or be empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield scratch
        scratch.chmod(0o755)
        scratch.replace(path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


@contextmanager
def _complete_file(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A temporary file beside ``path`` that holds all of ``data``, on disk; gone after the block."""
    _refuse_device(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(mode)
        yield Path(name)
    except OSError as error:
        if error.filename is None:  # a write to an open file does not know its name
            error.filename = str(path)
        raise
    finally:
        Path(name).unlink(missing_ok=True)


def _refuse_device(path: Path) -> None:
    """Raise OSError for what a rename would take away from the whole machine: /dev/null, or a name like /dev/stdout."""
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if path.parent == Path("/dev") or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "is a device, expected a file", str(path))
