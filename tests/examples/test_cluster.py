"""The examples for clusters: of the form that their systems take, and N stands for the same number everywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mace_gov.audit.shards import Share, parse_share

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples/cluster"
SCHEMA = json.loads((ROOT / "tests/schemas/kubernetes-job-subset.json").read_text())
SHARDS, MERGE = yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text())
RAY = yaml.safe_load((CLUSTER / "ray.yaml").read_text())
SBATCH = {"job-name", "array", "gpus", "cpus-per-task", "mem", "time", "requeue", "output"}
"""Options of sbatch, by its manual, that the examples use."""


@pytest.mark.parametrize("job", [SHARDS, MERGE], ids=lambda job: job["metadata"]["name"])
def test_a_job_is_what_kubernetes_takes(job: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(job)
    pod = job["spec"]["template"]["spec"]
    names = {container["name"] for container in pod["containers"]}
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        assert rule.get("onExitCodes", {}).get("containerName", *names) in names
    mounts = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        assert limits["memory"] == requests["memory"]


@pytest.mark.parametrize("harm", [
    lambda job: job["spec"].pop("completions"),
    lambda job: job["spec"]["template"]["spec"].update(restartPolicy="OnFailure"),
    lambda job: job["spec"].pop("backoffLimitPerIndex"),
    lambda job: job["spec"]["template"]["spec"]["containers"][0].update(comand=["x"]),
    lambda job: job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"].update(values=[0]),
    lambda job: job.update(apiVersion="batch/v2"),
])
def test_the_schema_refuses_what_kubernetes_refuses(harm) -> None:
    job = json.loads(json.dumps(SHARDS))
    harm(job)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(job)


def test_every_index_of_the_job_is_a_shard_and_the_merge_names_them_all() -> None:
    [audit] = SHARDS["spec"]["template"]["spec"]["containers"]
    [merge] = MERGE["spec"]["template"]["spec"]["containers"]
    count = SHARDS["spec"]["completions"]
    text = audit["args"][audit["args"].index("--shard") + 1]
    shares = {parse_share(text, {"JOB_COMPLETION_INDEX": str(index)}) for index in range(count)}
    assert shares == {Share(index, count) for index in range(1, count + 1)}
    out = audit["args"][audit["args"].index("--out") + 1]
    assert merge["args"] == ["audit", "merge", *(out.replace("$(INDEX)", str(index)) for index in range(count))]


def test_the_ray_cluster_is_what_ray_takes() -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'mace-gov[ray]'")
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(RAY)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**RAY, "max_wokers": 2})


def test_the_ray_cluster_installs_one_commit_with_the_extra_and_its_pins() -> None:
    commands = "\n".join(RAY["setup_commands"])
    assert re.search(r"checkout -q [0-9a-f]{40}\b", commands)
    assert "-c ~/mace-gov-source/constraints.txt" in commands and "[all,ray]" in commands
    assert any("--port=6379" in command for command in RAY["head_start_ray_commands"])
    assert "ray start --address=$RAY_HEAD_IP:6379" in RAY["worker_start_ray_commands"]
    assert RAY["max_workers"] == len(RAY["provider"]["worker_ips"])


@pytest.fixture
def cluster(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder, and an environment in which mace-gov only writes down what it was asked."""
    stand_in = tmp_path / "bin" / "mace-gov"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> asked\n')
    stand_in.chmod(0o755)
    return tmp_path, {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "77"}


def test_the_array_draws_every_shard_and_the_merge_names_them_all(cluster: tuple[Path, dict[str, str]]) -> None:
    folder, environment = cluster
    script = (CLUSTER / "slurm.sh").read_text()
    [(first, last)] = re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", script, re.M)
    drawn = {}
    for index in range(int(first), int(last) + 1):
        mine = {**environment, "SLURM_ARRAY_TASK_ID": str(index)}
        subprocess.run(["bash", CLUSTER / "slurm.sh", "model", "policy.yaml", "base"], cwd=folder, env=mine, check=True)
        asked = (folder / "asked").read_text().splitlines()
        (folder / "asked").unlink()
        drawn[parse_share(asked[asked.index("--shard") + 1], mine)] = asked[asked.index("--out") + 1]
    assert set(drawn) == {Share(index, int(last)) for index in range(1, int(last) + 1)}
    subprocess.run(["bash", CLUSTER / "slurm-merge.sh", "77"], cwd=folder, env=environment, check=True)
    merged = (folder / "asked").read_text().splitlines()
    assert merged[:2] == ["audit", "merge"] and merged[2:2 + len(drawn)] == list(drawn.values())


@pytest.mark.parametrize("name", ["slurm.sh", "slurm-merge.sh"])
def test_a_script_passes_shellcheck_and_asks_slurm_what_there_is(name: str) -> None:
    script = (CLUSTER / name).read_text()
    options = re.findall(r"^#SBATCH --([a-z-]+)", script, re.M)
    assert len(options) == len(set(options)) > 4 and set(options) <= SBATCH
    assert script.index("set -euo") > script.rindex("#SBATCH"), "sbatch reads no directive behind a command"
    found = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if found is None:
        pytest.skip("shellcheck has no build for this machine")
    done = subprocess.run([found, CLUSTER / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
