"""SHA-256 digests of bytes, files and folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from mace_gov.core.files import open_file


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of one regular file, read in pieces. Raises OSError, see ``core.files.open_file``."""
    with open_file(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def folder_files(folder: Path, *, ignore: Iterable[str] = ()) -> dict[str, str]:
    """Digest of every file below ``folder``, by POSIX path relative to it, sorted.

    Links that lead out of the folder are followed by content: what is hashed is what would be loaded. Raises OSError
    for what is neither a file nor a folder.
    """
    skipped = set(ignore)
    paths = sorted(p for p in folder.rglob("*") if p.exists() and not p.is_dir())
    names = {p.relative_to(folder).as_posix(): p for p in paths}
    return {name: sha256_file(path) for name, path in names.items() if name not in skipped}


def folder_digest(files: Mapping[str, str]) -> str:
    """One digest for a folder: the SHA-256 of its ``digest  path`` lines, sorted by path."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return sha256_bytes(lines.encode("utf-8"))
