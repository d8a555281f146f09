"""One database for all: MLflow takes seconds to make one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mace_gov.record.store import open_store


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which nothing is recorded; read it, never write into it."""
    registry = tmp_path_factory.mktemp("made")
    with open_store(registry):
        return registry / "mlflow.db"


@pytest.fixture
def registry(made_database: Path, tmp_path: Path) -> Path:
    """A registry of its own, with a database in which nothing is recorded."""
    (tmp_path / "registry").mkdir()
    shutil.copyfile(made_database, tmp_path / "registry" / "mlflow.db")
    return tmp_path / "registry"
