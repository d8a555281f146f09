"""The integrity check: nothing to say of a sound registry, and each kind of harm is named with what to do next."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mace_gov.attest.keypair import load_key_pair
from mace_gov.attest.releases import add_release
from mace_gov.core.errors import UsageError
from mace_gov.core.store import DIGESTS, Store
from mace_gov.documents.registry_check import Level, RegistryCheck
from mace_gov.documents.release import Action, Release, ReleaseLog
from mace_gov.record.collect import find_garbage, remove
from mace_gov.record.lineage import prepare_lineage, record_lineage
from mace_gov.record.store import open_store
from mace_gov.record.versions import find, new_version
from mace_gov.workflow.registry_check import check_registry
from tests import factories


def told(done: RegistryCheck, level: Level = Level.BROKEN) -> list[tuple[str, str]]:
    return [(finding.where, finding.problem) for finding in done.findings if finding.level is level]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A registry with two versions and a cache."""
    registry = [factories.version_folder(tmp_path, number=number) for number in (1, 2)][0].registry
    kept = Store(registry / "cache")
    kept.put("pictures/one.png", b"one")
    kept.put("pictures/two.png", b"two")
    return registry


def release(registry: Path, version: int = 1, digest: str | None = None) -> None:
    pair, entry = load_key_pair(registry / "keys" / "pipeline.pem"), find(registry, f"nsfw/{version}")
    add_release(registry, ReleaseLog(()), Release(
        number=1, action=Action.PROMOTE, name="nsfw", version=version, governed_digest=digest or entry.governed_digest,
        evidence_digest=entry.evidence_digest, at="2026-01-02T00:00:00Z", by="ann",
    ), pair)


def test_a_sound_registry_has_nothing_to_mend_and_is_not_changed(sound: Path) -> None:
    release(sound)
    before = {path: path.read_bytes() for path in sound.rglob("*") if path.is_file()}
    done = check_registry(sound)
    assert (done.versions, done.releases, done.cached, done.recorded, done.exit_code) == (2, 1, 2, None, 0)
    assert [(finding.level, finding.where) for finding in done.findings] == [(Level.NOTE, "mlflow.db")]
    assert {path: path.read_bytes() for path in sound.rglob("*") if path.is_file()} == before
    assert RegistryCheck.from_json(done.to_json()) == done


def test_an_empty_registry_is_sound_and_none_is_a_mistake(tmp_path: Path) -> None:
    assert check_registry(tmp_path).exit_code == 0
    with pytest.raises(UsageError, match="expected a registry"):
        check_registry(tmp_path / "none")


def test_a_half_made_database_is_named_and_left_as_it_is(sound: Path) -> None:
    (sound / "mlflow.db").touch()
    done = check_registry(sound)
    assert done.exit_code == 3 and told(done, Level.LEFTOVER)[0][0] == "mlflow.db"
    assert (sound / "mlflow.db").read_bytes() == b""


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("harm", "where", "problem"), [
    (lambda r: flip(next((r / "versions/nsfw/2/model").rglob("*.safetensors"))), "versions/nsfw/2", "digest is"),
    (lambda r: (r / "versions/nsfw/2/model/more.json").write_text("{}"), "versions/nsfw/2", "was not there when"),
    (lambda r: flip(r / "versions/nsfw/2/evidence.dsse.json"), "versions/nsfw/2", ""),
    (lambda r: (r / "versions/nsfw/2/evidence.dsse.json").unlink(), "versions/nsfw/2", "expected a complete version"),
    (lambda r: shutil.copytree(r / "versions/nsfw/2", r / "versions/nsfw/3"), "versions/nsfw/3", "but lies in"),
    (lambda r: (r / "keys/trust.json").unlink(), "keys", "is gone"),
    (lambda r: (shutil.rmtree(r / "keys"), (r / "pinned.json").unlink()), "keys", "expected the keys"),
    (lambda r: (r / "keys").chmod(0o777), "keys", "others may replace the keys"),
    (lambda r: release(r, digest="0" * 64), "versions/nsfw/1", "the chain of releases speaks about"),
    (lambda r: (release(r), flip(r / "releases/nsfw/0001.dsse.json")), "releases/nsfw", "0001.dsse.json"),
])
def test_what_contradicts_a_signature_is_broken(
    sound: Path, harm: Callable[[Path], object], where: str, problem: str
) -> None:
    harm(sound)
    done = check_registry(sound)
    assert done.exit_code == 4
    assert any(place == where and problem in said for place, said in told(done)), done.findings
    assert all(finding.action for finding in done.findings)


