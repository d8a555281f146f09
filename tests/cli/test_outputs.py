"""What `--output` asks for is written however the command ends, and nothing older is left to be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mace_gov.documents.format_info import FORMATS
from mace_gov.report.formats.files import write
from tests import factories

OLD = '{"verdict":{"outcome":"PASS"}} ## PASS <testsuites/> verdict=PASS'


@pytest.fixture
def gate(run, tmp_path, monkeypatch):
    """Runs the gate on a version with every output, in whose places older files lie; the code and what was written."""
    made = factories.version_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    files = {name: Path("out") / name for name in FORMATS}

    def _gate(*arguments: object, policy: Path = made.folder / "policy.yaml", path: Path = made.folder):
        Path("out").mkdir(exist_ok=True)
        for file in files.values():
            file.write_text(OLD)
        asked = [part for name, file in files.items() for part in ("--output", f"{name}={file}")]
        code, out, err = run("gate", path, "--policy", policy, "--registry", made.registry, *asked, *arguments)
        return code, {name: file.read_text() for name, file in files.items()}, out + err

    _gate.made = made
    return _gate


def _refused(code: int, written: dict[str, str], expected: int, why: str) -> None:
    assert code == expected and "PASS" not in "".join(written.values())
    failure = json.loads(written["json"])
    assert failure["schemaVersion"] == "mace-gov/failure/v1" and "verdict" not in failure
    assert failure["exitCode"] == expected and why in failure["error"]
    assert written["outputs"].startswith("verdict=\nreasons=")


def test_integrity(gate) -> None:
    (gate.made.folder / "model" / "added.txt").write_text("added")
    code, written, _ = gate()
    _refused(code, written, 4, "added.txt: was not there")


def test_a_policy_that_does_not_validate(gate, tmp_path) -> None:
    policy = tmp_path / "broken.yaml"
    policy.write_text("kind: [")
    code, written, _ = gate(policy=policy)
    _refused(code, written, 2, "broken.yaml")
    assert json.loads(written["json"])["policyName"] == "broken"


@pytest.mark.parametrize("arguments", [("--no-such-option",), ("--mode", "perhaps"), ("one", "more")])
def test_what_ends_before_the_command_s_own_code(gate, arguments) -> None:
    code, written, _ = gate(*arguments)
    _refused(code, written, 2, "")


def test_an_output_that_is_none(gate) -> None:
    code, written, _ = gate("--output", "nonsense=file")
    _refused(code, written, 2, "is no output")


def test_trials_that_are_not_at_hand(gate, run, tmp_path) -> None:
    report = factories.report_folder(tmp_path, gate.made)
    code, written, _ = gate("--against", "nsfw/1", path=report)
    _refused(code, written, 3, "trials.jsonl cannot be read")


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("broke"), 3), (OSError(28, "No space left"), 3),
                                             (KeyboardInterrupt(), 130)])
def test_an_error_after_the_verdict_was_written(gate, monkeypatch, error, code) -> None:
    def fails(*_: object, **__: object) -> None:
        assert "PASS" in Path("out/json").read_text()
        raise error

    monkeypatch.setattr("mace_gov.cli.output.finish_verified", fails)
    found, written, _ = gate()
    _refused(found, written, code, "")


def test_an_internal_error_s_traceback_does_not_end_as_a_violated_policy(gate, monkeypatch) -> None:
    monkeypatch.setenv("MACE_GOV_DEBUG", "1")
    monkeypatch.setattr("mace_gov.workflow.gate_path", lambda *_, **__: 1 / 0)
    code, written, told = gate()
    _refused(code, written, 3, "ZeroDivisionError")
    assert "Traceback" in told and "internal error" in told


def test_a_verdict_of_any_outcome_is_a_report(gate) -> None:
    code, written, _ = gate()
    assert code == 0 and json.loads(written["json"])["verdict"]["outcome"] == "PASS"
    assert written["outputs"] == "verdict=PASS\nreasons=\n"
    looser = gate.made.folder.parents[2] / "other.yaml"
    looser.write_bytes(factories.policy_yaml(factories.policy(detectors=["judge", "nudenet"])))
    code, written, told = gate(policy=looser)
    report = json.loads(written["json"])
    assert code == 5 and report["verdict"]["outcome"] == "REVIEW"
    assert report["verdict"]["evidencePolicyDigest"] == gate.made.policy.content_digest()
    assert report["policy"]["spec"]["categories"][0]["detectors"][1] == {"name": "nudenet"}
    assert written["outputs"].startswith("verdict=REVIEW\nreasons=") and "detectors: judge looked" in written["outputs"]
    assert "decided anew under it: tightens 1" in told.replace("bans the same, ", "")


def test_old_files_are_gone_before_anything_is_checked(gate, monkeypatch) -> None:
    def looks(*_: object, **__: object) -> None:
        assert not any(Path("out").iterdir())
        raise ValueError("looked")

    monkeypatch.setattr("mace_gov.workflow.deciding.load_policy", looks)
    assert gate()[0] == 3


def test_one_json_object_however_the_gate_fails(run, tmp_path) -> None:
    made = factories.version_folder(tmp_path)
    for arguments in ((), ("--policy", "nowhere.yaml"), ("--policy", made.folder / "policy.yaml", "--key", "nowhere")):
        code, out, _ = run("gate", made.folder, "--json", "--output", "csv=-", *arguments)
        assert code and set(json.loads(out)) == {"error", "hint", "exit_code"}


@pytest.mark.parametrize("name", ["loop.yaml", b"caf\xe9.yaml".decode("utf-8", "surrogateescape"), "a" * 300])
def test_paths_that_nobody_can_follow_or_print(gate, name) -> None:
    if name == "loop.yaml":
        Path(name).symlink_to(name)
    code, written, told = gate(policy=Path(name))
    assert "PASS" not in "".join(written.values()) and code in (2, 3) and "Traceback" not in told
    assert json.loads(written["json"])["exitCode"] == code and all(written.values())


@pytest.mark.parametrize("command", [
    ("verify", "nowhere"), ("gate", "nowhere", "--policy", "nowhere.yaml"), ("export", "nowhere"),
    ("apply", "nowhere.yaml"), ("plan", "nowhere.yaml"), ("audit", "embedded", "--policy", "nowhere.yaml"),
    ("compare", "nowhere.yaml"), ("tune", "nowhere.yaml"), ("policy", "diff", "nowhere.yaml", "nowhere.yaml"),
    ("policy", "explain", "nowhere.yaml"), ("registry", "show", "nowhere/1"), ("registry", "promote", "nowhere/1"),
    ("registry", "no-such-command"), ("verify", "--no-such-option"),
], ids=" ".join)
def test_json_is_one_object_on_failure_too(run, tmp_path, monkeypatch, command) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(*command, "--json")
    told = json.loads(out)
    assert code in (2, 4) and told["exit_code"] == code and told["error"]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(gate, tmp_path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    place = Path("place.json")
    place.symlink_to(target)
    assert gate("--output", f"json={place}")[0] == 2 and target.read_text() == "mine" and not place.is_symlink()
    place.unlink()
    place.symlink_to(target)
    write(place, "new")
    assert target.read_text() == "mine" and place.read_text() == "new"


@pytest.mark.parametrize("inside", [True, False])
def test_nothing_goes_through_a_link_within_the_working_folder(run, tmp_path, monkeypatch, inside) -> None:
    made = factories.version_folder(tmp_path)
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    work.mkdir()
    elsewhere.mkdir()
    (elsewhere / "report.json").write_text("mine")
    (work / "out").symlink_to(elsewhere)
    monkeypatch.chdir(work)
    asked = Path("out/report.json") if inside else work / "out/report.json"
    code, _, err = run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
                       "--output", f"json={asked}", "--output", "junit=gate.xml")
    assert code == 2 and "lies behind the link" in err and (elsewhere / "report.json").read_text() == "mine"
    assert "nothing was decided" in (work / "gate.xml").read_text()
    monkeypatch.chdir(tmp_path / "registry")
    monkeypatch.setattr("mace_gov.workflow.deciding.in_repository", lambda path: path.name)
    assert run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
               "--output", f"json={work / 'out/report.json'}")[0] == 0
    assert json.loads((elsewhere / "report.json").read_text())["verdict"]["outcome"] == "PASS"


def test_export_leaves_nothing_old_and_takes_nothing_away_that_it_reads(run, tmp_path) -> None:
    report = factories.report_folder(tmp_path, factories.version_folder(tmp_path)) / "report.json"
    old = tmp_path / "old.csv"
    old.write_text(OLD)
    assert run("export", tmp_path / "nowhere", "--output", f"csv={old}")[0] == 2 and not old.exists()
    content = report.read_bytes()
    assert run("export", report, "--output", f"json={report}")[0] == 0 and report.read_bytes() == content
    assert run("export", report.parent, "--output", f"json={report}", "--policy", "nowhere")[0] == 2
    assert report.read_bytes() == content


@pytest.mark.parametrize("name", ["policy.yaml", "verdict.dsse.json", "new.json", "../../../keys/trust.json",
                                  "../../../pinned.json"])
@pytest.mark.parametrize("by_name", [True, False], ids=["NAME/N", "folder"])
def test_nothing_signed_and_nothing_that_the_gate_reads_is_replaced(run, tmp_path, name, by_name) -> None:
    made = factories.version_folder(tmp_path)
    place, other = made.folder / name, tmp_path / "other.json"
    content = place.read_bytes() if place.exists() else None
    other.write_text(OLD)
    code, _, err = run("gate", "nsfw/1" if by_name else made.folder, "--policy", made.folder / "policy.yaml",
                       "--registry", made.registry, "--output", f"json={place}", "--output", f"csv={other}")
    assert code == 2 and "would replace what the gate reads" in err and "PASS" not in other.read_text()
    assert (place.read_bytes() if place.exists() else None) == content
