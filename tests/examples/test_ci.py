"""The examples for CI systems: parsed by the systems' own tools, and run where a shell is all that it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from tests import factories

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "examples/ci/gitlab-ci.yml").read_text())
JENKINS = (ROOT / "examples/ci/Jenkinsfile").read_text()
WORKFLOW = yaml.safe_load((ROOT / "examples/ci/github-workflow.yml").read_text())


@pytest.mark.parametrize(("schema", "path"), [
    ("vendor.github-actions", "action.yml"),
    ("vendor.github-workflows", "examples/ci/github-workflow.yml"),
    ("vendor.gitlab-ci", "examples/ci/gitlab-ci.yml"),
    ("vendor.compose-spec", "deploy/tracking/compose.yaml"),
])
def test_it_is_what_its_system_s_own_schema_says(schema: str, path: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path], cwd=ROOT, capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pre_commit_takes_the_hook_and_the_hook_takes_the_policies() -> None:
    from pre_commit.clientlib import load_manifest
    from pre_commit.commands.run import Classifier

    [hook] = load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))
    assert hook["entry"] == "mace-gov policy lint"
    names = [f"policies/{path.name}" for path in sorted((ROOT / "policies").glob("*.yaml"))]
    cwd = Path.cwd()
    os.chdir(ROOT)
    try:
        others = ["README.md", "action.yml", "policies/schema/policy.v1.json"]
        kept = Classifier([*names, *others]).filenames_for_hook(_Hook(hook))
    finally:
        os.chdir(cwd)
    assert list(kept) == names


class _Hook:
    """What pre-commit asks of a hook to choose its files."""

    def __init__(self, manifest: dict) -> None:
        for name in ("files", "exclude", "types", "types_or", "exclude_types"):
            setattr(self, name, manifest[name])


def test_the_jenkinsfile_is_groovy() -> None:
    import tree_sitter_groovy
    from tree_sitter import Language, Parser

    def errors(text: str) -> bool:
        return Parser(Language(tree_sitter_groovy.language())).parse(text.encode()).root_node.has_error

    assert not errors(JENKINS)
    assert errors(JENKINS.replace("stages {", "stages {{{", 1))


def _linter(name: str) -> str:
    """A linter that pip installs beside this Python, or one on the path; the test is skipped without."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} has no build for this machine")
    return found


