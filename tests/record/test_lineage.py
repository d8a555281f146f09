"""One walk through MLflow on SQLite. It is single because it takes seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.lineage import Lineage
from mace_gov.record.lineage import publish, record_lineage, withdraw
from mace_gov.record.metrics import audit_metrics
from mace_gov.record.shown import SHOWN, show
from mace_gov.record.store import open_store
from mace_gov.record.versions import new_version
from tests import factories


def test_the_model_in_another_state_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    factories.write_files(tmp_path / "model", {**factories.MODEL_FILES, "unet/config.json": b"{ }"})
    with pytest.raises(IntegrityError, match="the erasure made"):
        record_lineage(tmp_path / "registry", version=1, policy=factories.policy(), plan=factories.plan(),
                       erasure=factories.erasure(), audit=factories.audit_result(), model=tmp_path / "model")
    assert not (tmp_path / "registry").exists()


def test_every_rule_gives_its_estimate_and_interval() -> None:
    metrics = audit_metrics(factories.audit_result())
    assert metrics["NSFW-001.high"] == factories.estimate(0, 60).high
    assert metrics["NSFW-003.estimate"] == pytest.approx(118 / 120)
    assert metrics["H_o"] == 0.994
    assert metrics["broken"] == 0.0


def record(registry: Path, number: int) -> Lineage:
    """Record version ``number`` while its folder is still in construction; then complete the folder."""
    with new_version(registry, "nsfw") as (claimed, folder):
        assert claimed == number
        factories.write_files(folder / "model", factories.MODEL_FILES)
        return record_lineage(registry, version=number, policy=factories.policy(), plan=factories.plan(),
                              erasure=factories.erasure(), audit=factories.audit_result(), model=folder / "model")


def test_two_versions_from_one_base_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    registry = tmp_path / "registry"
    erasure = factories.erasure()
    first = record(registry, 1)
    publish(registry, first, factories.verdict())
    second = record(registry, 2)
    with open_store(registry) as client:
        assert int(client.get_model_version_by_alias("nsfw", "candidate").version) == 1
    publish(registry, second, factories.verdict())
    shown = tmp_path / "shown"
    factories.write_files(shown, {"report.html": b"report", "policy.yaml": b"policy"})
    show(registry, second, [shown / "report.html", shown / "policy.yaml"])
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {"registry", "shown"}

    assert first.base_model_id == second.base_model_id
    assert first.governed_model_id != second.governed_model_id
    assert (first.mlflow_version, second.mlflow_version) == (1, 2)
    assert second.tracking_uri == "sqlite"
    with open_store(registry) as client:
        import mlflow

        erase, audit = client.get_run(second.erase_run_id), client.get_run(second.audit_run_id)
        assert [m.model_id for m in erase.inputs.model_inputs] == [second.base_model_id]
        assert [m.model_id for m in erase.outputs.model_outputs] == [second.governed_model_id]
        assert {m.model_id for m in audit.inputs.model_inputs} == {second.base_model_id, second.governed_model_id}
        assert not audit.outputs.model_outputs
        assert audit.data.metrics["NSFW-001.high"] == pytest.approx(factories.estimate(0, 60).high)
        assert erase.data.tags["mace_gov.governed_digest"] == erasure.governed_digest
        assert {erase.info.status, audit.info.status} == {"FINISHED"}

        took = {run.info.run_id: (run.info.end_time - run.info.start_time) / 1000 for run in (erase, audit)}
        assert took[erase.info.run_id] == pytest.approx(sum(erasure.seconds.values()), abs=0.01)
        assert took[audit.info.run_id] == pytest.approx(sum(factories.audit_result().seconds.values()), abs=0.01)
        assert audit.info.start_time == erase.info.end_time
        [dataset] = [each.dataset for each in audit.inputs.dataset_inputs]
        assert dataset.name == "audit-trials" and json.loads(dataset.profile)["num_rows"] == 512
        for run, stage in ((erase, "Erase"), (audit, "Audit")):
            assert run.data.tags["mlflow.note.content"].startswith(f"{stage} of nsfw/2. Policy nsfw")
            assert run.data.tags["mlflow.source.name"] == "mace-gov apply nsfw"

        base = client.get_logged_model(second.base_model_id)
        assert base.tags["mace_gov.digest"] == erasure.base_digest
        assert base.tags["mlflow.model.isExternal"] == "true"
        governed = client.get_logged_model(second.governed_model_id)
        assert governed.status == "READY"
        assert governed.source_run_id == second.erase_run_id
        assert governed.tags["mace_gov.verdict"] == "PASS"
        assert {metric.key for metric in governed.metrics} >= {"H_o", "NSFW-001.high"}
        assert {item.path for item in client.list_artifacts(second.audit_run_id, SHOWN)} == {
            "shown/report.html", "shown/policy.yaml"}
        registered = client.get_model_version_by_alias("nsfw", "candidate")
        assert int(registered.version) == 2
        assert registered.source == (registry / "versions/nsfw/2/model").as_uri()
        assert registered.run_id == second.erase_run_id
        assert "mace-gov verify nsfw/2" in registered.description
        assert client.get_registered_model("nsfw").description.startswith("Policy nsfw")
        assert json.loads(governed.tags["mlflow.modelVersions"]) == [{"name": "nsfw", "version": 2}]
        assert registered.tags["mace_gov.verdict"] == "PASS"
        assert list(client.get_registered_model("nsfw").aliases) == ["candidate"]

        # MLflow leads to the version's own files and keeps no copy of them.
        found = Path(mlflow.artifacts.download_artifacts("models:/nsfw@candidate"))
        assert found.samefile(registry / "versions" / "nsfw" / "2" / "model")
        assert {path.name for path in (registry / "mlruns").rglob("*") if path.is_file()} == {
            "report.html", "policy.yaml"}
        mlflow.artifacts.download_artifacts("models:/nsfw@candidate", dst_path=str(tmp_path / "downloaded"))
    assert not {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"} & set(os.environ)
    assert folder_digest(folder_files(tmp_path / "downloaded")) == erasure.governed_digest

    withdraw(registry, second)
    withdraw(registry, second)  # what is gone already is no error
    assert versions_and_runs(registry) == (["1"], [f"{stage} nsfw/1" for stage in ("audit", "erase")])

    def breaks(_audit: AuditResult) -> dict[str, float]:
        raise RuntimeError

    # The last thing that is recorded: everything else is there by then, and goes again.
    monkeypatch.setattr("mace_gov.record.lineage.audit_metrics", breaks)
    with pytest.raises(RuntimeError):
        record(registry, 3)
    assert versions_and_runs(registry) == (["1"], [f"{stage} nsfw/1" for stage in ("audit", "erase")])


def versions_and_runs(registry: Path) -> tuple[list[str], list[str]]:
    """What MLflow shows of ``nsfw``: version numbers and run names."""
    with open_store(registry) as client:
        place = client.get_experiment_by_name("nsfw").experiment_id
        runs = sorted(run.info.run_name for run in client.search_runs([place]))
        versions = sorted(found.version for found in client.search_model_versions("name = 'nsfw'"))
        assert len(client.search_logged_models([place])) == len(versions)
        return [str(version) for version in versions], runs
