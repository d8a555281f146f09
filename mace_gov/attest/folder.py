"""Re-hash a folder and say every way in which it differs from what was signed, all at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mace_gov.core.digest import sha256_file
from mace_gov.core.progress import Progress, Silent


def file_names(root: Path, *, links_out: bool = False) -> tuple[list[str], list[str]]:
    """Relative POSIX paths of all files below ``root``, sorted, and the problems met on the way.

    A link is a problem when it leads to a folder (a loader would follow it, this walk does not), nowhere, or out of
    ``root``; the last is let through with ``links_out``, for the caches of the hub are made of such links.
    """
    names: list[str] = []
    problems: list[str] = []
    real_root = root.resolve()
    for folder, folders, files in os.walk(root, onerror=lambda e: problems.append(f"{e.filename}: cannot be read")):
        for entry, is_folder in (*((f, True) for f in folders), *((f, False) for f in files)):
            path = Path(folder, entry)
            name = path.relative_to(root).as_posix()
            if problem := _problem(path, name, real_root, is_folder=is_folder, links_out=links_out):
                problems.append(problem)
            elif not is_folder:
                names.append(name)
    return sorted(names), sorted(problems)


def _problem(path: Path, name: str, real_root: Path, *, is_folder: bool, links_out: bool) -> str | None:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return f"{name!r}: has a control character in its name"
    if path.is_symlink():
        target = path.resolve()
        if is_folder or not target.is_file():
            return f"{name}: is a link to no file, expected a file"
        if not links_out and not target.is_relative_to(real_root):
            return f"{name}: is a link out of the folder, to {target}"
    if not is_folder and not path.is_file():
        return f"{name}: is neither a file nor a folder"
    return None


def compare_folder(
    root: Path, expected: Mapping[str, str], *, ignore: Iterable[str] = (), links_out: bool = False,
    progress: Progress | None = None, label: str = "", hashed: Mapping[str, str] | None = None,
) -> list[str]:
    """Every difference between the files below ``root`` and ``expected`` (digest by relative path), in words.

    Names in ``ignore`` may be there or not. ``label`` goes before each name. ``hashed`` are digests that this very
    command has just taken. An empty list means that all is as signed.
    """
    found, problems = file_names(root, links_out=links_out)
    problems = [f"{label}{problem}" for problem in problems]
    present = set(found) - set(ignore)
    told = {problem.removeprefix(label).split(":")[0] for problem in problems}
    problems += [f"{label}{name}: is missing" for name in sorted(set(expected) - present - told)]
    problems += [f"{label}{name}: was not there when it was signed" for name in sorted(present - set(expected))]
    names = sorted(present & set(expected))
    digests = hashed or hash_files(root, names, progress or Silent())
    for name in names:
        digest = digests[name]
        if isinstance(digest, OSError):
            problems.append(f"{label}{name}: cannot be read: {digest.strerror}")
        elif digest != expected[name]:
            problems.append(f"{label}{name}: digest is {digest}, expected {expected[name]}")
    return problems


def hash_files(root: Path, names: Sequence[str], progress: Progress) -> dict[str, str | OSError]:
    """Digest of each of ``names`` below ``root``, or why it could not be taken.

    Hashing leaves Python's lock alone, so files are read side by side, as many as there are cores.
    """
    advance = progress.start(f"re-hashing {root}", len(names))
    digests = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        try:
            for name, digest in zip(names, pool.map(_digest, (root / name for name in names)), strict=True):
                digests[name] = digest
                advance(1)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # whoever interrupts does not wait for the other files
            raise
    return digests


def _digest(path: Path) -> str | OSError:
    try:
        return sha256_file(path)
    except OSError as error:
        return error
