"""Files kept between runs, each with a digest over its key and its content that is checked when it is read."""

from __future__ import annotations

from pathlib import Path

from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.files import read_file
from mace_gov.core.progress import Progress

LARGEST = 4 * 2**30
"""Bytes of an entry: far above text states and training pictures at full size."""
DIGESTS = "digests"
"""Folder beside the entries that holds their digests, under the same names."""


class Store:
    """Entries by name below a folder. What is not what was kept under its name counts as not there.

    A name says all that an entry depends on, so an entry that was changed, or moved to another's name, is found out.
    Whoever can write into the folder can write a new digest too: this stops spoilt disks, mix-ups and careless hands,
    not somebody who means it.

        kept = Store(Layout(registry).cache)
        data = kept.get(f"pictures/{key}.png") or draw()
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spoilt: list[str] = []

    def get(self, name: str) -> bytes | None:
        """The bytes kept under ``name``; None when there are none, or others than were kept."""
        try:
            data = read_file(self._folder / name, LARGEST)
        except OSError:
            return None
        try:
            digest = (self._folder / DIGESTS / name).read_text("ascii")
        except (OSError, ValueError):
            digest = None
        if digest != _digest(name, data):
            self._spoilt.append(name)
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under ``name``, instead of any before."""
        write_bytes(self._folder / name, data)
        write_bytes(self._folder / DIGESTS / name, _digest(name, data).encode("ascii"))

    def tell(self, progress: Progress) -> None:
        """Say, once, what was found spoilt since the last call."""
        if self._spoilt:
            more = f" and {len(self._spoilt) - 1} more" if len(self._spoilt) > 1 else ""
            progress.note(f"the cache's {self._spoilt[0]}{more}: not what was kept there, made anew")
            self._spoilt.clear()


def _digest(name: str, data: bytes) -> str:
    return digest_of([name, sha256_bytes(data)])
