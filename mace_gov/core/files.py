"""Read files that somebody else may have put there: only regular ones, and no larger than they have reason to be."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, TextIO

from mace_gov.core.errors import UsageError

DOCUMENT_BYTES = 100_000_000
"""Most bytes of a signed document or a table: some twenty times the largest that was seen."""
SMALL_BYTES = 1_000_000
"""Most bytes of a file that people write: a key, a policy, a configuration."""

_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_file(path: Path, limit: int = DOCUMENT_BYTES) -> bytes:
    """All bytes of a regular file of at most ``limit``.

    Raises OSError with a ``strerror`` that says what is there instead; it never waits for a pipe's other end.
    """
    with open_file(path) as file:
        data = b"" if os.fstat(file.fileno()).st_size > limit else file.read(limit + 1)
        if len(data) > limit or (not data and os.fstat(file.fileno()).st_size > limit):
            raise OSError(errno.EFBIG, f"is larger than {limit:,} bytes", str(path))
        return data


def read_json(path: Path, limit: int = DOCUMENT_BYTES) -> Any:
    """A JSON file's value, as other tools read it too. Raises OSError, see ``read_file``, and ValueError."""
    try:
        return json.loads(read_file(path, limit))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def open_file(path: Path) -> BufferedReader:
    """A regular file, open to be read. Raises OSError, see ``read_file``."""
    try:
        _refuse(path, path.stat().st_mode)  # a device may act on being opened
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, "has a null byte in its name", str(path)) from error
    try:
        _refuse(path, os.fstat(handle).st_mode)  # it may have been swapped since
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def open_to_write(path: Path) -> TextIO:
    """A file, a pipe or a device, open for text. Raises OSError, also for a pipe that nobody reads: it never waits."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:
            error.strerror = "is a named pipe that nobody reads, or a socket"
        raise
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(handle, True)
    return os.fdopen(handle, "w", encoding="utf-8")


def refuse_odd(path: Path) -> None:
    """Raise OSError, see ``read_file``, where something else than a regular file lies; where nothing does, it may."""
    with suppress(FileNotFoundError):
        _refuse(path, path.stat().st_mode)


def _refuse(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"is {found}, expected a file", str(path))


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_size(text: str, option: str) -> int:
    """Bytes in ``500MB``, ``20G`` or ``1.5GiB``. Raises UsageError that names ``option``."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([KMGT]I?)?B?", text.strip().upper(), re.ASCII)
    if found is None or ("." in found[1] and not found[2]):  # no part of a byte
        raise UsageError(f"{option}: found '{text[:40]}', expected a size such as 500MB, 20GB or 1.5GiB")
    return int(float(found[1]) * _UNITS[found[2] or ""])
