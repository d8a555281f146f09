"""Files of a version and of the chain of releases on a tracking server: sent there, and fetched again.

The model lies in MLflow's logged model, alone, so that any tool that loads ``models:/NAME@ALIAS`` gets a plain
diffusers folder. Everything else of the version lies in the artifacts of its erase run, and the chain of releases in
the artifacts of a run of its own. Nothing that comes back is trusted: ``attest`` checks it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from mace_gov.core.errors import IncompleteError, MaceGovError
from mace_gov.core.lazy import require
from mace_gov.documents.lineage import Lineage
from mace_gov.record.database import EXTRA
from mace_gov.record.store import TAG, experiment, open_store, server_uri

VERSION, RELEASES = "version", "releases"
"""Artifact folders of the erase run and of the releases' run."""
_STAGE_TAG = f"{TAG}stage"
_ENTRY = re.compile(r"[0-9]{4}\.dsse\.json")


def upload(client: Any, run: str, folder: Path) -> None:
    """Send what the server lacks of a version's folder; the model went before."""
    there = set(_names(client, run, VERSION))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != "model" and name.as_posix() not in there:
            client.log_artifact(run, str(path), (Path(VERSION) / name.parent).as_posix())


def download(client: Any, run: str, model: str, out: Path) -> None:
    """Fetch a whole version into the folder ``out``. ``model`` is MLflow's URI of its files."""
    mlflow = require("mlflow", EXTRA)
    with tempfile.TemporaryDirectory(dir=out, prefix=".fetched.") as scratch:
        fetched = Path(client.download_artifacts(run, VERSION, scratch))
        for path in fetched.iterdir():
            path.replace(out / path.name)
    mlflow.artifacts.download_artifacts(model, dst_path=str(out / "model"))


def pull_releases(registry: Path, name: str, folder: Path) -> None:
    """Fetch the entries of the chain of ``name`` that the server has and ``folder`` has not."""
    if not server_uri():
        return
    with open_store(registry) as client:
        run = _releases_run(client, name)
        for entry in _names(client, run, RELEASES) if run else []:
            # The name becomes a path here, and a server is not trusted.
            if _ENTRY.fullmatch(entry) and not (folder / entry).exists():
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetched.") as scratch:
                    Path(client.download_artifacts(run, f"{RELEASES}/{entry}", scratch)).replace(folder / entry)


def push_release(registry: Path, name: str, entry: Path) -> None:
    """Send the newest entry of the chain; it is taken back when that fails, so that both sides stay equal.

    Raises IncompleteError, also when the server has an entry of that number already.
    """
    if not server_uri():
        return
    try:
        with open_store(registry) as client:
            run = _releases_run(client, name) or _new_releases_run(client, registry, name)
            if entry.name in _names(client, run, RELEASES):
                raise IncompleteError(f"the tracking server has another {entry.name} of {name}: somebody was faster",
                                      hint="Look at `mace-gov registry list`, then run again.")
            client.log_artifact(run, str(entry), RELEASES)
    except MaceGovError:
        entry.unlink()
        raise


def _names(client: Any, run: str, below: str) -> list[str]:
    """Every file below an artifact folder, relative to it."""
    found, folders = [], [below]
    while folders:
        for item in client.list_artifacts(run, folders.pop()):
            if item.is_dir:
                folders.append(item.path)
            else:
                found.append(item.path.removeprefix(f"{below}/"))
    return sorted(found)


def _releases_run(client: Any, name: str) -> str | None:
    place = client.get_experiment_by_name(name)
    if place is None:
        return None
    of_releases = f"tags.`{_STAGE_TAG}` = 'releases'"
    runs = client.search_runs([place.experiment_id], filter_string=of_releases, order_by=["start_time ASC"])
    return str(runs[0].info.run_id) if runs else None


def _new_releases_run(client: Any, registry: Path, name: str) -> str:
    run = client.create_run(experiment(client, registry, name), run_name=f"releases {name}",
                            tags={_STAGE_TAG: "releases"}).info.run_id
    client.set_terminated(run)
    return str(run)


def send_version(registry: Path, lineage: Lineage, folder: Path) -> None:
    """Send what was added to a version since it was published: sign-offs."""
    if server_uri():
        with open_store(registry) as client:
            upload(client, lineage.erase_run_id, folder)
