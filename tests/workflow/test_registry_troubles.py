"""What people do to a registry's folders and to MLflow's records, and what the next apply makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.core.errors import IncompleteError
from mace_gov.core.progress import Silent
from mace_gov.record.store import open_store
from tests.workflow.planting import World


class Notes(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


def test_deleted_folders_and_records_are_known_before_the_work(world: World, tmp_path: Path) -> None:
    made = world.apply()
    workflow.recall(made.version, registry=world.registry, by="ann", reason="it came back")
    shutil.rmtree(made.folder)
    notes = Notes()
    assert world.apply(progress=notes).version == "nsfw/2"
    assert any("MLflow knows nsfw/1, whose folder is not here" in note for note in notes.said)
    with pytest.raises(IncompleteError, match="experiment 'nsfw' was deleted"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mace_gov.erase.engine.erase", None)  # not reached
        with open_store(world.registry) as client:
            client.delete_experiment(client.get_experiment_by_name("nsfw").experiment_id)
        world.apply()

    # MLflow's records gone altogether: the chain of releases alone knows that nsfw/1 was recalled.
    (world.registry / "mlflow.db").unlink()
    shutil.rmtree(world.registry / "versions" / "nsfw")
    shutil.rmtree(world.reports)
    notes = Notes()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr("mace_gov.record.lineage.prepare_lineage", lambda *_: 0)

        def stop(plan, folder, **_: object) -> None:
            assert folder.name.startswith(".2.")
            raise RuntimeError

        patch.setattr("mace_gov.erase.engine.erase", stop)
        world.apply(progress=notes)
    assert any("the chain of releases knows nsfw/1" in note for note in notes.said)
