"""The registry's database: wherever it lies, and whatever interrupted its making."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from mace_gov.core.errors import IncompleteError
from mace_gov.record import database, store
from mace_gov.record.store import experiment, open_store
from mace_gov.workflow.registry_check import check_registry
from tests.record.first_use import first_use

ODD = ["x%2Fy", "%41", "100%", "reg?a", "reg?b", "reg#a", "reg a", "régistre", "q'u\"o", "a;b&c=d", "[x]",
       "back\\slash", "new\nline", "a@2:b", "~", "{}"]


def names(registry: Path) -> list[str]:
    """Names of the experiments in the registry's own file."""
    with closing(sqlite3.connect(registry / "mlflow.db")) as found:
        return [name for (name,) in found.execute("SELECT name FROM experiments")]


@pytest.mark.parametrize("name", ODD)
def test_the_database_lies_in_the_registry_whatever_its_path(name: str, made_database: Path, tmp_path: Path) -> None:
    registry = tmp_path / name / "registry"
    registry.mkdir(parents=True)
    shutil.copyfile(made_database, registry / "mlflow.db")
    with open_store(registry) as client:
        experiment(client, registry, "nsfw")
    assert names(registry) == ["Default", "nsfw"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in registry.parent.iterdir()] == ["registry"]
    assert not {path.name for path in registry.iterdir()} - {"mlflow.db", ".mlflow.db.lock", "mlruns"}


def test_a_first_use_that_is_interrupted_leaves_no_database(
    made_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(beside: Path, *_: object) -> None:
        beside.write_bytes(b"half")
        assert beside.parent.parent == tmp_path  # a rename from elsewhere would be a copy
        raise KeyboardInterrupt

    monkeypatch.setattr(database, "_migrate", interrupted)
    with pytest.raises(KeyboardInterrupt), open_store(tmp_path):
        pass
    assert not list(tmp_path.glob("*mlflow.db*.new"))
    assert not (tmp_path / "mlflow.db").exists()
    # One that was killed leaves its scratch folder: it goes with the next use, which starts over.
    left = tmp_path / ".mlflow.db.killed.new"
    left.mkdir()
    (left / "mlflow.db").write_bytes(b"half")
    monkeypatch.setattr(database, "_migrate", lambda beside, *_: shutil.copyfile(made_database, beside))
    with open_store(tmp_path):
        pass
    assert names(tmp_path) == ["Default"]
    assert not left.exists()


def half_made(path: Path, *statements: str) -> None:
    """What MLflow's own making of a database leaves when it is killed, by older versions of this package."""
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT)")
        made.execute("CREATE TABLE runs (run_uuid TEXT)")
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
        for statement in statements:
            made.execute(statement)
        made.commit()


@pytest.mark.parametrize("statements", [
    [], ["INSERT INTO experiments VALUES (0, 'Default')"], ["DELETE FROM alembic_version"],
])
def test_a_half_made_database_without_records_is_made_anew_and_that_is_said(
    statements: list[str], made_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(database, "_migrate", lambda beside, *_: shutil.copyfile(made_database, beside))
    half_made(tmp_path / "mlflow.db", *statements)
    (tmp_path / "mlflow.db-journal").write_bytes(b"")
    with open_store(tmp_path) as client:
        assert [found.name for found in client.search_experiments()] == ["Default"]
    assert "mlflow.db was half made" in caplog.text
    assert not (tmp_path / "mlflow.db-journal").exists()
    caplog.clear()
    with open_store(tmp_path):
        pass
    assert caplog.text == ""


@pytest.mark.parametrize("statement", [
    "INSERT INTO runs VALUES ('0123')", "INSERT INTO experiments VALUES (1, 'nsfw')",
    "CREATE TABLE _alembic_tmp_runs AS SELECT 'x' AS run_uuid",
])
def test_a_half_made_database_with_records_is_left_alone_and_named(statement: str, tmp_path: Path) -> None:
    half_made(tmp_path / "mlflow.db", statement)
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(IncompleteError, match=r"mlflow\.db holds records.*found 451aebb31d03") as refused, \
            open_store(tmp_path):
        pass
    assert "mlflow db upgrade" in refused.value.hint
    assert (tmp_path / "mlflow.db").read_bytes() == before
    assert not list(tmp_path.glob(".mlflow.db.*.new"))


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
    with pytest.raises(IncompleteError, match=r"mlflow\.db cannot be read as an SQLite database"), open_store(tmp_path):
        pass


def test_a_registry_that_cannot_be_written_can_be_read(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def read_only(path: Path, mode: str = "r", **options: object):
        if path.name == ".mlflow.db.lock" and mode != "r":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(OSError, match="Read-only"), open_store(registry):
        pass
    access = os.access
    monkeypatch.setattr(store.os, "access", lambda path, mode: path != registry and access(path, mode))
    with open_store(registry) as client:
        assert [found.name for found in client.search_experiments()] == ["Default"]


def killed(registry: Path, chance: random.Random, size: int) -> str:
    """Start a first use and end it anywhere between its first page and a moment after it is done. Says where.

    By what is written, not by time, so that each part of the migrations has its share on a slow machine, too.
    """
    share = chance.random() * 1.05
    process = first_use(registry)
    try:
        while process.is_alive() and not (registry / "mlflow.db").exists():
            if any(path.stat().st_size >= share * size for path in registry.glob(".mlflow.db.*.new/mlflow.db")):
                break
            time.sleep(0.002)
    except FileNotFoundError:  # renamed while it was looked at
        pass
    time.sleep(chance.random() * 0.1)
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
    process.join(300)
    return f"at {share:.0%} of its tables, exit {process.exitcode}"


def kills(folder: Path, seeds: range, size: int) -> None:
    """First uses that are killed; after each the next command works, and nothing is left of the dead one."""
    for seed in seeds:
        registry = folder / str(seed)
        told = f"seed {seed}: {killed(registry, random.Random(seed), size)}"
        print(told, flush=True)
        # Two at once, as CI jobs that share a registry.
        both = [first_use(registry) for _ in range(1 + (seed % 10 == 0))]
        for process in both:
            process.join(300)
        assert {process.exitcode for process in both} == {0}, told
        assert sorted(path.name for path in registry.iterdir()) == [".mlflow.db.lock", "mlflow.db", "mlruns"], told
        assert not check_registry(registry).findings, told


def test_a_killed_first_use_bricks_no_registry(made_database: Path, tmp_path: Path) -> None:
    kills(tmp_path, range(1, 2), made_database.stat().st_size)


@pytest.mark.nightly
def test_forty_killed_first_uses_brick_no_registry(made_database: Path, tmp_path: Path) -> None:
    kills(tmp_path, range(10, 50), made_database.stat().st_size)
