"""MLflow's client: on SQLite in the registry, or on a team's tracking server. Imported late: it costs seconds.

The server is named by ``MACE_GOV_TRACKING_URI``; its password comes by MLflow's own MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. Only one process may write to one registry on SQLite at a time; a
second one waits for the lock, then goes on. How the database comes to be: ``database``.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mace_gov.core.canonical import digest_of
from mace_gov.core.errors import IncompleteError, MaceGovError, UsageError
from mace_gov.core.files import refuse_odd
from mace_gov.core.lazy import require
from mace_gov.documents.registry import DATABASE, Layout
from mace_gov.record.database import EXTRA, make_ready, sqlite_uri

TRACKING_VARIABLE = "MACE_GOV_TRACKING_URI"
"""Environment variable with a tracking server's address."""
TAG = "mace_gov."
"""What our tags begin with."""
VERSION_TAG = f"{TAG}version"
"""Tag that holds ``NAME/N``."""
HOME_TAG = f"{TAG}home"
"""Tag that tells one registry's records from those of others on a tracking server."""
_NOISY = ("mlflow", "alembic", "sqlalchemy")
# Read on import and on each new store. What a user has set already is left alone: a server may need more patience.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "ERROR",
             "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
# Keeps MLflow from a folder ./mlruns wherever the command was run.
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_REFUSALS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS")
"""What MLflow calls a request that is wrong, not a disk."""


def server_uri() -> str | None:
    """The team's tracking server; None when lineage is kept on SQLite. Raises UsageError for anything but HTTP."""
    uri = os.environ.get(TRACKING_VARIABLE)
    if uri and not uri.startswith(("http://", "https://")):
        scheme = uri.partition(":")[0]
        raise UsageError(f"{TRACKING_VARIABLE} begins with '{scheme}:', expected the http:// or https:// address of "
                         "a server")
    return uri or None


def tracking_uri(registry: Path) -> str:
    """Where MLflow finds the registry."""
    return server_uri() or sqlite_uri(Layout(registry).database)


def tracking_kind() -> str:
    """How the store is named in evidence: without paths, addresses and passwords."""
    return "server" if server_uri() else "sqlite"


def has_store(registry: Path) -> bool:
    """Whether anything was ever recorded; asking makes no database."""
    return server_uri() is not None or (Layout(registry).database).exists()


@contextmanager
def open_store(registry: Path) -> Iterator[Any]:
    """An MlflowClient on ``registry``, made on first use; what MLflow raises comes out as IncompleteError.

    Raises MissingExtraError when MLflow is not installed.
    """
    registry.mkdir(parents=True, exist_ok=True)
    uri = tracking_uri(registry)
    # MLflow writes the two URIs into the environment by itself: named here, they are taken out again.
    settings = {**_PATIENCE, **{name: os.environ[name] for name in _PATIENCE if name in os.environ},
                **_SETTINGS, "MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri}
    artifacts = (Layout(registry).artifacts).resolve()
    if not server_uri():
        settings[_ARTIFACT_ROOT] = artifacts.as_uri()
    with _environment(settings), _one_writer(registry):
        mlflow = require("mlflow", EXTRA)  # sets up its own logging, so it comes before the quiet
        database = require("sqlalchemy.exc", EXTRA)
        try:
            with _quiet(), _global_store(mlflow, uri):
                if not server_uri() and (mended := make_ready(registry, artifacts)):
                    logging.getLogger("mace_gov").warning(mended)
                yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        except MaceGovError:
            raise
        except (mlflow.exceptions.MlflowException, database.SQLAlchemyError, OSError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            if server_uri():
                raise IncompleteError(
                    f"the tracking server in {TRACKING_VARIABLE} could not be used: {said}",
                    hint="Is it up, and may you write there? Then run again: finished work is kept.",
                ) from error
            refused = isinstance(error, mlflow.exceptions.MlflowException) and error.error_code in _REFUSALS
            raise IncompleteError(
                f"the registry {registry} could not be written: {said}",
                hint=f"Look at it with `mlflow ui --backend-store-uri sqlite:///{DATABASE}` in {registry}: an "
                     "experiment, a run or a model that is needed may have been deleted there." if refused else
                     f"Look at the free space and the rights of {registry}, then run again: finished work is kept.",
            ) from error


def experiment(client: Any, registry: Path, name: str) -> str:
    """Id of the experiment ``name``, made with its artifacts below the registry, or where the server keeps them.

    Raises IncompleteError for one that somebody deleted: it is theirs to bring back.
    """
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            where = f"${TRACKING_VARIABLE}" if server_uri() else f"sqlite:///{DATABASE}"
            raise IncompleteError(
                f"the experiment '{name}' was deleted in MLflow, expected one to record versions in",
                hint=f"Bring it back: MLFLOW_TRACKING_URI={where} mlflow experiments restore --experiment-id "
                     f"{found.experiment_id}" + ("" if server_uri() else f" in {registry}")
                     + "; or have `mlflow gc` remove it for good, and a new one is made.",
            )
        return str(found.experiment_id)
    if server_uri():
        return str(client.create_experiment(name))
    place = (Layout(registry).artifacts / name).resolve()
    return str(client.create_experiment(name, artifact_location=place.as_uri()))


def versions_runs(client: Any, name: str) -> Iterator[Any]:
    """The runs of MLflow that belong to versions of ``name``."""
    place = client.get_experiment_by_name(name)
    token: str | None = ""
    while place is not None and token is not None:
        page = client.search_runs([place.experiment_id], page_token=token or None)
        yield from (run for run in page if VERSION_TAG in run.data.tags)
        token = page.token or None


def home_of(registry: Path) -> str:
    """Stands for this very folder on this very machine: a copy of it elsewhere is another one."""
    found = registry.resolve().stat()
    return digest_of([socket.gethostname(), str(registry.resolve()), found.st_dev, found.st_ino])[:16]


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _global_store(mlflow: Any, uri: str) -> Iterator[None]:
    """Point MLflow's process-wide store at the registry: a client of its own still looks up models:/ there."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)


@contextmanager
def _one_writer(registry: Path) -> Iterator[None]:
    """Hold the registry's lock: creating and migrating the database twice at once corrupts it."""
    place = Layout(registry).database_lock
    try:
        refuse_odd(place)  # a pipe would be waited for
        lock = place.open("a")
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise IncompleteError(f"{place} {error.strerror}", hint="Remove it: it is made anew.") from error
        if os.access(registry, os.W_OK):
            raise
        yield  # nothing can be written here, and what is there can be read
        return
    with lock as handle:
        try:
            import fcntl
        except ImportError:  # no such lock on this platform; SQLite's own still guards each write
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep migrations and hints off the terminal: the user's own progress is what it shows."""
    before = {name: logging.getLogger(name).level for name in _NOISY}
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
