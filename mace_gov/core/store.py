"""Files kept between runs, each with a digest over its key and its content that is checked when it is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.files import SMALL_BYTES, read_file
from mace_gov.core.locks import lock, lock_now
from mace_gov.core.progress import Progress

LARGEST = 4 * 2**30
"""Bytes of an entry: far above text states and training pictures at full size."""
DIGESTS = "digests"
"""Folder beside the entries that holds their digests, under the same names."""
LEASES = "leases"
"""Folder beside the entries: what is being made right now."""
UNSTORED = ("models", LEASES)
"""Folders beside the entries that are none: unpacked models, which are checked by their own digests, and leases."""


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

    @property
    def folder(self) -> Path:
        """Where the entries lie."""
        return self._folder

    def get(self, name: str) -> bytes | None:
        """The bytes kept under ``name``; None when there are none, or others than were kept."""
        try:
            data = read_file(self._folder / name, LARGEST)
        except OSError:
            return None
        try:
            digest = read_file(self._folder / DIGESTS / name, SMALL_BYTES).decode("ascii")
        except (OSError, ValueError):
            digest = None
        if digest != _digest(name, data):
            if name not in self._spoilt:
                self._spoilt.append(name)
            return None
        with suppress(OSError):  # the digest's time says when an entry was used last; the entry's own, when it was made
            os.utime(self._folder / DIGESTS / name)
        return data

    def names(self) -> Iterator[str]:
        """Names of all entries, in order, whether they are what was kept or not; none that is still being written."""
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder)
            if name.parts[0] not in (DIGESTS, *UNSTORED) and not path.name.startswith(".") and path.is_file():
                yield name.as_posix()

    def holds(self, name: str) -> bool:
        """Whether an entry is what was kept under its name. Unlike ``get`` it leaves no mark of a use."""
        try:
            kept = read_file(self._folder / DIGESTS / name, SMALL_BYTES).decode("ascii")
            return kept == _digest(name, read_file(self._folder / name, LARGEST))
        except (OSError, ValueError):
            return False

    def used(self, name: str) -> float:
        """When an entry was last read or written, in seconds since 1970; 0 for one without a digest."""
        try:
            return (self._folder / DIGESTS / name).stat().st_mtime
        except OSError:
            return 0.0

    def drop(self, name: str) -> None:
        """Let go of an entry, its digest first: a reader in between finds it spoilt, never wrong."""
        (self._folder / DIGESTS / name).unlink(missing_ok=True)
        (self._folder / name).unlink(missing_ok=True)

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under ``name``, instead of any before."""
        write_bytes(self._folder / name, data)
        write_bytes(self._folder / DIGESTS / name, _digest(name, data).encode("ascii"))

    @contextmanager
    def lease(self, names: Iterable[str], progress: Progress) -> Iterator[None]:
        """Held while entries are made: another process that is about to make the very same ones waits, and finds them.

        A process that dies lets go of its lease. Two that wait after a third may both get it: they do work twice then,
        never wrongly.
        """
        place = self._folder / LEASES / digest_of(sorted(names))
        place.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(lock_now(place))
            except BlockingIOError:
                progress.note("another run is making the same: waiting for it")
                stack.enter_context(lock(place))
            try:
                yield
            finally:
                with suppress(OSError):
                    place.rmdir()

    def tell(self, progress: Progress) -> None:
        """Say, once, what was found spoilt since the last call."""
        if self._spoilt:
            more = f" and {len(self._spoilt) - 1} more" if len(self._spoilt) > 1 else ""
            progress.note(f"the cache's {self._spoilt[0]}{more}: not what was kept there, made anew")
            self._spoilt.clear()


def _digest(name: str, data: bytes) -> str:
    return digest_of([name, sha256_bytes(data)])
