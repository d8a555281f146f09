"""Whether git would commit a file at a given path."""

from __future__ import annotations

import subprocess
from pathlib import Path


def would_commit(path: Path) -> bool:
    """Whether ``path`` lies in a git work tree that does not ignore it; True as well when git cannot be asked."""
    path = path.parent.resolve() / path.name  # a link may lead into one
    if not any((folder / ".git").exists() for folder in path.parents):
        return False
    folder = next(folder for folder in path.parents if folder.is_dir())
    try:
        done = subprocess.run(["git", "check-ignore", "-q", "--", str(path)], cwd=folder, capture_output=True,
                              check=False)
    except OSError:
        return True
    return done.returncode != 0
