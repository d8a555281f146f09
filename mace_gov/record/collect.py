"""What a registry may let go of: leftovers of runs that died, records without a folder, and old versions if asked."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mace_gov.core.atomic import HALF_WRITTEN
from mace_gov.core.locks import is_locked
from mace_gov.core.store import Store
from mace_gov.documents.registry import DATABASE, SHELVES, Layout
from mace_gov.record.recorded import forget
from mace_gov.record.store import VERSION_TAG, has_store, open_store, server_uri, versions_runs
from mace_gov.record.versions import list_versions

STALE = 3600.0
"""Seconds after which a file that is half written is no longer being written."""


@dataclass(frozen=True)
class Garbage:
    """One thing that nothing needs."""

    what: str
    """In words."""
    path: Path | None = None
    """The folder, if it is one."""
    version: tuple[str, str | None, str] | None = None
    """MLflow's model name and version number, None for runs alone, and our ``NAME/N``, if it is a record."""
    entry: str | None = None
    """Name of the cache's entry, if it is one."""

    @property
    def size(self) -> int:
        """Bytes on disk."""
        if self.path is None:
            return 0
        if not self.path.is_dir():
            return _size(self.path)
        return sum(_size(path) for path in self.path.rglob("*") if path.is_file())


def find_garbage(
    registry: Path, *, keep: int | None = None, released: Mapping[str, Collection[int]] | None = None,
    cache: bool = False, cache_size: int | None = None,
) -> list[Garbage]:
    """Everything that may go. Nothing is changed.

    keep: of each model also all but its newest so many versions, but never one in ``released`` (numbers by name).
    cache: also what only saves time. cache_size: of it, what was not used for longest, until so many bytes are left.
    """
    old = [] if keep is None else list(_old_versions(registry, keep, released or {}))
    gone = {garbage.path for garbage in old}
    folders = sorted(path for path in Layout(registry).cache.glob("*") if path.is_dir())
    caches = [Garbage(f"cache/{path.name}", path) for path in folders]
    aged = [each for each in half_written(registry) if each.path and _age(each.path) > STALE]
    kept = [] if cache else [*_spoilt(registry), *([] if cache_size is None else _beyond(registry, cache_size))]
    return [*dead_runs(registry), *aged, *old, *_orphans(registry, gone), *(caches if cache else kept)]


def remove(registry: Path, garbage: list[Garbage]) -> None:
    """Let it go. Raises IncompleteError when MLflow cannot be written."""
    records = [each.version for each in garbage if each.version]
    if records:
        with open_store(registry) as client:
            for name, number, reference in records:
                forget(client, name, number, reference)
    store = Store(Layout(registry).cache)
    for each in garbage:
        if each.entry is not None:
            store.drop(each.entry)
        elif each.path is not None and each.path.is_dir():
            shutil.rmtree(each.path)
        elif each.path is not None:
            each.path.unlink(missing_ok=True)


def dead_runs(registry: Path) -> Iterator[Garbage]:
    """Folders of runs that were killed, and the numbers that they had claimed."""
    shelves = (Layout(registry).shelf(shelf) for shelf in SHELVES)
    for home in (home for shelf in shelves for home in sorted(shelf.glob("[!.]*")) if home.is_dir()):
        scratches = [path for path in home.glob(".*") if path.is_dir()]
        dead = [path for path in scratches if not is_locked(path)]
        for path in dead:
            yield Garbage(f"{home.parent.name}/{home.name}/{path.name}: a run that did not finish", path)
        alive = {path.name.split(".")[1] for path in scratches if path not in dead}
        for path in home.glob("[1-9]*"):
            if path.is_dir() and path.name not in alive and not any(path.iterdir()):
                yield Garbage(f"{home.parent.name}/{home.name}/{path.name}: a number that was never used", path)


def half_written(registry: Path) -> Iterator[Garbage]:
    """Files and folders that are being written right now, or were when a process was killed: age tells which."""
    layout = Layout(registry)
    for left in sorted(registry.glob(f".{DATABASE}.*.new")):
        if not is_locked(left):
            yield Garbage(f"{left.name}: a database that was never finished", left)
    for top in (layout.root, layout.keys, layout.cache, layout.calibrations, layout.root / "releases",
                layout.root / "decisions"):
        for folder, folders, files in os.walk(top):
            if top == layout.root:
                folders.clear()
            for name in sorted((*files, *folders)):
                if HALF_WRITTEN.fullmatch(name):
                    path = Path(folder, name)
                    yield Garbage(f"{path.relative_to(registry).as_posix()}: a write that was cut off", path)


def _spoilt(registry: Path) -> Iterator[Garbage]:
    """Entries of the cache that are not what was kept."""
    store, folder = Store(Layout(registry).cache), Layout(registry).cache
    for name in store.names():
        if not store.holds(name):
            yield Garbage(f"cache/{name}: not what was kept", folder / name, entry=name)


def _beyond(registry: Path, size: int) -> list[Garbage]:
    """Entries of the cache that must go to leave ``size`` bytes: those that were not used for longest."""
    folder = Layout(registry).cache
    store, left, found = Store(folder), 0, []
    for name in sorted(store.names(), key=store.used, reverse=True):
        if not store.holds(name):
            continue  # it goes anyhow
        left += _size(folder / name)
        if left > size:
            found.append(Garbage(f"cache/{name}", folder / name, entry=name))
    return found[::-1]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # it went meanwhile
        return 0


def _age(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def _old_versions(registry: Path, keep: int, released: Mapping[str, Collection[int]]) -> Iterator[Garbage]:
    entries = list_versions(registry)
    for name in dict.fromkeys(entry.name for entry in entries):
        own = [entry for entry in entries if entry.name == name]
        for entry in own[:max(len(own) - keep, 0)]:
            if entry.number not in released.get(name, ()):
                yield Garbage(f"{entry.reference}: {entry.outcome or 'undecided'}, never released", entry.folder)


def _orphans(registry: Path, gone: set[Path | None]) -> Iterator[Garbage]:
    """Records in MLflow whose version's folder is gone, or going. A server's versions may lie on other machines."""
    if server_uri() or not has_store(registry):
        return
    with open_store(registry) as client:
        told = set()
        for version in client.search_model_versions():
            if (reference := version.tags.get(VERSION_TAG)) and _is_gone(registry, reference, gone):
                told.add(reference)
                yield Garbage(f"models:/{version.name}/{version.version}: {reference} has no folder",
                            version=(version.name, str(version.version), reference))
        for place in client.search_experiments():
            for reference in dict.fromkeys(run.data.tags[VERSION_TAG] for run in versions_runs(client, place.name)):
                if reference not in told and _is_gone(registry, reference, gone):
                    yield Garbage(f"MLflow's runs of {reference}: it has no folder",
                                version=(place.name, None, reference))


def _is_gone(registry: Path, reference: str, gone: set[Path | None]) -> bool:
    folder = Layout(registry).versions / reference
    return not folder.is_dir() or folder in gone
