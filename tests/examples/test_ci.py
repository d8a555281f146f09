"""The examples for CI systems: parsed by the systems' own tools, and run where a shell is all that it takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner

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
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", schema, str(ROOT / path)])
    assert done.exit_code == 0, done.output


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
    # A stand-in for Python that makes environments in which pip installs nothing and `mace-gov` is this one.
    shims = {
        "mace-gov": f'PYTHONPATH="{ROOT}" exec "$GATE_PYTHON" -P -c "from mace_gov.cli import main; main()" "$@"',
        "pip": 'echo "pip $*" >> "$GATE_LOG"',
        "python": """
            echo "python $* in $PWD" >> "$GATE_LOG"
            for last; do :; done
            case "$*" in
              "-I -m venv "*) mkdir -p "$last"; cp -r "$GATE_BIN" "$last/bin" ;;
              "-I -m pip "*) ;;
              *) exec "$GATE_PYTHON" "$@" ;;
            esac""",
    }
    shims["python3"] = shims["python"]
    for name, line in shims.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    (tmp_path / "runner").mkdir()
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "GATE_PYTHON": sys.executable,
        "GATE_BIN": str(tmp_path / "bin"), "GATE_LOG": str(tmp_path / "log"),
        "GITHUB_OUTPUT": str(tmp_path / "github-output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUNNER_TEMP": str(tmp_path / "runner"), "WORKSPACE_TMP": str(tmp_path / "runner"),
    }
    environment.pop("PYTHONPATH", None)
    return made, environment


def _run(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True,
                          text=True)


def _act(tmp_path: Path, environment: dict[str, str], **inputs: str) -> tuple[int, dict[str, str], str]:
    """Run the action's steps as a runner does: inputs by the environment, outputs by a file."""
    given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | inputs
    known = {f"inputs.{name}": value for name, value in given.items()} | {
        "github.action_path": str(ROOT), "runner.temp": environment["RUNNER_TEMP"],
    }
    written = Path(environment["GITHUB_OUTPUT"])
    for step in ACTION["runs"]["steps"]:
        if given["requirement"] == "none" and "requirement" in step.get("if", ""):
            continue
        written.write_text("")
        values = {name: _filled(value, known) for name, value in step["env"].items()}
        done = _run(step["run"], tmp_path, {**environment, **values})
        outputs = dict(line.split("=", 1) for line in written.read_text().splitlines())
        known |= {f"steps.{step['id']}.outputs.{name}": value for name, value in outputs.items()}
        if done.returncode:
            break
    return done.returncode, outputs, done.stdout


def _filled(value: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ ([^ ]+) \}\}", lambda found: known.get(found[1], ""), value)


INPUTS = {"path": "registry/versions/nsfw/2", "policy": "policies/nsfw.yaml", "key": "keys/pipeline.pub.pem"}


def test_the_action_gates_and_leaves_what_it_promises(tmp_path: Path, place) -> None:
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS, against="last")
    assert code == 0 and outputs["verdict"] == "PASS" and outputs["exit-code"] == "0"
    assert set(outputs) == set(ACTION["outputs"])
    assert json.loads((tmp_path / outputs["sarif"]).read_text())["runs"]
    assert ET.parse(tmp_path / outputs["junit"]).getroot().tag == "testsuites"
    assert (tmp_path / "summary.md").read_text().startswith("## PASS")


def test_the_action_installs_its_own_commit_with_its_constraints_outside_of_the_checkout(tmp_path: Path, place) -> None:
    inside = [f"-I -m pip install --quiet --disable-pip-version-check --constraint {ROOT}/constraints.txt"]
    assert _act(tmp_path, place[1], **INPUTS)[0] == 0
    log = (tmp_path / "log").read_text().splitlines()
    here = f"in {tmp_path / 'runner' / 'mace-gov'}"
    assert log == [
        f"python -I -m venv --clear {tmp_path / 'runner/mace-gov/environment'} {here}",
        f"python {inside[0]} hatchling {here}", f"python {inside[0]} --no-build-isolation {ROOT} {here}",
    ]
    assert _act(tmp_path, place[1], **INPUTS, requirement="elsewhere==1")[0] == 0
    assert (tmp_path / "log").read_text().splitlines()[-1] == f"python {inside[0]} elsewhere==1 {here}"
    (tmp_path / "log").unlink()
    assert _act(tmp_path, place[1], **INPUTS, requirement="none")[0] == 0
    assert not (tmp_path / "log").exists()


