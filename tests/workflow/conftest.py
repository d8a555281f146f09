"""One registry for a module's tests: making MLflow's database takes longer than everything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mace_gov.erase.captions import general_captions
from mace_gov.plan import build
from tests.workflow.planting import World


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """A tenth of the captions, a fifth of the sampler's steps and a quarter of the harmless pictures: what a tiny
    random model reads and draws means nothing, and here most of the time would go there."""
    captions, settings = general_captions(), build.generation_settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mace_gov.erase.captions.general_captions", lambda: captions[::10])
        patch.setattr("mace_gov.audit.prepare.HARMLESS", 8)
        patch.setattr(build, "generation_settings",
                      lambda *asked: settings(*asked).model_copy(update={"steps": 4}))
        yield


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
