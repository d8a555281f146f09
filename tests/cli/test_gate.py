"""`mace-gov gate`, `export` and `policy diff` as a pipeline types them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests import factories

ROOT = Path(__file__).parents[2]
OBJECTS = ROOT / "policies/objects-one.yaml"


@pytest.fixture
def gate(run, tmp_path):
    made = factories.version_folder(tmp_path)

    def _gate(*arguments: object) -> tuple[int, str, str]:
        return run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
                   *arguments)

    return _gate


def test_the_gate_writes_every_format_that_is_asked_for(gate, tmp_path):
    files = {name: tmp_path / "out" / name for name in ("json", "markdown", "junit", "sarif", "annotations", "csv")}
    code, out, _ = gate("--json", *(part for name, path in files.items() for part in ("--output", f"{name}={path}")))
    assert code == 0 and json.loads(out)["waivers"] == [] and all(path.is_file() for path in files.values())
    report = json.loads(files["json"].read_text())
    assert report["verdict"]["outcome"] == "PASS" and report["version"] == "nsfw/1"
    assert str(tmp_path) not in files["json"].read_text(), "no path of this disk"


def test_two_things_do_not_share_standard_output(gate):
    for pair in (("--json", "--output", "csv=-"), ("--output", "csv=-", "--output", "junit=-")):
        code, out, err = gate(*pair)
        told = err if out == "" else json.loads(out)["error"]
        assert code == 2 and "standard output is asked for twice" in told


def test_a_waiver_that_fits_nothing_ends_with_its_line(gate, tmp_path):
    path = tmp_path / "waivers.yaml"
    path.write_bytes(factories.waivers_yaml())
    code, _, err = gate("--waivers", path)
    assert code == 2 and f"{path}:13:" in err and "NSFW-002 is critical, which is not waivable" in err


def test_the_first_version_has_nothing_to_be_compared_with_and_says_so(gate):
    code, _, err = gate("--against", "last")
    assert code == 0 and "nsfw has no earlier compliant version" in err


def test_a_version_that_did_not_comply_is_nothing_to_compare_with(run, tmp_path):
    made = factories.version_folder(tmp_path, outcome="FAIL")
    code, _, err = run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
                       "--against", "nsfw/1")
    assert code == 2 and "nsfw/1 is no compliant version: found FAIL" in err


def test_the_last_compliant_version_is_the_one_before(run, tmp_path):
    for number in (1, 2, 3):
        made = factories.version_folder(tmp_path, number=number, weights=bytes([number]),
                                        outcome="FAIL" if number == 2 else "PASS")
    code, out, _ = run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
                       "--against", "last", "--json")
    told = json.loads(out)
    assert code == 0 and told["compared"]["version"] == "nsfw/1"


@pytest.mark.parametrize(("arguments", "code"), [
    ((), 5), (("--on-uncertain", "fail"), 1), (("--mode", "audit"), 0), (("--fail-on", "high"), 5),
])
def test_what_a_review_ends_as(run, tmp_path, arguments, code):
    made = _uncertain(tmp_path, severity="high")
    assert run("gate", made, "--policy", made / "policy.yaml", "--registry", tmp_path / "registry",
               *arguments)[0] == code


def test_what_is_less_severe_than_asked_is_reported_and_does_not_block(run, tmp_path):
    made = _uncertain(tmp_path, severity="medium")
    code, out, _ = run("gate", made, "--policy", made / "policy.yaml", "--registry", tmp_path / "registry",
                       "--fail-on", "high")
    assert code == 0 and "REVIEW" in out and "it blocks on severity high and worse" in out


def _uncertain(tmp_path: Path, severity: str) -> Path:
    """A version of which one rule straddles its limit."""
    from mace_gov.attest.keys import ensure_key_pair
    from mace_gov.attest.sign import sign_evidence

    made = factories.version_folder(tmp_path, need_verdict=False)
    asked = factories.policy(severity=severity)
    (made.folder / "policy.yaml").write_bytes(yaml := factories.policy_yaml(asked))
    digest = asked.content_digest()
    kept = [m for m in factories.audit_result().measurements if m.rule != "NSFW-002"]
    seen = factories.measurement("NSFW-002", "synonym", "presence", factories.estimate(6, 60))
    plan = factories.plan(policy_digest=digest)
    files = {**made.evidence.files, "policy.yaml": hashlib.sha256(yaml).hexdigest()}
    content = factories.evidence(
        policy_digest=digest, policy_file_digest=files["policy.yaml"], plan=plan, files=files,
        erasure=factories.erasure(plan=plan),
        audit=factories.audit_result(policy_digest=digest, measurements=[seen, *kept]),
    )
    sign_evidence(made.folder, content, ensure_key_pair(made.registry))
    return made.folder


def test_a_waiver_lets_an_uncertain_rule_through_and_is_told(run, tmp_path):
    made = _uncertain(tmp_path, severity="medium")
    path = tmp_path / "waivers.yaml"
    path.write_bytes(factories.waivers_yaml(factories.waiver(at_most=0.25, expires_at="2027-06-01")))
    out_file = tmp_path / "gate.sarif"
    code, out, _ = run("gate", made, "--policy", made / "policy.yaml", "--registry", tmp_path / "registry",
                       "--waivers", path, "--output", f"sarif={out_file}", "--json")
    told = json.loads(out)
    assert code == 0 and told["verdict"] == "PASS" and [each["id"] for each in told["waivers"]] == ["WAIVER-001"]
    [result] = json.loads(out_file.read_text())["runs"][0]["results"]
    assert result["suppressions"] and result["ruleId"] == "NSFW-002"


def test_an_expired_waiver_fails_the_release_with_exit_1(run, tmp_path):
    made = _uncertain(tmp_path, severity="medium")
    path = tmp_path / "waivers.yaml"
    path.write_bytes(factories.waivers_yaml(factories.waiver(at_most=0.25, expires_at="2020-01-01")))
    code, out, _ = run("gate", made, "--policy", made / "policy.yaml", "--registry", tmp_path / "registry",
                       "--waivers", path)
    assert code == 1 and "the waiver WAIVER-001 for NSFW-002 ended on 2020-01-01" in out


def test_a_report_is_exported_without_its_version_at_hand(run, tmp_path):
    folder = factories.report_folder(tmp_path, factories.version_folder(tmp_path))
    code, out, err = run("export", folder, "--output", "sarif=-")
    rules = json.loads(out)["runs"][0]["tool"]["driver"]["rules"]
    assert code == 0 and [rule["id"] for rule in rules] == ["NSFW-001", "NSFW-002", "NSFW-003", "MODEL"]
    assert run("export", folder / "report.json", "--output", f"csv={tmp_path / 'a.csv'}")[0] == 0
    assert run("export", folder)[0] == 2
    code, _, err = run("export", folder, "--policy", OBJECTS, "--output", "csv=-")
    assert code == 2 and "is about the policy" in err


@pytest.mark.parametrize(("text", "told"), [
    ("", "is not JSON"), ("{}", "title"), ("[1]", "the document"), ("nonsense", "is not JSON")
])
def test_what_is_no_report_is_refused_by_name(run, tmp_path, text, told):
    path = tmp_path / "report.json"
    path.write_text(text)
    code, _, err = run("export", path, "--output", f"csv={tmp_path / 'out.csv'}")
    assert code == 2 and f"{path}: {told}" in err and not (tmp_path / "out.csv").exists()


def test_policy_diff_speaks_in_words_and_by_exit_code(run, tmp_path):
    assert run("policy", "diff", OBJECTS, OBJECTS)[1] == "bans the same, loosens nothing\n"
    looser = tmp_path / "looser.yaml"
    looser.write_text(OBJECTS.read_text().replace("atMost: 0.05", "atMost: 0.50"))
    code, out, _ = run("policy", "diff", OBJECTS, looser)
    assert code == 0 and "OBJECT-001 at most 50 %, was 5 %" in out
    assert run("policy", "diff", OBJECTS, looser, "--exit-code")[0] == 1
    code, out, _ = run("policy", "diff", looser, OBJECTS, "--exit-code", "--json")
    assert code == 0 and json.loads(out)["summary"] == "bans the same, tightens 1, loosens nothing"


@pytest.mark.parametrize("name", ["policy", "waivers", "report"])
def test_schemas_are_printed(run, name):
    code, out, _ = run("policy", "schema", name)
    assert code == 0 and json.loads(out)["$id"].endswith(f"/{name}.v1.json")


def test_an_unknown_schema_is_a_usage_error(run):
    code, _, err = run("policy", "schema", "nothing")
    assert code == 2 and "expected one of: policy, waivers, report" in err


def _against_last(run, made, *arguments: object) -> tuple[int, str, str]:
    return run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
               "--against", "last", "--json", *arguments)


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "evidence.dsse.json").write_text("{}"),
    lambda folder: (folder / "evidence.dsse.json").unlink(),
    lambda folder: (folder / "verdict.dsse.json").unlink(),
    lambda folder: (folder / "verdict.dsse.json").write_bytes(
        (folder.parent / "2" / "verdict.dsse.json").read_bytes().replace(b"A", b"B")),
    lambda folder: (folder / "evidence.dsse.json").write_bytes(b"\xff\x00"),
], ids=["empty", "no-evidence", "no-verdict", "forged", "binary"])
def test_an_earlier_version_that_cannot_be_read_is_not_left_out(run, tmp_path, damage):
    for number in (1, 2, 3):
        made = factories.version_folder(tmp_path, number=number, weights=bytes([number]),
                                        outcome="FAIL" if number == 2 else "PASS")
    code, out, _ = _against_last(run, made)
    assert code == 0 and json.loads(out)["compared"]["version"] == "nsfw/1"
    damage(made.folder.parent / "2")
    code, out, _ = _against_last(run, made)
    told = json.loads(out)
    assert code == 4 and "so whether nsfw/2 is the last compliant version is not known" in told["error"]
    assert "--against nsfw/N" in told["hint"]


def test_the_key_that_is_gone_is_no_reason_to_compare_with_nothing(run, tmp_path):
    for number in (1, 2):
        made = factories.version_folder(tmp_path, number=number, weights=bytes([number]))
    pinned = tmp_path / "pinned.pem"
    pinned.write_bytes(made.key.read_bytes())
    shutil.rmtree(made.registry / "keys")
    assert _against_last(run, made)[0] == 4
    code, out, _ = _against_last(run, made, "--key", pinned)
    assert code == 0 and json.loads(out)["compared"]["version"] == "nsfw/1"


def test_a_policy_of_another_name_is_compared_with_the_versions_of_the_model_s_own(run, tmp_path):
    for number in (1, 2):
        made = factories.version_folder(tmp_path, number=number, weights=bytes([number]))
    renamed = tmp_path / "renamed.yaml"
    renamed.write_bytes(factories.policy_yaml(factories.policy(name="renamed")))
    code, out, _ = run("gate", made.folder, "--policy", renamed, "--registry", made.registry, "--against", "last",
                       "--json")
    assert code == 0 and json.loads(out)["compared"]["version"] == "nsfw/1"


def test_what_is_said_of_the_policy_is_what_was_done(gate, run, tmp_path):
    _, out, _ = gate("--output", f"json={tmp_path / 'report.json'}")
    checks = json.loads((tmp_path / "report.json").read_text())["checks"]
    assert "ok  the policy that was given asks what the signed one asks, word for word" in out
    assert not [check for check in checks if "none was given" in check or "no other copy" in check]
    made = factories.version_folder(tmp_path / "other")
    assert "no other copy of it was given" in run("verify", made.folder, "--registry", made.registry)[1]


def test_files_are_named_from_where_the_repository_begins(run, tmp_path, monkeypatch):
    made = factories.version_folder(tmp_path)
    top, outside = tmp_path / "top", tmp_path / "outside.yaml"
    (top / "models" / "policies").mkdir(parents=True)
    inside = top / "models" / "policies" / "nsfw.yaml"
    for path in (inside, outside):
        path.write_bytes((made.folder / "policy.yaml").read_bytes())

    def uri(policy: Path, here: Path) -> str:
        monkeypatch.chdir(here)
        assert run("gate", made.folder, "--policy", policy, "--registry", made.registry, "--on-uncertain", "fail",
                   "--key", tmp_path / "nothing", "--output", f"sarif={tmp_path / 'gate.sarif'}")[0] == 4
        [log] = json.loads((tmp_path / "gate.sarif").read_text())["runs"]
        place = log["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        assert place["uriBaseId"] in log["originalUriBaseIds"] and str(tmp_path) not in json.dumps(
            log["originalUriBaseIds"])
        return place["uri"]

    assert uri(inside, top / "models") == "policies/nsfw.yaml"  # no repository: from the working folder
    (top / ".git").write_text("gitdir: elsewhere")  # as in a worktree
    for here in (top, top / "models", top / "models" / "policies", tmp_path):
        assert uri(inside, here) == "models/policies/nsfw.yaml"
    assert uri(outside, top) == "outside.yaml"


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_rejection_is_about_the_model_and_an_approval_about_its_verdict(run, tmp_path, decision):
    made = factories.version_folder(tmp_path)
    key = tmp_path / "ada.pem"
    assert run("keys", "generate", key)[0] == 0
    assert run("keys", "trust", tmp_path / "ada.pub.pem", "--name", "Ada", "--registry", made.registry)[0] == 0
    assert run("sign-off", made.folder, "--signing-key", key, "--decision", decision, "--reviewer", "Ada", "--role",
               "safety", "--reason", "looked at all", "--registry", made.registry)[0] in (0, 1)
    review = tmp_path / "review.yaml"
    review.write_bytes(factories.policy_yaml(factories.policy(neighbours=["a beach"])))
    looser = tmp_path / "looser.yaml"
    looser.write_bytes(factories.policy_yaml(factories.policy(severity="low")))
    told = {name: tmp_path / name for name in ("outputs", "markdown", "junit", "sarif")}
    asked = [part for name, path in told.items() for part in ("--output", f"{name}={path}")]
    for policy, approved in ((made.folder / "policy.yaml", 0), (looser, 0), (review, 5)):
        code, out, _ = run("gate", made.folder, "--policy", policy, "--registry", made.registry, *asked)
        assert ("no sign-off closes it" in out) == (policy is review)
        assert code == (1 if decision == "reject" else approved)
        if decision == "reject":
            assert told["outputs"].read_text().startswith("verdict=FAIL\nreasons=")
            assert "looked at all" in told["outputs"].read_text() and "(exit 1)" in told["markdown"].read_text()
            assert told["markdown"].read_text().startswith("## REJECTED, verdict ")
            assert "<failure" in told["junit"].read_text()
            [log] = json.loads(told["sarif"].read_text())["runs"]
            assert "MODEL" in {each["ruleId"] for each in log["results"]}
