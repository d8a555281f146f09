"""MLflow's database edited anywhere: a reference leads to the version that is signed for, or nowhere, and says why."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from mace_gov import workflow
from mace_gov.attest.statement import version_name
from mace_gov.core.errors import MaceGovError
from tests.workflow.planting import World

TABLES = ("model_versions", "registered_models", "registered_model_aliases", "model_version_tags", "logged_models")
"""What a reference to a model is looked up in."""
LEADING = {"version", "source", "storage_location", "alias", "name", "value", "run_id"}
"""Columns that say where it leads."""
STRANGE = (1, 2, 3, "", "nsfw", "1", "compliant", "nsfw/1", "recalled", "file:///etc", "http://localhost:1/x", None)


@pytest.fixture(scope="module")
def registry(root: Path, tiny_model: Path) -> Path:
    """Two versions, the second one released."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(tiny_model, root, monkeypatch)
        world.two_versions()
    assert workflow.promote("nsfw/2", registry=world.registry, by="ann").exit_code == 0
    return world.registry


@contextmanager
def _forged(path: Path, draw: Callable) -> Iterator[str]:
    """Change one cell or remove one row, say what was done, and undo it.

    Never by copying the file: MLflow keeps connections, which would not notice.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        table = draw(st.sampled_from(TABLES))
        rows = database.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()
        row = draw(st.sampled_from(rows))
        columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
        column = draw(st.sampled_from([None, *sorted(LEADING & set(columns)), *columns]))
        if column is None:
            done = f"{table}: row {row} removed"
            database.execute(f"DELETE FROM {table} WHERE rowid = ?", row[:1])
        else:
            others = {each[1 + columns.index(column)] for each in rows} - {row[1 + columns.index(column)]}
            value = draw(st.sampled_from([*sorted(others, key=str), *STRANGE]))
            done = f"{table}.{column} is {value!r} in {row}"
            # What the table itself does not take leaves it as it was.
            database.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (value, row[0]))
        try:
            yield done
        finally:
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT OR REPLACE INTO {table} (rowid, {', '.join(columns)}) VALUES ({marks})", row)


def _led(registry: Path, draw: Callable) -> str | None:
    """Where the forged reference leads; None if it is refused."""
    with _forged(registry / "mlflow.db", draw) as done:
        note(done)
        try:
            evidence = workflow.verify_path(Path("models:/nsfw@compliant"), key=None, registry=registry)[0].evidence
        except MaceGovError as refused:
            note(refused.message)
            # 2: an alias that is not there any more, 1: a version that is said to be recalled
            assert refused.exit_code in (1, 2, 4) and "nsfw" in refused.message
            return None
        return version_name(evidence)


CAMPAIGN = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def _campaign(registry: Path, count: int, **more: Any) -> None:
    ends = Counter()

    @settings(max_examples=count, **CAMPAIGN, **more)
    @given(data=st.data())
    def led(data: st.DataObject) -> None:
        end = _led(registry, data.draw)
        assert end in ("nsfw/2", None)
        ends[end] += 1

    led()
    assert ends[None] >= count / 10, "most of what is looked up was never touched"
    assert version_name(workflow.verify_path(Path("models:/nsfw@compliant"), key=None, registry=registry)[0].evidence)


def test_an_edited_database_leads_nowhere_else(registry: Path) -> None:
    _campaign(registry, 40, derandomize=True)


@pytest.mark.nightly
def test_a_database_edited_in_four_hundred_ways_leads_nowhere_else(registry: Path) -> None:
    _campaign(registry, 400)
