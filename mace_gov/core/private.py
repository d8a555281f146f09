"""A private copy of files, with the digests of the bytes that were copied: what was hashed is what is used.

Checking a folder and reading it afterwards are two readings, and between them the files, or the folder, can be
exchanged and put back without a trace. The copy lies in a folder that nobody else can enter.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mace_gov.core.errors import IncompleteError

CHUNK = 2**20


@contextmanager
def private_copy(sources: Mapping[str, Path]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files by relative path, copied into a new folder of mode 0700; yields it with the digest of each copy.

    Raises OSError when one is no plain file or cannot be read, IncompleteError when there is no space. The folder is
    gone after the block.
    """
    with tempfile.TemporaryDirectory(prefix="mace-gov-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        yield folder, {each: _copy(source, folder / each) for each, source in sources.items()}


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Opened without waiting: a pipe that was put in a file's place would never answer.
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as data:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no plain file", str(source))
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