@pytest.mark.parametrize(("harm", "where", "problem"), [
    (lambda r: (r / "versions/nsfw/2/verdict.dsse.json").unlink(), "versions/nsfw/2", "the gate has not decided"),
    (lambda r: (release(r, 2), shutil.rmtree(r / "versions/nsfw/2")), "versions/nsfw/2", "says that it is compliant"),
    (lambda r: (r / "versions/nsfw/3").mkdir(), "versions/nsfw/3", "a number that was never used"),
    (lambda r: (r / "versions/nsfw/.3.abcdefgh/model").mkdir(parents=True), "versions/nsfw/.3.abcdefgh",
     "did not finish"),
    (lambda r: (r / "versions/nsfw/old").mkdir(), "versions/nsfw/old", "expected numbers alone"),
    (lambda r: (r / "cache/pictures/one.png").write_bytes(b"else"), "cache/pictures/one.png", "not what was kept"),
    (lambda r: (r / "cache" / DIGESTS / "pictures/one.png").unlink(), "cache/pictures/one.png", "not what was kept"),
])
def test_what_is_missing_or_left_is_a_leftover(
    sound: Path, harm: Callable[[Path], object], where: str, problem: str
) -> None:
    harm(sound)
    done = check_registry(sound)
    assert done.exit_code == 3 and told(done) == []
    assert any(place == where and problem in said for place, said in told(done, Level.LEFTOVER)), done.findings


def test_what_goes_on_right_now_is_a_note(sound: Path) -> None:
    half = sound / "cache/pictures/.three.png.abcdefgh"
    half.write_bytes(b"th")
    with pytest.raises(KeyError), new_version(sound, "nsfw"):
        done = check_registry(sound)
        raise KeyError  # the run gives its number back
    assert done.exit_code == 0
    places = [place for place, _ in told(done, Level.NOTE)]
    assert "cache/pictures/.three.png.abcdefgh" in places and any(".3." in place for place in places)
    assert find_garbage(sound) == []
    os.utime(half, (0, 0))
    remove(sound, find_garbage(sound))
    assert not half.exists() and [where for where, _ in told(check_registry(sound), Level.NOTE)] == ["mlflow.db"]


def test_gc_removes_what_the_check_names_in_the_cache(sound: Path) -> None:
    (sound / "cache/pictures/one.png").write_bytes(b"else")
    remove(sound, find_garbage(sound))
    assert check_registry(sound).exit_code == 0 and list(Store(sound / "cache").names()) == ["pictures/two.png"]


def recorded(registry: Path, number: int, folder: Path) -> object:
    factories.write_files(folder / "model", factories.MODEL_FILES)
    return record_lineage(
        registry, version=number, policy=factories.policy(), plan=factories.plan(), erasure=factories.erasure(),
        audit=factories.audit_result(), model=folder / "model")


def killed(registry: Path) -> int:
    """A run that is killed between its records and its folder, in a process that need not import anything again."""
    if (child := os.fork()) == 0:
        try:
            with new_version(registry, "nsfw") as (number, folder):
                recorded(registry, number, folder)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_records_and_folders_are_compared_both_ways_and_a_killed_run_s_are_ended(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    registry.mkdir()
    assert killed(registry) == -signal.SIGKILL
    found = check_registry(registry)
    assert found.exit_code == 3
    assert ("mlflow.db: nsfw/1", "was recorded, and has no folder") in told(found, Level.LEFTOVER)
    assert prepare_lineage(registry, "nsfw") == 1, "its number is not given again"
    with new_version(registry, "nsfw"):  # sweeps up the folder, as the next run does
        pass
    shutil.rmtree(registry / "versions")
    assert check_registry(registry).findings == []
    with open_store(registry) as client:
        place = client.get_experiment_by_name("nsfw").experiment_id
        assert client.search_model_versions("name = 'nsfw'") == [] == client.search_logged_models([place])
        assert client.search_runs([place]) == []

    # a version that MLflow never heard of
    factories.version_folder(tmp_path)
    lone = check_registry(registry)
    assert lone.exit_code == 3 and ("versions/nsfw/1", "MLflow has no record of it, its evidence names one") in told(
        lone, Level.LEFTOVER)
