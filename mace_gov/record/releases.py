"""MLflow's word for what was released: aliases and tags for other tools, and ``models:/`` references led to files."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from mace_gov.core.atomic import new_folder
from mace_gov.core.errors import IncompleteError, IntegrityError, UsageError
from mace_gov.core.lazy import require
from mace_gov.core.locks import lock_now
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.registry import NAME, NUMBER, Layout, parse_reference
from mace_gov.documents.release import ReleaseLog
from mace_gov.record.database import EXTRA
from mace_gov.record.server import download, send_version
from mace_gov.record.store import TAG, VERSION_TAG, has_store, open_store, server_uri
from mace_gov.record.versions import number_in

COMPLIANT = "compliant"
"""Alias of the version that may be deployed."""
RELEASE_TAG = f"{TAG}release"
"""Tag of a version that was ever released: compliant, superseded or recalled."""
SIGN_OFFS_TAG = f"{TAG}sign_offs"
"""Tag with the number of sign-offs on a version."""
_URI = re.compile(rf"models:/({NAME})(?:@([A-Za-z0-9._-]{{1,255}})|/({NUMBER}))")


@dataclass(frozen=True)
class Registered:
    """A version as MLflow knows it. Nothing here is verified: anyone with access to the database may have moved it."""

    uri: str
    """As it was asked for."""
    name: str
    """Registered model."""
    alias: str | None
    """The alias that was asked for, if any."""
    mlflow_version: int
    """MLflow's own number."""
    model: Path
    """The model of that version in this very registry, wherever MLflow leads others."""
    digest: str | None
    """The model's digest, as MLflow says."""
    recalled: bool
    """Whether its tag says so."""
    fetched: bool = False
    """Whether it came from a server just now."""
    sign_offs: int = 0
    """How many sign-offs its tag counts."""


def is_registered(reference: str) -> bool:
    """Whether ``reference`` is one of MLflow's (``models:/NAME@ALIAS``, ``models:/NAME/N``)."""
    return reference.startswith("models:/")


def resolve(registry: Path, uri: str) -> Registered:
    """What MLflow leads ``uri`` to. From a tracking server the version is fetched, unless the registry has it.

    Raises UsageError when it knows no such model, alias or version, IntegrityError when what it leads to is not there.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise UsageError(f"'{uri}' is no reference, expected models:/NAME@ALIAS or models:/NAME/N")
    if not has_store(registry):
        raise UsageError(f"{uri}: there is no MLflow store in {registry}", hint="Give the registry with --registry.")
    try:
        return _resolve(registry, uri, *match.groups())
    except IncompleteError as error:
        if server_uri():
            raise
        raise IntegrityError(f"{uri}: MLflow cannot follow it, {Layout(registry).database} was changed or is broken",
                             hint="Verify the version by NAME/N. It said: " + error.message) from error


def _resolve(registry: Path, uri: str, name: str, alias: str | None, number: str | None) -> Registered:
    with open_store(registry) as client:
        errors = require("mlflow.exceptions", EXTRA)
        try:
            found = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
        except errors.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise UsageError(f"MLflow knows no {uri}", hint=_hint(client, name)) from error
        folder = Layout(registry).version(*_version(uri, found.tags.get(VERSION_TAG, "none")))
        fetched = server_uri() is not None and not folder.is_dir()
        if fetched:
            with new_folder(folder) as scratch, lock_now(scratch):
                download(client, found.run_id, found.source, scratch)
        elif not server_uri():
            check_source(uri, client.get_model_version_download_uri(name, str(found.version)), folder)
    counted = str(found.tags.get(SIGN_OFFS_TAG, "0"))
    if not counted.isdecimal():
        raise IntegrityError(f"{uri}: MLflow's tag {SIGN_OFFS_TAG} is '{counted}', expected a number")
    return Registered(
        uri, name, alias, int(found.version), folder / "model", found.tags.get(f"{TAG}governed_digest"),
        found.tags.get(RELEASE_TAG) == "recalled", fetched, int(counted),
    )


def note_sign_offs(registry: Path, lineage: Lineage, folder: Path, count: int) -> None:
    """Tell MLflow how many sign-offs a version has, and send them to a tracking server; nothing where there is none.

    Raises IncompleteError when MLflow cannot be written or is not installed.
    """
    if has_store(registry):
        send_version(registry, lineage, folder)
        with open_store(registry) as client:
            client.set_model_version_tag(lineage.name, str(lineage.mlflow_version), SIGN_OFFS_TAG, str(count))


def mirror(registry: Path, name: str, log: ReleaseLog) -> None:
    """Make MLflow's aliases and tags of ``name`` say what the signed chain says."""
    if not has_store(registry):
        return
    compliant = log.compliant
    with open_store(registry) as client:
        errors = require("mlflow.exceptions", EXTRA)
        target = None
        for version in client.search_model_versions(f"name = '{name}'"):
            number = number_in(version.tags.get(VERSION_TAG, ""))
            target = version.version if number == compliant else target
            state = log.state_of(name, number, version.tags.get(f"{TAG}governed_digest", ""))
            if state != version.tags.get(RELEASE_TAG):
                _set_tag(client, name, str(version.version), state)
        if target is not None:
            client.set_registered_model_alias(name, COMPLIANT, str(target))
        else:
            with suppress(errors.MlflowException):
                client.delete_registered_model_alias(name, COMPLIANT)


def _version(uri: str, reference: str) -> tuple[str, int]:
    try:
        return parse_reference(reference)
    except UsageError as error:
        raise IntegrityError(f"{uri}: MLflow says that it is the version '{reference}', expected NAME/N") from error


def check_source(uri: str, source: str, folder: Path) -> None:
    """Whether MLflow leads others to the version's own model too.

    It keeps absolute paths: in a registry that was copied or moved they lead to where it was, and only what they end
    with can be compared. They are never followed.
    """
    parts, model = urlparse(source), folder / "model"
    if not model.is_dir():
        raise IntegrityError(f"{uri}: is {folder.parent.name}/{folder.name}, and there is no {model}",
                             hint="Its files were deleted here: `mace-gov registry list` shows what is at hand.")
    led = Path(url2pathname(parts.path))
    there = parts.scheme in ("", "file") and (
        led.parts[-4:] == model.parts[-4:] or (led.exists() and led.samefile(model)))
    if not there:
        raise IntegrityError(f"{uri}: MLflow leads to {source}, expected {model}: its database was changed",
                             hint="Verify the version by NAME/N.")


def _set_tag(client: Any, name: str, version: str, state: str | None) -> None:
    if state is None:
        client.delete_model_version_tag(name, version, RELEASE_TAG)
    else:
        client.set_model_version_tag(name, version, RELEASE_TAG, state)


def _hint(client: Any, name: str) -> str:
    try:
        known = client.get_registered_model(name).aliases
    except Exception:  # no such model: the hint says less
        known = {}
    return f"Aliases of {name}: {', '.join(sorted(known)) or 'none'}. See `mace-gov registry list`."
