"""The main job end to end: what a run leaves behind, what a second one reuses, what a failed one takes with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import IncompleteError
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.verdict import Outcome
from mace_gov.record.store import open_store
from mace_gov.record.versions import find, list_versions
from tests.workflow.planting import World


class Heard:
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.tasks: dict[str, int] = {}

    def start(self, task: str, total: int):
        self.tasks[task] = total
        return lambda _steps: None

    def note(self, message: str) -> None:
        self.notes.append(message)

    def table(self, rows) -> None:
        self.notes.append(str(rows))


def recorded(registry: Path) -> list[int]:
    """Version numbers of ``nsfw`` in MLflow."""
    with open_store(registry) as client:
        return sorted(int(found.version) for found in client.search_model_versions("name = 'nsfw'"))


def test_a_run_writes_what_it_should_and_the_next_one_reuses_it(world: World) -> None:
    before = folder_files(world.model)
    heard = Heard()
    first = world.apply(progress=heard)
    assert first.verdict.outcome is Outcome.PASS, first.verdict
    assert first.version == "nsfw/1"
    assert first.folder == world.registry / "versions" / "nsfw" / "1"
    assert {path.name for path in first.folder.iterdir()} >= {
        "model", "delta", "loras", "evidence", "policy.yaml", "evidence.dsse.json", "verdict.dsse.json"
    }
    assert {path.name for path in (world.reports / "nsfw-v1").iterdir()} >= {
        "index.html", "report.json", "policy.yaml", "evidence.dsse.json", "verdict.dsse.json", "report.dsse.json"
    }
    assert (first.folder / "policy.yaml").read_bytes() == (world.root / "policy.yaml").read_bytes()
    assert folder_files(world.model) == before
    assert any("signing key was made" in note for note in heard.notes)
    assert heard.tasks["drawing base pictures"] == heard.tasks["drawing governed pictures"] > 60

    verified, verdict, _ = workflow.verify_path(first.folder, key=None, registry=world.registry)
    assert verdict == first.verdict
    evidence = verified.evidence
    assert evidence.plan.base.digest == read_manifest(str(world.model)).digest == evidence.audit.base_digest
    assert evidence.audit.governed_digest == folder_digest(folder_files(first.model)) != evidence.plan.base.digest
    assert [lora.concept for lora in evidence.erasure.loras] == ["nudity", "naked"]
    assert evidence.audit.measures["Acc_e"] == 0.0
    assert evidence.lineage.mlflow_version == 1
    assert json.loads((first.report / "report.json").read_text())["evidence"] == evidence.to_json()
    load_pipeline(first.model, device="cpu")

    heard = Heard()
    second = world.apply(progress=heard)
    assert second.version == "nsfw/2"
    assert second.verdict.outcome is Outcome.PASS
    again = find(world.registry, "nsfw/2").evidence()
    assert all(lora.reused for lora in again.erasure.loras)
    assert [lora.digest for lora in again.erasure.loras] == [lora.digest for lora in evidence.erasure.loras]
    assert again.audit.governed_digest == evidence.audit.governed_digest
    assert again.audit.files == evidence.audit.files
    assert not any(task.startswith("drawing base") or task.startswith("drawing gov") for task in heard.tasks)
    assert recorded(world.registry) == [1, 2]
    with open_store(world.registry) as client:
        assert int(client.get_model_version_by_alias("nsfw", "candidate").version) == 2


@pytest.mark.parametrize("stage", ["mace_gov.workflow.applying.sign_summary", "mace_gov.record.lineage.audit_metrics"])
def test_a_run_that_fails_leaves_neither_a_folder_nor_a_record(world: World, stage: str) -> None:
    listed, kept = list_versions(world.registry), recorded(world.registry)
    places = sorted((world.registry / "versions").rglob(".*"))

    def full(*_arguments: object) -> None:
        raise IncompleteError("no space left on device")

    world.monkeypatch.setattr(stage, full)
    with pytest.raises(IncompleteError, match="no space left"):
        world.apply()
    assert list_versions(world.registry) == listed
    assert sorted((world.registry / "versions").rglob(".*")) == places == []
    assert recorded(world.registry) == kept
    assert not (world.reports / f"nsfw-v{len(listed) + 1}").exists()
