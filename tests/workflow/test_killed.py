"""apply, killed at any moment and run again, ends with what an undisturbed run ends with."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.record.lineage import prepare_lineage
from mace_gov.record.store import open_store
from tests.workflow.planting import World

ROOT = Path(__file__).parents[2]


def kill(folder: Path, model: Path, count: int, *flags: str) -> None:
    seed = int(os.environ.get("MACE_GOV_TEST_SEED") or random.SystemRandom().randrange(10**6))
    done = subprocess.run(
        [sys.executable, "-m", "tests.workflow.killing", str(folder), str(model), str(seed), str(count), *flags],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    again = f"MACE_GOV_TEST_SEED={seed}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, again
    undisturbed, *killed = map(json.loads, done.stdout.splitlines())
    print(f"MACE_GOV_TEST_SEED={seed}: {undisturbed['moments']} moments")
    assert len(killed) == count and undisturbed["verdict"] == "PASS" and undisturbed["moments"] > 100
    assert undisturbed["findings"] == [] and undisturbed["candidate"] and undisturbed["states"] == ["FINISHED"]
    for one in killed:
        where = f"moment {one['at']} of {undisturbed['moments']}, {again}"
        assert one["killed"] or one["after"] is not None, where
        for what in ("model", "verdict", "findings", "states", "candidate", "evidence"):
            assert one[what] == undisturbed[what], f"{what}: {where}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_kill_between_two_writes(tmp_path: Path, tiny_model: Path) -> None:
    kill(tmp_path, tiny_model, 1)


@pytest.mark.nightly
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("flags", [(), ("--timed",)], ids=["between-writes", "any-time"])
def test_fifty_kills_of_each_kind(tmp_path: Path, tiny_model: Path, flags: tuple[str, ...]) -> None:
    kill(tmp_path, tiny_model, 50, *flags)


def test_a_version_that_was_complete_when_its_run_was_killed_is_published_by_the_next(world: World) -> None:
    with world.monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mace_gov.record.lineage.publish", _killed)
        world.apply()
    [finding] = [found for found in workflow.check_registry(world.registry).findings if found.level != "note"]
    assert finding.where == "versions/nsfw/1" and "was not told of its verdict" in finding.problem
    assert prepare_lineage(world.registry, "nsfw") == 1
    assert [found for found in workflow.check_registry(world.registry).findings if found.level != "note"] == []
    with open_store(world.registry) as client:
        published = client.get_model_version_by_alias("nsfw", "candidate")
        assert (int(published.version), published.tags["mace_gov.verdict"]) == (1, "PASS")


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
