"""Where outputs go: what lies there is taken away before the work, and what is written appears whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

from mace_gov.core.atomic import write_text
from mace_gov.core.errors import UsageError
from mace_gov.core.files import open_to_write
from mace_gov.core.terminal import write_document

STANDARD_OUTPUT = Path("-")


def clear(path: Path) -> None:
    """Take away what lies in an output's place, so that nothing older is read there. Raises UsageError, see ``check``.
    """
    check(path)
    if not _device(path):
        path.unlink(missing_ok=True)


def check(path: Path) -> None:
    """Raise UsageError for an output that is a folder, or that a link on the way leads elsewhere.

    Above the working folder links are taken as they are; in it, which may be a checkout, anybody can have put one.
    """
    if path == STANDARD_OUTPUT or _device(path):
        return
    if path.is_dir() and not path.is_symlink():
        raise UsageError(f"the output {path} is a folder, expected a file", hint="Give FORMAT=FILE.")
    here = Path.cwd()
    above = [each for each in path.parents if not each.is_absolute() or (here in each.parents)]
    if link := next((each for each in above if each.is_symlink()), None):
        raise UsageError(f"the output {path} lies behind the link {link}, expected a folder",
                         hint="Give the path that it leads to if that is where it should go.")


def _device(path: Path) -> bool:
    """A pipe or a device, which cannot be replaced by a rename, or what the system calls the command's own files."""
    return path == STANDARD_OUTPUT or path.parts[:2] in (("/", "dev"), ("/", "proc")) or (
        path.exists() and not path.is_symlink() and not path.is_file() and not path.is_dir())


def write(path: Path, text: str) -> None:
    """Write a text to a file, whole or not at all; ``-`` is standard output. Raises UsageError as ``check`` does."""
    check(path)
    if path == STANDARD_OUTPUT:
        write_document(text)
        sys.stdout.flush()
    elif _device(path):
        with open_to_write(path) as out:
            out.write(text)
    else:
        write_text(path, text)
