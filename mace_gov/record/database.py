"""The registry's SQLite database: made beside and renamed into place, so that no interruption leaves half of one.

MLflow's migrations take seconds and are not atomic: killed in between, they leave tables that MLflow neither goes on
with nor starts over.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from mace_gov.core.errors import IncompleteError
from mace_gov.core.files import refuse_odd
from mace_gov.core.lazy import require
from mace_gov.core.locks import is_locked, lock_now
from mace_gov.documents.registry import DATABASE, Layout

EXTRA = "mlflow"
_PLAIN = "/@+=,~ "
"""Beside letters and digits, what means nothing in a URI of SQLAlchemy's, whichever version reads it."""
_COMPANIONS = ("-journal", "-wal", "-shm")
_OF_A_NEW_ONE = {"alembic_version": "1", "workspaces": "name = 'default'", "experiments": "experiment_id = 0"}
"""Rows that a database has before anything is recorded, by table."""


def sqlite_uri(database: Path) -> str:
    """The URI that leads MLflow to a database, whatever its path holds.

    A path with a percent sign, a question mark or the like is reached through a link: versions of SQLAlchemy differ in
    what they decode, and MLflow makes the folders of a path that it has not decoded.
    """
    folder = database.parent.resolve()
    plain = quote(os.fsencode(folder), safe=_PLAIN) == str(folder)
    return f"sqlite:///{(folder if plain else _link(folder)).as_posix()}/{database.name}"


@cache
def _link(folder: Path) -> Path:
    """A link to ``folder``, by a path that is plain; it goes with the process."""
    scratch = Path(tempfile.mkdtemp(prefix="mace-gov-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    if quote(os.fsencode(scratch), safe=_PLAIN) != str(scratch):
        raise IncompleteError(f"neither {folder} nor the folder for temporary files, {scratch.parent}, has a path "
                              "that SQLite can be given", hint="Set TMPDIR to a folder of plain letters.")
    (scratch / "registry").symlink_to(folder, target_is_directory=True)
    return scratch / "registry"


def is_ready(registry: Path) -> bool:
    """Whether the database is what this version of MLflow reads, so that opening it changes nothing."""
    return _state(Layout(registry).database)[0] == _expected()


def make_ready(registry: Path, artifacts: Path) -> str | None:
    """Make the database, or replace one that the interruption of a first use left half made.

    Called by one process at a time. Returns what was found and mended, in words, if anything was. Raises
    IncompleteError for a database that holds records and is not what this version of MLflow reads.
    """
    database = Layout(registry).database
    revision, records = _state(database)
    expected = _expected()
    if revision == expected:
        return None
    artifacts.mkdir(exist_ok=True)
    half_made = database.exists() and not records
    with _scratch(registry) as scratch:
        beside = scratch / DATABASE
        if records:  # of an earlier MLflow: migrated on a copy
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(beside)) as copy:
                source.backup(copy)
        _migrate(beside, artifacts, database, f"found {revision or 'none'}, expected {expected}")
        for name in _COMPANIONS:
            database.with_name(database.name + name).unlink(missing_ok=True)
        beside.replace(database)
    if half_made:
        return f"{database} was half made, by a first use that was interrupted, and held nothing: it was made anew"
    return None


@cache
def _expected() -> str:
    """The revision of tables that this MLflow reads. It compiles all its migrations to tell, so it is asked once."""
    revision: str = require("mlflow.store.db.utils", EXTRA)._get_latest_schema_revision()
    return revision


def _migrate(beside: Path, artifacts: Path, database: Path, found: str) -> None:
    """Have MLflow make its tables, or bring them up to date."""
    stores = require("mlflow.store.tracking.sqlalchemy_store", EXTRA)
    failures = (require("mlflow.exceptions", EXTRA).MlflowException, require("sqlalchemy.exc", EXTRA).SQLAlchemyError,
                require("alembic.util", EXTRA).CommandError)
    copied = beside.exists()
    try:
        store = stores.SqlAlchemyStore(sqlite_uri(beside), artifacts.as_uri())
        store.engine.dispose()
    except failures as error:
        if not copied:
            raise
        version = require("mlflow.version", EXTRA).VERSION
        raise IncompleteError(
            f"{database} holds records, and its tables are not those of MLflow {version}: {found}. Another version of "
            "MLflow wrote it, or a migration was interrupted",
            hint=f"Use the MLflow that wrote it, or copy it away and run `mlflow db upgrade sqlite:///{DATABASE}` in "
                 f"{database.parent}. Signed versions do not need it: with it moved away they still verify by NAME/N.",
        ) from error


@contextmanager
def _scratch(registry: Path) -> Iterator[Path]:
    """A folder beside the database; those of processes that died are swept away."""
    for left in registry.glob(f".{DATABASE}.*.new"):
        if not is_locked(left):
            shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(dir=registry, prefix=f".{DATABASE}.", suffix=".new"))
    try:
        with lock_now(scratch):
            yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _state(database: Path) -> tuple[str | None, bool]:
    """The revision of a database's tables, if they have one, and whether it holds any records."""
    try:
        refuse_odd(database)
        if not database.exists():
            return None, False
        with closing(sqlite3.connect(database)) as found:
            tables = [name for (name,) in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            known = found.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
            revisions = [revision for (revision,) in known]
            return revisions[0] if len(revisions) == 1 else None, any(_holds(found, table) for table in tables)
    except (OSError, sqlite3.Error) as error:
        raise IncompleteError(f"{database} cannot be read as an SQLite database: {error}",
                              hint="Restore it, or move it away: signed versions still verify by NAME/N.") from error


def _holds(database: sqlite3.Connection, table: str) -> bool:
    """Whether a table has rows that a new database has not. Migrations copy tables under a name of their own."""
    usual = _OF_A_NEW_ONE.get(table.removeprefix("_alembic_tmp_"), "0")
    name = table.replace('"', '""')
    return database.execute(f'SELECT 1 FROM "{name}" WHERE NOT ({usual}) LIMIT 1').fetchone() is not None
