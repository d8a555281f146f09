"""What MLflow knows of this registry's versions, to be held against the folders; and records of runs that died."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mace_gov.core.errors import IncompleteError
from mace_gov.documents.registry import Layout
from mace_gov.record.database import is_ready
from mace_gov.record.store import HOME_TAG, TAG, VERSION_TAG, has_store, home_of, open_store, server_uri, versions_runs
from mace_gov.record.versions import VersionEntry, is_being_made, list_versions, number_in

DECIDED_TAG = f"{TAG}verdict"
"""Tag of a version that is complete: ``publish`` sets it."""
OPEN = ("RUNNING", "SCHEDULED")
"""States of a run that nobody has ended."""


@dataclass(frozen=True)
class Record:
    """MLflow's records of one version."""

    reference: str
    """``NAME/N``, as the tag says."""
    name: str
    """Registered model or experiment."""
    number: int | None
    """MLflow's own number; None where only runs are left."""
    governed_digest: str | None = None
    """The model's digest, as the tag says."""
    source: str = ""
    """Where MLflow leads others to the model."""
    decided: bool = False
    """Whether a verdict was put on it."""
    open_runs: tuple[str, ...] = ()
    """Runs that nobody has ended."""
    home: str = ""
    """The registry that made them, as the tag says."""


def read_records(registry: Path) -> list[Record] | None:
    """All records of versions by reference; None where nothing was ever recorded. Nothing is changed.

    Raises what ``open_store`` does, and IncompleteError for a database that opening it would change.
    """
    if not has_store(registry):
        return None
    if not server_uri() and not is_ready(registry):
        raise IncompleteError("is half made, or of another version of MLflow, and was not compared",
                              hint="The next `mace-gov apply` makes it ready.")
    with open_store(registry) as client:
        return list(_records(client))


def close_dead(client: Any, registry: Path, name: str) -> list[str]:
    """End and delete the records of versions of ``name`` whose run was killed before their folder was complete.

    Returns their references. A version that was complete once is left alone, wherever its folder may be; on a tracking
    server so is what other registries made, for its run may be alive on another machine.
    """
    gone = []
    for record in _own(client, registry, name):
        folder = Layout(registry).versions / record.reference
        complete = folder.is_dir() and any(folder.iterdir())
        if record.decided or complete or is_being_made(registry, record.reference):
            continue
        forget(client, record.name, None if record.number is None else str(record.number), record.reference)
        gone.append(record.reference)
    return gone


def forget(client: Any, name: str, number: str | None, reference: str) -> None:
    """Take a version's records out of MLflow: the version, its model and its runs; open ones end as KILLED first."""
    if number is not None:
        client.delete_model_version(name, number)
    place = client.get_experiment_by_name(name)
    if place is None or place.lifecycle_stage == "deleted":
        return
    for run in list(versions_runs(client, name)):
        if run.data.tags[VERSION_TAG] == reference:
            if run.info.status in OPEN:
                client.set_terminated(run.info.run_id, "KILLED")
            client.delete_run(run.info.run_id)
    places, named = [place.experiment_id], f"name = '{reference.replace('/', '-')}'"
    for model in client.search_logged_models(places, filter_string=named):
        client.delete_logged_model(model.model_id)


def unpublished(client: Any, registry: Path, name: str) -> list[VersionEntry]:
    """Complete versions of ``name`` that no verdict was put on in MLflow, and none after them: their runs were killed
    between the two. What other registries made on a tracking server is theirs: that may just be going on."""
    records = {record.reference: record for record in _own(client, registry, name) if record.number is not None}
    decided = max((number_in(record.reference) for record in records.values() if record.decided), default=0)
    return [entry for entry in list_versions(registry, name=name)
            if entry.number > decided and entry.reference in records and entry.outcome is not None]


def _own(client: Any, registry: Path, name: str) -> list[Record]:
    """The records of ``name`` that this registry made: on a tracking server by their tag, in its own database all."""
    mine = home_of(registry) if server_uri() else None
    return [record for record in _records(client, name) if mine is None or record.home == mine]


def _records(client: Any, only: str | None = None) -> Iterator[Record]:
    found: dict[str, Record] = {}
    for version in client.search_model_versions(f"name = '{only}'" if only else None):
        if reference := version.tags.get(VERSION_TAG):
            found[reference] = Record(
                reference, version.name, int(version.version), version.tags.get(f"{TAG}governed_digest"),
                client.get_model_version_download_uri(version.name, str(version.version)),
                DECIDED_TAG in version.tags, home=version.tags.get(HOME_TAG, ""),
            )
    places = [only] if only else [place.name for place in client.search_experiments()]
    for place in places:
        for run in versions_runs(client, place):
            reference = run.data.tags[VERSION_TAG]
            known = found.get(reference, Record(reference, place, None, home=run.data.tags.get(HOME_TAG, "")))
            opened = (*known.open_runs, run.info.run_id) if run.info.status in OPEN else known.open_runs
            found[reference] = replace(known, decided=known.decided or DECIDED_TAG in run.data.tags, open_runs=opened)
    yield from sorted(found.values(), key=lambda record: record.reference)
