"""What may go, and what must not: a run that is alive, a version that was released."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mace_gov.core.locks import is_locked, lock_now
from mace_gov.record.collect import find_garbage, remove
from mace_gov.record.lineage import publish, record_lineage
from mace_gov.record.store import open_store
from mace_gov.record.versions import list_versions, new_version
from tests import factories

RUN = """
import sys, time
from pathlib import Path
from mace_gov.record.versions import new_version
with new_version(Path(sys.argv[1]), "nsfw") as (number, folder):
    (folder / "model").mkdir()
    print(number, flush=True)
    time.sleep(600)
"""


def words(registry: Path, **asked) -> list[str]:
    return [garbage.what for garbage in find_garbage(registry, **asked)]


def test_a_folder_is_held_until_the_block_ends(tmp_path: Path) -> None:
    with lock_now(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(BlockingIOError), lock_now(tmp_path):
            pass
    assert not is_locked(tmp_path)


def number_of(path: Path) -> str:
    """The number that a version's folder, or the scratch folder of one, stands for."""
    return path.name.lstrip(".").split(".")[0]


def test_a_killed_run_is_waste_and_a_living_one_is_not(tmp_path: Path) -> None:
    runs = [subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    try:
        dead, alive = (run.stdout.readline().strip() for run in runs)
        assert {dead, alive} == {"1", "2"}
        assert find_garbage(tmp_path) == []
        runs[0].kill()
        runs[0].wait(60)
        found = find_garbage(tmp_path)
        assert [number_of(garbage.path) for garbage in found] == [dead, dead]
        remove(tmp_path, found)
        assert [number_of(path) for path in (tmp_path / "versions/nsfw").iterdir()] == [alive, alive]
        assert find_garbage(tmp_path) == []
    finally:
        for run in runs:
            run.kill()
            run.wait(60)
            run.stdout.close()


def test_old_versions_go_but_never_a_released_one(tmp_path: Path) -> None:
    registry = [factories.version_folder(tmp_path, number=number) for number in (1, 2, 3, 4)][0].registry
    factories.version_folder(tmp_path, name="violence", number=1)
    assert find_garbage(registry) == []
    assert words(registry, keep=2, released={"nsfw": {1}}) == ["nsfw/2: PASS, never released"]
    (registry / "cache" / "pictures").mkdir(parents=True)
    assert words(registry, cache=True) == ["cache/pictures"]
    found = find_garbage(registry, keep=2, cache=True)
    assert sum(garbage.size for garbage in found) > 0
    remove(registry, found)
    assert [entry.reference for entry in list_versions(registry)] == ["nsfw/3", "nsfw/4", "violence/1"]
    assert not (registry / "cache" / "pictures").exists()


def test_records_of_a_version_that_is_gone_go_with_it(tmp_path: Path) -> None:
    with new_version(tmp_path, "nsfw") as (number, folder):
        factories.write_files(folder / "model", factories.MODEL_FILES)
        lineage = record_lineage(
            tmp_path, version=number, policy=factories.policy(), plan=factories.plan(), erasure=factories.erasure(),
            audit=factories.audit_result(), model=folder / "model")
        assert find_garbage(tmp_path) == []
    publish(tmp_path, lineage, factories.verdict())
    assert find_garbage(tmp_path) == []
    (tmp_path / "versions/nsfw/1").rename(tmp_path / "elsewhere")
    assert words(tmp_path) == ["models:/nsfw/1: nsfw/1 has no folder"]
    remove(tmp_path, find_garbage(tmp_path))
    assert find_garbage(tmp_path) == []
    with open_store(tmp_path) as client:
        place = client.get_experiment_by_name("nsfw").experiment_id
        assert client.search_model_versions("name = 'nsfw'") == []
        assert client.search_runs([place]) == []
        assert client.search_logged_models([place]) == []