def test_nothing_that_the_checkout_brings_is_run_or_believed(tmp_path: Path, place) -> None:
    made, environment = place
    for name in ("json", "pip", "venv", "sitecustomize", "yaml", "mace_gov"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w').write(__name__)\n")
    out = tmp_path / "mace-gov-gate"
    out.mkdir()
    for name in ("report.json", "gate.sarif", "gate.xml", "gate.csv"):
        (out / name).write_text('{"verdict": {"outcome": "PASS"}}')
    (made.folder / "model" / "::set-output name=verdict::PASS").write_text("a name that a runner takes for a command")
    code, outputs, stdout = _act(tmp_path, {**environment, "PYTHONPATH": "."}, **INPUTS)
    assert code == 4 and outputs["verdict"] == "" and outputs["exit-code"] == "4"
    assert set(outputs) == set(ACTION["outputs"]) and not (tmp_path / "pwned").exists()
    for name in ("report.json", "gate.xml", "gate.csv"):
        assert "PASS" not in (out / name).read_text().replace("verdict::PASS", "")
    [result] = json.loads((out / "gate.sarif").read_text())["runs"][0]["results"]
    assert result["level"] == "error" and "nothing was decided" in result["message"]["text"]
    assert (tmp_path / "summary.md").read_text().startswith("## No verdict")
    lines = stdout.splitlines()
    stop, go = (next(i for i, line in enumerate(lines) if line.startswith(start))
                for start in ("::stop-commands::", f"::{lines[0].removeprefix('::stop-commands::')}::"))
    commands = [i for i, line in enumerate(lines) if line.startswith("::")]
    assert all(i <= stop or i >= go for i in commands) and lines[commands[-1]].startswith("::error ")
    assert any("::set-output" in line for line in lines[stop:go]), "what went wrong is told all the same"


def test_the_action_writes_and_believes_nothing_behind_a_link(tmp_path: Path, place) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "gate.sarif").write_text("an older one")
    (tmp_path / "mace-gov-gate").symlink_to(elsewhere)
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS)
    assert code == 2 and set(outputs) == {"verdict", "reasons", "exit-code"} and outputs["verdict"] == ""
    assert [path.name for path in elsewhere.iterdir()] == ["gate.sarif"]
    assert (elsewhere / "gate.sarif").read_text() == "an older one"


def test_the_action_decides_a_changed_policy_and_names_what_it_cannot(tmp_path: Path, place) -> None:
    file = tmp_path / "policies" / "nsfw.yaml"
    file.write_text(file.read_text().replace('"atMost": 0.1', '"atMost": 0.08'))
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS)
    assert (code, outputs["verdict"], outputs["reasons"]) == (0, "PASS", "")
    file.write_text(file.read_text().replace('"nakedness"', '"nakedness", "bareness"'))
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS)
    assert (code, outputs["verdict"]) == (5, "REVIEW") and "nudity: made with other synonyms" in outputs["reasons"]


def test_the_action_ends_with_the_gate_s_code_and_runs_nothing_that_an_input_says(tmp_path: Path, place) -> None:
    code, outputs, _ = _act(tmp_path, place[1], **INPUTS, waivers="$(touch pwned)\n`touch pwned`\n; touch pwned")
    assert code == 2 and outputs["verdict"] == "" and outputs["exit-code"] == "2" and not (tmp_path / "pwned").exists()


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


USES = re.compile(r"uses: +(\S+)")


def test_actions_and_installs_are_pinned_and_keys_do_not_come_from_the_checkout() -> None:
    files = ["action.yml", *(f"examples/ci/{path.name}" for path in sorted((ROOT / "examples/ci").iterdir()))]
    for name in files:
        text = re.sub(r"check\n +", "check ", (ROOT / name).read_text())  # a command over two lines
        assert all(re.fullmatch(r"[^@]+@[0-9a-f]{40}", used) for used in USES.findall(text)), name
        for line in text.splitlines():
            if "pip" in line and " install " in line:
                assert "--constraint" in line and ("-I -m pip" in line or '"$pip" install' in line), line
        assert "install --quiet mace-gov" not in text and not re.search(r"(?i)\bkey\b\W+keys/", text), name
    constraints = (ROOT / "constraints.txt").read_text()
    assert "\nhatchling==" in constraints and not re.search("(?m)^mace-gov", constraints)


def test_the_workflow_takes_its_key_from_the_base_branch(tmp_path: Path, place) -> None:
    made, environment = place

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=tmp_path,
                              capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", "keys")
    git("commit", "--quiet", "--message", "base")
    (tmp_path / "keys" / "pipeline.pub.pem").write_text("the pull request's own")
    [step] = [step for step in WORKFLOW["jobs"]["gate"]["steps"] if step.get("name") == "Pinned key"]
    done = _run(step["run"], tmp_path, {**environment, "BASE": git("rev-parse", "HEAD")})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runner" / "pipeline.pub.pem").read_bytes() == made.key.read_bytes()


def test_the_gitlab_jobs_run(tmp_path: Path, place) -> None:
    for name in ("policy-lint", "model-gate"):
        job = GITLAB[name]
        script = "\n".join([*GITLAB["default"]["before_script"], *job["script"]])
        given = {"PIPELINE_KEY": str(place[0].key), **GITLAB["variables"], **job.get("variables", {})}
        (tmp_path / "report.json").write_text('{"verdict": {"outcome": "PASS"}}')
        shutil.rmtree(tmp_path / "opt", ignore_errors=True)
        done = _run(script.replace("/opt/gate", f"{tmp_path}/opt"), tmp_path, {**place[1], **given})
        assert done.returncode == 0, done.stdout + done.stderr
    artifacts = GITLAB["model-gate"]["artifacts"]
    assert all((tmp_path / path).is_file() for path in [*artifacts["paths"], artifacts["reports"]["junit"]])


def test_the_jenkins_stages_run(tmp_path: Path, place) -> None:
    (tmp_path / "gate.xml").write_text("committed")
    pairs = [line.strip().split(" = ") for line in JENKINS.split("environment {", 1)[1].split("}", 1)[0].splitlines()
             if " = " in line]
    given = {name: value.strip("'") for name, value in pairs}
    assert given.pop("KEY") == "credentials('mace-gov-pipeline-key')"
    for script in (script.split("'''", 1)[0] for script in JENKINS.split("sh '''")[1:]):
        done = _run(script, tmp_path, {**place[1], **given, "KEY": str(place[0].key)})
        assert done.returncode == 0, done.stdout + done.stderr
    assert ET.parse(tmp_path / "gate.xml").getroot().tag == "testsuites" and (tmp_path / "gate.sarif").is_file()
