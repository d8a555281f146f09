"""Registries that were copied, emptied behind MLflow's back, or whose records somebody deleted."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from signal import SIGTERM

import pytest
from mlflow.entities import ViewType

from mace_gov.cli.signals import Interrupted
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.documents.lineage import Lineage
from mace_gov.record.collect import find_garbage, remove
from mace_gov.record.lineage import prepare_lineage, publish, record_lineage
from mace_gov.record.releases import resolve
from mace_gov.record.store import open_store
from mace_gov.record.versions import new_version
from tests import factories

CANDIDATE = "models:/nsfw@candidate"


def recorded(registry: Path) -> Lineage:
    """One more version, whole and recorded."""
    above = prepare_lineage(registry, "nsfw")
    with new_version(registry, "nsfw", above=above) as (number, folder):
        factories.write_files(folder / "model", factories.MODEL_FILES)
        lineage = record_lineage(registry, version=number, policy=factories.policy(), plan=factories.plan(),
                                 erasure=factories.erasure(), audit=factories.audit_result(), model=folder / "model")
    publish(registry, lineage, factories.verdict())
    return lineage


def test_a_copied_registry_leads_to_its_own_files(registry: Path, tmp_path: Path) -> None:
    recorded(registry)
    shutil.copytree(registry, tmp_path / "copy")
    assert resolve(registry, CANDIDATE).model == registry / "versions/nsfw/1/model"
    found = resolve(tmp_path / "copy", CANDIDATE)
    assert found.model == tmp_path / "copy" / "versions/nsfw/1/model"
    assert found.digest == factories.erasure().governed_digest
    # Never to the old place: not even when its own files are gone.
    shutil.rmtree(tmp_path / "copy" / "versions/nsfw/1")
    with pytest.raises(IntegrityError, match=r"is nsfw/1, and there is no .*copy/versions/nsfw/1/model"):
        resolve(tmp_path / "copy", CANDIDATE)
    shutil.rmtree(registry / "versions")
    shutil.move(registry, tmp_path / "moved")
    with pytest.raises(IntegrityError, match="there is no"):
        resolve(tmp_path / "moved", CANDIDATE)


def test_versions_on_another_disk_are_the_registry_s_own(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (registry / "versions").symlink_to(tmp_path / "disk")
    recorded(registry)
    assert resolve(registry, CANDIDATE).model.samefile(tmp_path / "disk/nsfw/1/model")


@pytest.mark.parametrize("tag", ["../../etc/1", "nsfw", "", "nsfw/0"])
def test_a_tag_that_names_no_version_is_refused(registry: Path, tag: str) -> None:
    recorded(registry)
    with closing(sqlite3.connect(registry / "mlflow.db")) as found:
        found.execute("UPDATE model_version_tags SET value = ? WHERE key = 'mace_gov.version'", [tag])
        found.commit()
    with pytest.raises(IntegrityError, match="MLflow says that it is the version"):
        resolve(registry, CANDIDATE)
    assert prepare_lineage(registry, "nsfw") == 1  # by its runs


def test_a_number_is_not_given_again_when_the_newest_folder_was_deleted(registry: Path) -> None:
    recorded(registry)
    recorded(registry)
    shutil.rmtree(registry / "versions/nsfw/2")
    assert prepare_lineage(registry, "nsfw") == 2
    assert recorded(registry).version == 3
    garbage = find_garbage(registry)
    assert [each.what for each in garbage] == ["models:/nsfw/2: nsfw/2 has no folder"]
    remove(registry, garbage)
    assert find_garbage(registry) == []
    with open_store(registry) as client:
        client.delete_registered_model("nsfw")
    assert recorded(registry).mlflow_version == 1  # MLflow counts anew, the registry goes on
    assert resolve(registry, CANDIDATE).model == registry / "versions/nsfw/4/model"


@pytest.mark.parametrize("how", ["garbage", "next run"])
def test_runs_of_a_version_that_never_came_to_be_are_found(registry: Path, how: str) -> None:
    assert prepare_lineage(registry, "nsfw") == 0
    with open_store(registry) as client:
        there = client.get_experiment_by_name("nsfw").experiment_id
        run = client.create_run(there, tags={"mace_gov.version": "nsfw/1"}).info.run_id  # and then it was killed
    if how == "garbage":
        garbage = find_garbage(registry)
        assert [each.what for each in garbage] == ["MLflow's runs of nsfw/1: it has no folder"]
        remove(registry, garbage)
    else:
        assert prepare_lineage(registry, "nsfw") == 1  # its number is not given again
    assert find_garbage(registry) == []
    with open_store(registry) as client:
        assert client.get_run(run).info.lifecycle_stage == "deleted"


def test_an_interrupted_record_leaves_no_run_that_seems_to_go_on(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_audit: object) -> None:
        raise Interrupted(SIGTERM)

    monkeypatch.setattr("mace_gov.record.lineage.audit_metrics", interrupted)
    with pytest.raises(Interrupted):
        recorded(registry)
    monkeypatch.undo()
    assert list((registry / "versions/nsfw").iterdir()) == []
    with open_store(registry) as client:
        place = client.get_experiment_by_name("nsfw").experiment_id
        runs = client.search_runs([place], run_view_type=ViewType.ALL)
        assert {(run.info.status, run.info.lifecycle_stage) for run in runs} == {("KILLED", "deleted")}
        assert client.search_model_versions("name = 'nsfw'") == []
    assert recorded(registry).version == 1


@pytest.mark.parametrize("name", ["nsfw", "base-models"])
def test_a_deleted_experiment_is_named_before_the_work(registry: Path, name: str) -> None:
    recorded(registry)
    with open_store(registry) as client:
        number = client.get_experiment_by_name(name).experiment_id
        client.delete_experiment(number)
    with pytest.raises(IncompleteError, match=f"experiment '{name}' was deleted in MLflow") as refused:
        prepare_lineage(registry, "nsfw")
    assert f"mlflow experiments restore --experiment-id {number}" in refused.value.hint
    assert "space" not in refused.value.hint
    shutil.rmtree(registry / "versions/nsfw/1")
    remove(registry, find_garbage(registry))  # what is deleted with the experiment is nobody's waste, and no error
    assert find_garbage(registry) == []


def test_what_mlflow_refuses_is_not_blamed_on_the_disk(registry: Path) -> None:
    with pytest.raises(IncompleteError) as refused, open_store(registry) as client:
        client.create_run("77")
    assert "free space" not in refused.value.hint
    assert "deleted" in refused.value.hint
