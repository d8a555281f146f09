"""Every command gives the same answer to: may this model be released now?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

import mace_gov
from mace_gov import workflow
from mace_gov.attest.keypair import generate_key, load_key_pair
from mace_gov.attest.keys import pin, revoke, rotate
from mace_gov.attest.sign_off import ReviewerDecision
from mace_gov.attest.verify import verify
from mace_gov.core.errors import MaceGovError, PolicyError, UsageError
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from mace_gov.gate import decide as gate
from mace_gov.workflow.signing_off import sign_off_path
from tests import factories
from tests.factories import SignedVersion

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def made(tmp_path: Path) -> SignedVersion:
    """A version that passed; Ada's key is pinned for a reviewer and lies in the folder above."""
    signed = factories.version_folder(tmp_path, complete=True)
    generate_key(tmp_path / "ada.pem")
    pin(signed.registry, load_key_pair(tmp_path / "ada.pem").public, role=Role.REVIEWER, name="Ada")
    return signed


def decide(made: SignedVersion, decision: str = "reject", version: str = "nsfw/1") -> Path:
    written, _ = sign_off_path(
        Path(version), ReviewerDecision(Decision(decision), "Ada", "safety", "it draws what is banned"),
        signing_key=made.registry.with_name("ada.pem"), key=None, registry=made.registry,
    )
    return written


def recall(made: SignedVersion) -> None:
    workflow.recall("nsfw/1", registry=made.registry, by="ann", reason="it came back")


def answers(run: Run, made: SignedVersion, version: str = "nsfw/1") -> dict[str, int]:
    """The exit code of everything that uses a version."""
    place = ("--registry", made.registry)
    policy = made.registry / "versions" / version / "policy.yaml"
    codes = {
        "verify": run("verify", version, *place)[0],
        "gate": run("gate", version, "--policy", policy, *place)[0],
        "mode": run("gate", version, "--policy", policy, "--mode", "audit", *place)[0],
        "report": run("report", version, *place, "--reports", made.registry.with_name("reports"))[0],
        "export": run("export", version, "--to", "lora", "--out", made.registry / "x", *place)[0],
        "promote": run("registry", "promote", version, *place)[0],
    }
    try:
        mace_gov.load(version, registry=made.registry)
    except MaceGovError as error:
        codes["load"] = error.exit_code
    assert not (made.registry / "x").exists()
    return codes


