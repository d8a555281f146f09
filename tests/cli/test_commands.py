"""Commands as a user types them, without any model."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mace_gov.workflow import verify_path
from tests import factories

ROOT = Path(__file__).parents[2]
NSFW = str(ROOT / "policies/nsfw.yaml")


def test_lint_exits_0_or_2_and_names_file_and_line(run, tmp_path):
    assert run("policy", "lint", NSFW)[0] == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text(Path(NSFW).read_text().replace("severity: critical", "severity: dire"))
    code, out, err = run("policy", "lint", NSFW, bad)
    assert code == 2 and f"{bad}:" in err and "'dire'" in err and "2 policies: 1 errors" in out
    code, out, _ = run("policy", "lint", bad, "--json")
    assert code == 2 and len(json.loads(out)["errors"]) == 1


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "mace_gov", "policy", "lint", "gone.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "gone.yaml" in done.stderr


def test_explain_says_what_is_banned_and_how_much_is_asked(run):
    code, out, _ = run("policy", "explain", NSFW)
    assert code == 0 and "nudity -> a person wearing clothes" in out and "NSFW-001" in out and "59" in out


def test_schema_is_json(run):
    code, out, _ = run("policy", "schema")
    assert code == 0 and json.loads(out)["title"] == "Policy"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("apply",), 2, "policy"),
        (("gate", "somewhere"), 2, "--policy"),
        (("no-such-command",), 2, "no-such-command"),
        (("apply", "no-such.yaml"), 2, "no-such.yaml"),
        (("plan", NSFW, "--model", "no/such/place"), 3, "no/such/place"),
        (("verify", "no-such-version/1"), 2, "no-such-version"),
    ],
)
def test_mistakes_end_with_their_code_a_message_and_a_next_step(run, tmp_path, monkeypatch, arguments, code, told):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(*arguments)
    assert found == code and out == "" and told in err and "next:" in err and "Traceback" not in err
    found, out, _ = run(*arguments, "--json")
    assert found == code and told in json.loads(out)["error"] and json.loads(out)["exit_code"] == code


def test_verify_gate_and_report_agree_on_a_version(run, tmp_path):
    made = factories.version_folder(tmp_path)
    key = made.registry / "keys/pipeline.pub.pem"
    code, out, _ = run("verify", made.folder, "--registry", made.registry, "--key", key, "--json")
    assert code == 0
    told = json.loads(out)
    assert (
        told["verdict"] == "PASS"
        and told["key_pinned"]
        and {"id", "estimate", "n", "low", "high", "outcome"} == set(told["rules"][0])
    )
    code, out, _ = run(
        "gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry, "--json"
    )
    assert code == 0 and json.loads(out)["verdict"] == "PASS"
    code, out, _ = run("report", made.folder, "--registry", made.registry, "--reports", tmp_path / "reports")
    assert code == 0
    report = next((tmp_path / "reports").iterdir())
    assert run("verify", report, "--registry", made.registry)[0] == 0
    page = report / "index.html"
    page.write_text(page.read_text().replace("PASS", "FAIL", 1))
    code, _, err = run("verify", report, "--registry", made.registry)
    assert code == 4 and "index.html" in err


def test_verify_for_a_place_refuses_a_verdict_about_another(run, tmp_path):
    made = factories.version_folder(tmp_path)
    where = ("verify", made.folder, "--registry", made.registry, "--resource-uri")
    uri = verify_path(made.folder, key=None, registry=made.registry)[0].resource_uri
    assert run(*where, uri)[0] == 0
    for other in ("https://models.example/other", ""):
        code, _, err = run(*where, other)
        assert code == 4 and uri in err


def test_registry_and_keys(run, tmp_path):
    made = factories.version_folder(tmp_path)
    code, out, _ = run("registry", "list", "--registry", made.registry)
    assert code == 0 and "PASS" in out
    reference = out.split()[0]
    code, out, _ = run("registry", "show", reference, "--registry", made.registry, "--json")
    assert code == 0 and json.loads(out)["outcome"] == "PASS"
    code, out, _ = run("keys", "show", "--registry", made.registry)
    assert code == 0 and "BEGIN PUBLIC KEY" in out
    shutil.rmtree(made.registry)
    assert run("keys", "show", "--registry", made.registry)[0] == 4
    code, out, _ = run("registry", "list", "--registry", made.registry)
    assert code == 0 and "no versions" in out


def test_plan_says_what_would_be_reused_and_why(run, tmp_path):
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--no-calibrate", "--json")
    reuse = json.loads(out)["reuse"]
    assert code == 0 and [each["concept"] for each in reuse] == ["nudity", "naked", "erotic", "sexual"]
    assert {(each["lora"], each["why"]) for each in reuse} == {("trained", "never trained here")}
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--no-calibrate")
    assert code == 0 and "0 LoRAs reused, 4 trained" in out
    assert "nudity: trained, never trained here; its pictures are drawn first" in out


def test_plan_shows_the_settings_that_the_method_has_and_no_others(run, tmp_path):
    policy = tmp_path / "one.yaml"
    text = Path(NSFW).read_text("utf-8").replace("spec:\n", "spec:\n  method: {name: neurons}\n", 1)
    policy.write_text(text, "utf-8")
    code, out, _ = run("plan", policy, "--registry", tmp_path, "--no-calibrate")
    assert code == 0 and "neurons for the concepts' names" in out and "target    nudity ->" in out
    assert not any(line.startswith(("refine", "fuse", "preserve", "reuse")) or "LoRA" in line or ": rank" in line
                   for line in out.splitlines())
