"""Files bound to their digests while they are used: a private copy (mode 0700), or the open files themselves.

Checking a folder and reading it afterwards are two readings, and between them the files, or the folder, can be
exchanged and put back without a trace. The folder that is used instead is one that nobody else can enter.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from mace_gov.core.errors import IncompleteError

CHUNK = 2**20
_OPEN_FILES = Path("/proc/self/fd")


@contextmanager
def private_copy(sources: Mapping[str, Path]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files by relative path, copied into a new folder of mode 0700; yields it with the digest of each copy.

    Raises OSError when one is no plain file or cannot be read, IncompleteError when there is no space. The folder is
    gone after the block.
    """
    with tempfile.TemporaryDirectory(prefix="mace-gov-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        yield folder, {each: _copy(source, folder / each) for each, source in sources.items()}


@dataclass(frozen=True)
class Held:
    """Files that are open, as links in a folder of their own."""

    folder: Path
    """Whoever reads a file here reads the very one that was hashed, whatever became of its name."""
    digests: dict[str, str]
    """By relative path."""
    _before: dict[str, tuple[int, tuple[int, ...]]]

    def refuse_changes(self) -> None:
        """Raise OSError, with the file's name, when one was written to since it was opened, or may have been."""
        for name, (descriptor, before) in self._before.items():
            if _state(descriptor) != before:
                raise OSError(errno.EBUSY, "was written to, moved or given another mode while it was in use", name)


@contextmanager
def held_open(sources: Mapping[str, Path]) -> Iterator[Held]:
    """Files by relative path, hashed and kept open for the block: what ``private_copy`` does, without its space.

    An exchanged file or folder does not reach an open file, and what is written to it shows in its times, which nobody
    but the system sets (a new name or mode shows there, too): ask ``refuse_changes`` before what was read is believed.
    Where the system does not show open files below /proc they are copied. Raises what ``private_copy`` does.
    """
    if not _OPEN_FILES.is_dir():
        with private_copy(sources) as (folder, digests):
            yield Held(folder, digests, {})
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mace-gov-", ignore_cleanup_errors=True)))
        before, digests = {}, {}
        for name, source in sources.items():
            data = stack.enter_context(_opened(source))
            before[name] = data.fileno(), _state(data.fileno())
            digests[name] = hashlib.file_digest(data, "sha256").hexdigest()
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(_OPEN_FILES / str(data.fileno()))
        yield Held(folder, digests, before)


def _state(descriptor: int) -> tuple[int, ...]:
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _opened(source: Path) -> BufferedReader:
    # Opened without waiting: a pipe that was put in a file's place would never answer.
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    data = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        data.close()
        raise OSError(errno.EINVAL, "is no plain file", str(source))
    return data


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(source) as data:
        try:
            with target.open("xb") as copy:
                while chunk := data.read(CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise IncompleteError(
                f"no space left for a private copy of {source} in {tempfile.gettempdir()}: a model is loaded from a "
                "copy that nobody else can change", hint="Set TMPDIR to a folder on a disk with room for the model.",
            ) from error
    return digest.hexdigest()
