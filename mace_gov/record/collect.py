"""What a registry may let go of: leftovers of runs that died, records without a folder, and old versions if asked."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mace_gov.core.hold import is_held
from mace_gov.documents.registry import SHELVES, Layout
from mace_gov.record.store import VERSION_TAG, has_store, open_store, server_uri, versions_runs
from mace_gov.record.versions import list_versions


@dataclass(frozen=True)
class Waste:
    """One thing that nothing needs."""

    what: str
    """In words."""
    path: Path | None = None
    """The folder, if it is one."""
    version: tuple[str, str | None, str] | None = None
    """MLflow's model name and version number, None for runs alone, and our ``NAME/N``, if it is a record."""

    @property
    def size(self) -> int:
        """Bytes on disk."""
        if self.path is None:
            return 0
        return sum(path.lstat().st_size for path in self.path.rglob("*") if path.is_file())


def find_waste(
    registry: Path, *, keep: int | None = None, released: Mapping[str, Collection[int]] | None = None,
    cache: bool = False,
) -> list[Waste]:
    """Everything that may go. Nothing is changed.

    keep: of each model also all but its newest so many versions, but never one in ``released`` (numbers by name).
    cache: also what only saves time.
    """
    old = [] if keep is None else list(_old_versions(registry, keep, released or {}))
    gone = {waste.path for waste in old}
    caches = [Waste(f"cache/{path.name}", path) for path in sorted((Layout(registry).cache).glob("*")) if path.is_dir()]
    return [*_dead_runs(registry), *old, *_orphans(registry, gone), *(caches if cache else [])]


def remove(registry: Path, waste: list[Waste]) -> None:
    """Let it go. Raises IncompleteError when MLflow cannot be written."""
    records = [each.version for each in waste if each.version]
    if records:
        with open_store(registry) as client:
            for name, number, reference in records:
                _forget(client, name, number, reference)
    for each in waste:
        if each.path is not None:
            shutil.rmtree(each.path)


def _dead_runs(registry: Path) -> Iterator[Waste]:
    shelves = (Layout(registry).shelf(shelf) for shelf in SHELVES)
    for home in (home for shelf in shelves for home in sorted(shelf.glob("[!.]*")) if home.is_dir()):
        scratches = [path for path in home.glob(".*") if path.is_dir()]
        dead = [path for path in scratches if not is_held(path)]
        for path in dead:
            yield Waste(f"{home.parent.name}/{home.name}/{path.name}: a run that did not finish", path)
        alive = {path.name.split(".")[1] for path in scratches if path not in dead}
        for path in home.glob("[1-9]*"):
            if path.is_dir() and path.name not in alive and not any(path.iterdir()):
                yield Waste(f"{home.parent.name}/{home.name}/{path.name}: a number that was never used", path)


def _old_versions(registry: Path, keep: int, released: Mapping[str, Collection[int]]) -> Iterator[Waste]:
    entries = list_versions(registry)
    for name in dict.fromkeys(entry.name for entry in entries):
        own = [entry for entry in entries if entry.name == name]
        for entry in own[:max(len(own) - keep, 0)]:
            if entry.number not in released.get(name, ()):
                yield Waste(f"{entry.reference}: {entry.outcome or 'undecided'}, never released", entry.folder)


def _orphans(registry: Path, gone: set[Path | None]) -> Iterator[Waste]:
    """Records in MLflow whose version's folder is gone, or going. A server's versions may lie on other machines."""
    if server_uri() or not has_store(registry):
        return
    with open_store(registry) as client:
        told = set()
        for version in client.search_model_versions():
            if (reference := version.tags.get(VERSION_TAG)) and _is_gone(registry, reference, gone):
                told.add(reference)
                yield Waste(f"models:/{version.name}/{version.version}: {reference} has no folder",
                            version=(version.name, str(version.version), reference))
        for place in client.search_experiments():
            for reference in dict.fromkeys(run.data.tags[VERSION_TAG] for run in versions_runs(client, place.name)):
                if reference not in told and _is_gone(registry, reference, gone):
                    yield Waste(f"MLflow's runs of {reference}: it has no folder",
                                version=(place.name, None, reference))


def _is_gone(registry: Path, reference: str, gone: set[Path | None]) -> bool:
    folder = Layout(registry).versions / reference
    return not folder.is_dir() or folder in gone


def _forget(client: Any, name: str, number: str | None, reference: str) -> None:
    """Take a version's records out of MLflow: the version, its model and its runs."""
    if number is not None:
        client.delete_model_version(name, number)
    place = client.get_experiment_by_name(name)
    if place is None or place.lifecycle_stage == "deleted":
        return
    for run in versions_runs(client, name):
        if run.data.tags[VERSION_TAG] == reference:
            client.delete_run(run.info.run_id)
    places, named = [place.experiment_id], f"name = '{reference.replace('/', '-')}'"
    for model in client.search_logged_models(places, filter_string=named):
        client.delete_logged_model(model.model_id)
