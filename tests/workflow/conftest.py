"""One registry for a module's tests: making MLflow's database takes longer than everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.planting import World


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the module's registry and reports."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture
def world(root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Planted pictures, or as a test changes it before ``plant``."""
    made = World(tiny_model, root, monkeypatch)
    made.plant()
    return made
