"""Several applies on one registry at once: all finish, no version is lost, and nothing is made twice for long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.record.store import open_store
from mace_gov.record.versions import list_versions
from tests.workflow.planting import METHOD, RULES, policy_file

ROOT = Path(__file__).parents[2]


@pytest.mark.nightly
def test_eight_applies_at_once_all_finish(tmp_path: Path, tiny_model: Path) -> None:
    """Four of one policy, two of the same name with another seed, two of a name of their own."""
    registry = tmp_path / "registry"
    policies = []
    for number, (name, ridge) in enumerate([("nsfw", 0.001)] * 4 + [("nsfw", 0.01)] * 2 + [("other", 0.001)] * 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = policy_file(folder, method={**METHOD, "refine": {"relativeRidge": ridge}}, rules=RULES[:2])
        made = json.loads(path.read_text())
        made["metadata"]["name"] = name
        path.write_text(json.dumps(made))
        policies.append(path)
    code = "import sys; from tests.workflow.at_once import main; main(*sys.argv[1:])"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(tiny_model), str(registry)], cwd=ROOT,
                                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for path in policies]
    ended = [each.communicate() for each in running]
    assert [each.returncode for each in running] == [0] * 8, "\n".join(said[-2000:] for _, said in ended)
    told = [json.loads(out.splitlines()[-1]) for out, _ in ended]
    assert sorted(each["version"] for each in told) == [*(f"nsfw/{n}" for n in range(1, 7)), "other/1", "other/2"]
    assert {each["outcome"] for each in told} == {"PASS"}
    entries = list_versions(registry)
    assert len(entries) == 8
    digests = {each["version"]: each["digest"] for each in told}
    assert {entry.reference: entry.governed_digest for entry in entries} == digests
    same = {each["digest"] for each in told if each["ridge"] == 0.001}
    assert len(same) == 1, "equal settings gave different models"
    assert [f for f in workflow.check_registry(registry).findings if f.level != "note"] == []
    with open_store(registry) as client:
        for name, newest in (("nsfw", 6), ("other", 2)):
            assert len(client.search_model_versions(f"name = '{name}'")) == newest
            place = client.get_experiment_by_name(name).experiment_id
            assert {run.info.status for run in client.search_runs([place])} == {"FINISHED"}
    drawn = Counter(key for each in told for key in each["drawn"])
    assert len(drawn) > 100 and max(drawn.values()) == 1, "a picture was drawn twice"