@pytest.fixture
def unable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be read of a base or drawn with a model."""
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("the model of a version was used that may not be released")

    monkeypatch.setattr("mace_gov.diffusion.load.load_pipeline", refuse)
    monkeypatch.setattr("mace_gov.erase.weight_export.export_weights", refuse)


@pytest.mark.parametrize("what, state, headline", [
    (decide, "rejected", "REJECTED, verdict PASS"), (recall, "recalled", "RECALLED, verdict PASS"),
])
@pytest.mark.usefixtures("unable")
def test_what_was_rejected_or_recalled_is_so_everywhere(
    run: Run, made: SignedVersion, what: Callable[[SignedVersion], object], state: str, headline: str
) -> None:
    what(made)
    codes = answers(run, made)
    assert set(codes.values()) == {1}, codes
    place = ("--registry", made.registry)
    code, out, _ = run("registry", "list", *place)
    assert code == 0 and f"nsfw/1  PASS       {state}" in out
    (listed,) = json.loads(run("registry", "list", *place, "--json")[1])["versions"]
    assert (listed["check"]["state"], listed["check"]["released"]) == (state, False)
    assert f"release {state}: may not be released" in run("registry", "show", "nsfw/1", *place)[1]

    report = made.registry.with_name("reports") / "nsfw-v1"
    page = (report / "index.html").read_text()
    assert f"<title>{headline}: " in page and 'class="banner fail"' in page and 'class="banner pass"' not in page
    document = json.loads((report / "report.json").read_bytes())
    assert document["release"]["state"] == state and document["verdict"]["outcome"] == "PASS"
    code, out, _ = run("export", report, "--output", "markdown=-")
    assert f"## {headline}" in out
    for form, mark in (("junit", "<failure"), ("sarif", '"error"'), ("annotations", "::error")):
        assert mark in run("export", report, "--output", f"{form}=-")[1], form
    # The page is signed, and what it says of then does not hide what is now.
    assert run("verify", report, *place)[0] == 1
    elsewhere = ("--key", made.registry / "keys/trust.json", "--registry", made.registry / "nowhere")
    code, out, _ = run("verify", report, *elsewhere)
    assert code == 1 and "so the report says" in out


@pytest.mark.usefixtures("unable")
def test_the_very_model_under_another_number_is_recalled_and_rejected_with_it(
    run: Run, made: SignedVersion, tmp_path: Path
) -> None:
    factories.version_folder(tmp_path, number=2, complete=True)
    factories.version_folder(tmp_path, name="violence", complete=True)
    decide(made)
    for version in ("nsfw/2", "violence/1"):
        assert set(answers(run, made, version).values()) == {1}
        assert run("gate", "nsfw/1", "--policy", made.folder / "policy.yaml", "--against", version,
                   "--registry", made.registry)[0] != 0
    decide(made, "approve", "nsfw/1")  # its reviewer's last word
    assert run("verify", "nsfw/2", "--registry", made.registry)[0] == 0
    recall(made)
    assert set(answers(run, made, "violence/1").values()) == {1}


def test_a_registry_that_was_not_named_is_asked_where_the_version_lies_in_it(
    run: Run, made: SignedVersion, tmp_path: Path
) -> None:
    trust = made.registry / "keys/trust.json"
    for what in (decide, recall):
        what(made)
        assert run("verify", made.folder, "--key", trust, "--registry", tmp_path / "elsewhere")[0] == 1


def test_a_rejection_that_was_deleted_is_missed_and_a_second_one_does_not_hide_the_first(
    run: Run, made: SignedVersion
) -> None:
    place = ("--registry", made.registry)
    written = decide(made)
    saved = written.read_bytes()
    written.unlink()
    code, _, err = run("verify", "nsfw/1", *place)
    assert code == 4 and written.name in err
    assert "invalid" in run("registry", "list", *place)[1]
    written.write_bytes(saved)
    assert decide(made, "approve").name.endswith("-0002.dsse.json")
    assert run("verify", "nsfw/1", *place)[0] == 0
    assert run("report", "nsfw/1", *place, "--reports", made.registry.with_name("reports"))[0] == 0
    page = (made.registry.with_name("reports") / "nsfw-v1/index.html").read_text()
    assert "2 sign-offs on this verdict" in page and "<td>reject</td>" in page and "<td>approve</td>" in page


def test_the_terminal_says_no_pass_of_what_was_rejected(run: Run, made: SignedVersion) -> None:
    policy = made.folder / "policy.yaml"
    for ask in (("verify", "nsfw/1"), ("gate", "nsfw/1", "--policy", policy)):
        assert "\nPASS  policy nsfw" in run(*ask, "--registry", made.registry)[1]
    decide(made)
    for ask in (("verify", "nsfw/1"), ("gate", "nsfw/1", "--policy", policy)):
        out = run(*ask, "--registry", made.registry)[1]
        assert "\nREJECTED, verdict PASS  policy nsfw" in out and "The release gate blocks this model digest." in out
        assert "\nPASS  policy" not in out and "\nnext  do not use it" in out


def test_a_rejection_stops_whoever_pins_the_pipelines_key_alone(run: Run, made: SignedVersion) -> None:
    decide(made)
    code, out, _ = run("verify", "nsfw/1", "--key", made.key, "--registry", made.registry)
    assert code == 5 and "could not be checked" in out
    factories.version_folder(made.registry.parent, number=2, complete=True)
    assert run("verify", "nsfw/2", "--key", made.key, "--registry", made.registry)[0] == 5


def test_an_approval_closes_a_date_of_review_that_has_passed_in_every_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    policy = partial(factories.policy, review_by=yesterday.isoformat())
    monkeypatch.setattr(factories, "policy", policy)
    first = factories.version_folder(tmp_path / "first")
    gated = gate.decide(verify(first.folder, key=first.key), first.policy, today=yesterday)
    signed = factories.version_folder(tmp_path, complete=True, findings=gated.findings, reasons=gated.reasons,
                                      outcome=gated.outcome)
    generate_key(tmp_path / "ada.pem")
    pin(signed.registry, load_key_pair(tmp_path / "ada.pem").public, role=Role.REVIEWER, name="Ada")
    assert {code for name, code in answers(run, signed).items() if name in ("verify", "gate", "promote")} == {5}
    decide(signed, "approve")
    found = answers(run, signed)
    assert {name: found[name] for name in ("verify", "gate", "mode", "promote")} == dict.fromkeys(
        ("verify", "gate", "mode", "promote"), 0)
    code, out, _ = run("gate", "nsfw/1", "--policy", signed.folder / "policy.yaml", "--registry", signed.registry)
    assert "release approved: may be released" in out


def test_a_decision_in_another_name_than_the_keys_is_not_signed(made: SignedVersion) -> None:
    with pytest.raises(UsageError, match="--reviewer is 'Bob', but .*ada.pem is pinned as the key of 'Ada'"):
        sign_off_path(Path("nsfw/1"), ReviewerDecision(Decision.APPROVE, "Bob", "safety", "looked"),
                      signing_key=made.registry.with_name("ada.pem"), key=None, registry=made.registry)
    assert not (made.folder / "sign-offs").exists()


def test_a_rejection_counts_for_a_decision_that_was_made_anew(run: Run, tmp_path: Path) -> None:
    made = factories.version_folder(tmp_path, complete=True)
    generate_key(tmp_path / "ada.pem")
    pin(made.registry, load_key_pair(tmp_path / "ada.pem").public, role=Role.REVIEWER, name="Ada")
    decide(made)
    asked = ("gate", "nsfw/1", "--policy", made.folder / "policy.yaml", "--registry", made.registry)
    assert run(*asked)[0] == 1
    assert run(*asked, "--fail-on", "critical", "--mode", "audit")[0] == 1


def test_a_version_that_failed_is_written_for_study_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = factories.version_folder(tmp_path, complete=True, outcome="FAIL")
    asked: list[object] = []
    monkeypatch.setattr("mace_gov.erase.weight_export.export_weights", lambda *said, **more: asked.append(said))
    arguments = ("export", "nsfw/1", "--to", "lora", "--out", tmp_path / "x", "--registry", made.registry)
    code, _, err = run(*arguments)
    assert code == 1 and "may not be exported, it is failed" in err and not asked
    run(*arguments, "--unreleased", "--base", "embedded")


def test_an_auditors_report_makes_no_key_and_takes_no_signed_reports_place(
    run: Run, made: SignedVersion, tmp_path: Path
) -> None:
    auditor = tmp_path / "auditor"
    shutil.copytree(made.registry, auditor)
    shutil.rmtree(auditor / "keys")
    asked = ("report", "nsfw/1", "--registry", auditor, "--reports", tmp_path / "pages", "--key", made.key)
    code, out, _ = run(*asked)
    page = tmp_path / "pages/nsfw-v1"
    assert code == 0 and "unsigned" in out and "<b>Unsigned.</b>" in (page / "index.html").read_text()
    assert not (auditor / "keys").exists() and not (page / "report.dsse.json").exists()
    assert run("verify", page, "--key", made.key, "--registry", auditor)[0] == 4
    assert run(*asked)[0] == 0  # again, over itself

    signed = factories.report_folder(tmp_path, made)
    before = {path.name: path.read_bytes() for path in signed.iterdir()}
    code, out, _ = run("report", "nsfw/1", "--registry", auditor, "--reports", signed.parent, "--key", made.key)
    assert code == 0 and "nsfw-v1-unsigned" in out
    assert {path.name: path.read_bytes() for path in signed.iterdir()} == before


def test_a_report_is_signed_by_the_pipelines_own_key_and_no_other(
    run: Run, made: SignedVersion, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.json"
    shutil.copyfile(made.registry / "keys/trust.json", trust)
    rotate(made.registry, Role.PIPELINE)  # the auditor does not pin the new one
    code, out, _ = run("report", "nsfw/1", "--registry", made.registry, "--reports", tmp_path / "a", "--key", trust)
    assert code == 0 and "unsigned" in out
    code, out, _ = run("report", "nsfw/1", "--registry", made.registry, "--reports", tmp_path / "b")
    assert code == 0 and "unsigned" not in out
    assert "Unsigned" not in (tmp_path / "b/nsfw-v1/index.html").read_text()


def test_nobody_releases_or_recalls_with_a_key_that_was_made_for_it(
    run: Run, made: SignedVersion, tmp_path: Path
) -> None:
    (made.registry / "keys/pipeline.pem").unlink()
    for asked in (("promote", "nsfw/1"), ("recall", "nsfw/1", "--reason", "why")):
        code, _, err = run("registry", *asked, "--registry", made.registry)
        assert code == 2 and "private key" in err
    assert not (made.registry / "keys/pipeline.pem").exists() and not (made.registry / "releases").exists()


def test_another_registrys_report_is_left_alone(run: Run, made: SignedVersion, tmp_path: Path) -> None:
    report = factories.report_folder(tmp_path, made)
    decide(made)
    (report / "sign-offs").mkdir()
    (report / "sign-offs/x").write_bytes(b"a reviewer's")
    other = factories.version_folder(tmp_path / "other", complete=True, weights=b"another model")
    before = factories.all_files(report)
    code, _, err = run("report", "nsfw/1", "--registry", other.registry, "--reports", report.parent)
    assert code == 2 and "holds the report of another version" in err
    assert factories.all_files(report) == before


def test_sign_offs_beside_a_report_stay_when_it_is_written_again(run: Run, made: SignedVersion, tmp_path: Path) -> None:
    report = factories.report_folder(tmp_path, made)
    written = decide(made, "approve")
    (report / "sign-offs").mkdir()
    shutil.copyfile(written, report / "sign-offs" / written.name)
    assert run("report", "nsfw/1", "--registry", made.registry, "--reports", report.parent)[0] == 0
    assert (report / "sign-offs" / written.name).read_bytes() == written.read_bytes()
    assert run("verify", report, "--registry", made.registry)[0] == 0
    assert not list(report.parent.glob(".*"))


def test_a_revoked_key_shows_in_the_list(run: Run, made: SignedVersion) -> None:
    revoke(made.registry, json.loads(run("keys", "show", "--registry", made.registry, "--json")[1])["keyid"], "stolen")
    code, out, _ = run("registry", "list", "--registry", made.registry, "--json")
    assert code == 0
    (listed,) = json.loads(out)["versions"]
    assert (listed["check"]["state"], listed["check"]["exitCode"]) == ("invalid", 4)
    assert "stolen" in listed["check"]["reasons"][0]


@pytest.mark.parametrize("what", [decide, recall])
def test_a_version_is_in_its_registry_however_its_path_is_written(
    run: Run, made: SignedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    what: Callable[[SignedVersion], object],
) -> None:
    factories.version_folder(tmp_path, number=2, complete=True)
    what(made)
    (tmp_path / "current").symlink_to(made.folder.with_name("2"))
    monkeypatch.chdir(made.folder.with_name("2") / "model")
    key = ("--key", made.registry / "keys/trust.json")
    for path in (tmp_path / "current", "..", made.folder / "../2"):
        code, out, err = run("verify", path, *key, "--registry", tmp_path / "nowhere")
        assert code == 1, path
        assert "rejected it" in out + err or "was recalled" in out + err


def test_another_registry_s_version_of_that_name_does_not_speak_for_a_report(
    run: Run, made: SignedVersion, tmp_path: Path
) -> None:
    recall(made)
    reports = tmp_path / "reports"
    run("report", "nsfw/1", "--registry", made.registry, "--reports", reports)
    other = factories.version_folder(tmp_path / "other", weights=b"other").registry
    (tmp_path / "empty/versions/nsfw/1").mkdir(parents=True)
    key = ("--key", made.registry / "keys/trust.json")
    for registry in (other, tmp_path / "empty"):
        code, out, _ = run("verify", reports / "nsfw-v1", *key, "--registry", registry)
        assert code == 1 and "so the report says" in out


def test_one_policy_that_is_read_no_more_does_not_hide_the_others(
    run: Run, made: SignedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mace_gov.workflow import release_check

    good = factories.version_folder(tmp_path, name="violence")
    load = release_check.load_policy

    def read(path: Path, **options: bool) -> object:
        if path.is_relative_to(good.folder):
            return load(path, **options)
        raise PolicyError("policy.yaml: 1 error", ["policy.yaml:1:1: atMost: found yes, expected a number"])

    monkeypatch.setattr(release_check, "load_policy", read)
    code, out, _ = run("registry", "list", "--registry", made.registry)
    assert code == 0 and "nsfw/1  PASS       invalid" in out and "violence/1  PASS       passed" in out