@pytest.mark.parametrize("name", ["Containerfile", "deploy/tracking/Containerfile"])
def test_a_containerfile_passes_its_linter(tmp_path: Path, name: str) -> None:
    hadolint = _linter("hadolint")
    done = subprocess.run([hadolint, str(ROOT / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    worse = tmp_path / "Containerfile"
    worse.write_text((ROOT / name).read_text().replace("USER 10001", "USER root"))
    assert subprocess.run([hadolint, str(worse)], capture_output=True).returncode != 0


def test_every_script_passes_shellcheck(tmp_path: Path) -> None:
    shellcheck = _linter("shellcheck")
    scripts = [("bash", step["run"]) for step in ACTION["runs"]["steps"]]
    scripts += [("bash", step["run"]) for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    scripts += [("sh", "\n".join(job["script"])) for job in GITLAB.values() if "script" in job]
    scripts += [("sh", script.split("'''", 1)[0]) for script in JENKINS.split("sh '''")[1:]]
    assert len(scripts) >= 5
    for shell, script in scripts:
        done = subprocess.run([shellcheck, "--shell", shell, "-"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, f"{script}\n{done.stdout}"
    assert subprocess.run([shellcheck, "--shell", "sh", "-"], input="rm $1", capture_output=True,
                          text=True).returncode != 0


def test_the_containerfile_copies_only_what_is_there() -> None:
    copied = [line.split()[1:-1] for line in (ROOT / "Containerfile").read_text().splitlines()
              if line.startswith("COPY")]
    assert copied and all((ROOT / name).exists() for names in copied for name in names)


@pytest.fixture
def place(tmp_path: Path) -> tuple[factories.SignedVersion, dict[str, str]]:
    """A repository with a governed version, and an environment in which `mace-gov` is this one."""
    made = factories.version_folder(tmp_path, number=2)
    (tmp_path / "policies").mkdir()
    shutil.copyfile(made.folder / "policy.yaml", tmp_path / "policies" / "nsfw.yaml")
    (tmp_path / "keys").mkdir()
    shutil.copyfile(made.key, tmp_path / "keys" / "pipeline.pub.pem")
    shims = {"mace-gov": 'exec "$GATE_PYTHON" -c "from mace_gov.cli import main; main()" "$@"',
             "python": 'if [ "$1" = -m ]; then exit 0; fi; exec "$GATE_PYTHON" "$@"'}
    for name, line in shims.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "GATE_PYTHON": sys.executable, "GITHUB_OUTPUT": str(tmp_path / "github-output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    return made, environment


def _run(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True,
                          text=True)


def _act(tmp_path: Path, environment: dict[str, str], **inputs: str) -> tuple[int, dict[str, str], str]:
    """Run the action's gate step as a runner does: inputs by the environment, outputs by a file."""
    step = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
    given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | inputs
    values = {name: given[value.removeprefix("${{ inputs.").removesuffix(" }}")]
              for name, value in step["env"].items()}
    done = _run(step["run"], tmp_path, {**environment, **values})
    lines = Path(environment["GITHUB_OUTPUT"]).read_text().splitlines()
    return done.returncode, dict(line.split("=", 1) for line in lines), done.stdout


INPUTS = {"path": "registry/versions/nsfw/2", "policy": "policies/nsfw.yaml", "key": "keys/pipeline.pub.pem"}


def test_the_action_gates_and_leaves_what_it_promises(tmp_path: Path, place) -> None:
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS, against="last")
    assert code == 0 and outputs["verdict"] == "PASS" and outputs["exit-code"] == "0"
    assert set(outputs) == set(ACTION["outputs"])
    assert json.loads((tmp_path / outputs["sarif"]).read_text())["runs"]
    assert ET.parse(tmp_path / outputs["junit"]).getroot().tag == "testsuites"
    assert (tmp_path / "summary.md").read_text().startswith("## PASS")


def test_the_action_ends_with_the_gate_s_code_and_runs_nothing_that_an_input_says(tmp_path: Path, place) -> None:
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS, waivers="$(touch pwned)\n`touch pwned`\n; touch pwned")
    assert code == 2 and outputs == {"exit-code": "2"} and not (tmp_path / "pwned").exists()


def test_the_action_names_the_waivers_file_that_fits_nothing(tmp_path: Path, place) -> None:
    (tmp_path / "waivers.yaml").write_bytes(factories.waivers_yaml())
    assert _act(tmp_path, place[1], **INPUTS, waivers="waivers.yaml\n")[0] == 2


def test_no_step_pastes_an_input_into_its_script() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"]]
    scripts += [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert scripts and not [script for script in scripts if "${{" in script]


def test_the_workflow_gives_the_action_only_inputs_that_it_has() -> None:
    [step] = [step for step in WORKFLOW["jobs"]["gate"]["steps"] if "mace-gov@" in step.get("uses", "")]
    assert set(step["with"]) <= set(ACTION["inputs"])
    required = {name for name, spec in ACTION["inputs"].items() if spec.get("required")}
    assert required <= set(step["with"])


def test_the_gitlab_jobs_run(tmp_path: Path, place) -> None:
    for name in ("policy-lint", "model-gate"):
        job = GITLAB[name]
        script = "\n".join([*GITLAB["default"]["before_script"], *job["script"]])
        done = _run(script, tmp_path, {**place[1], **job.get("variables", {})})
        assert done.returncode == 0, done.stdout + done.stderr
    artifacts = GITLAB["model-gate"]["artifacts"]
    assert all((tmp_path / path).is_file() for path in [*artifacts["paths"], artifacts["reports"]["junit"]])


def test_the_jenkins_gate_runs(tmp_path: Path, place) -> None:
    script = JENKINS.split("sh '''", 1)[1].split("'''", 1)[0].replace(".gate/bin/", "")
    pairs = [line.strip().split(" = ") for line in JENKINS.split("environment {", 1)[1].split("}", 1)[0].splitlines()
             if " = " in line]
    done = _run(script, tmp_path, {**place[1], **{name: value.strip("'") for name, value in pairs}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "gate.xml").is_file() and (tmp_path / "gate.sarif").is_file()
