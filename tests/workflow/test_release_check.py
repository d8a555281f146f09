"""What was called back or rejected stays so when ``apply`` makes the same model again; no report is overwritten."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.attest.keypair import generate_key, load_key_pair
from mace_gov.attest.keys import pin
from mace_gov.attest.sign_off import ReviewerDecision
from mace_gov.cli import main
from mace_gov.core.errors import RecalledError, UsageError
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from mace_gov.documents.verdict import Outcome
from mace_gov.workflow.signing_off import sign_off_path
from tests import factories
from tests.workflow.planting import World, policy_file


@pytest.fixture(scope="module")
def first(root: Path, tiny_model: Path) -> workflow.RunResult:
    """nsfw/1, which passes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(tiny_model, root, monkeypatch)
        world.plant()
        return world.apply()


def test_a_rejected_model_that_is_made_again_stays_rejected(first: workflow.RunResult, world: World) -> None:
    generate_key(world.root / "ada.pem")
    pin(world.registry, load_key_pair(world.root / "ada.pem").public, role=Role.REVIEWER, name="Ada")
    sign = {"signing_key": world.root / "ada.pem", "key": None, "registry": world.registry}
    sign_off_path(first.folder, ReviewerDecision(Decision.REJECT, "Ada", "safety", "looked"), **sign)
    again = world.apply()
    assert again.check.state == "rejected" and again.check.exit_code == 1
    assert again.verdict.outcome is Outcome.PASS  # what was measured is what it was
    assert "<title>REJECTED, verdict PASS" in (again.report / "index.html").read_text()
    sign_off_path(first.folder, ReviewerDecision(Decision.APPROVE, "Ada", "safety", "looked"), **sign)


def test_a_recalled_model_that_is_made_again_fails_and_is_kept(
    first: workflow.RunResult, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow.recall("nsfw/1", registry=world.registry, by="ann", reason="it came back")
    policy = policy_file(world.root, name="renamed", mode="audit")
    monkeypatch.setattr(sys, "argv", [
        "mace-gov", "apply", str(policy), "--model", str(world.model), "--registry", str(world.registry),
        "--reports", str(world.reports), "--device", "cpu", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.code, told["verdict"], told["model_digest"]) == (1, "FAIL", first.audit.governed_digest)
    assert any("this very model was called back: nsfw/1 was recalled on" in said for said in told["review"])
    folder = world.registry / "versions/renamed/1"
    assert (folder / "model").is_dir()
    assert "<title>RECALLED" in Path(told["paths"]["report"]).read_text()
    with pytest.raises(RecalledError, match="it came back"):
        workflow.verify_path(folder, key=None, registry=world.registry)


def test_a_report_of_another_registry_is_refused_before_the_work(
    first: workflow.RunResult, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mace_gov.erase.engine.erase", lambda *_args, **_options: pytest.fail("the work was begun"))
    policy = policy_file(world.root, name="fresh")
    taken = world.reports / "fresh-v1"
    taken.mkdir(parents=True)
    (taken / "evidence.dsse.json").write_bytes(b"of another registry")
    (taken / "sign-offs").mkdir()
    (taken / "sign-offs/a").write_bytes(b"a reviewer's")
    before = factories.all_files(taken)
    with pytest.raises(UsageError, match="fresh-v1 holds the report of another version") as refused:
        world.apply(policy)
    assert "--reports" in refused.value.hint and factories.all_files(taken) == before
    assert not (world.registry / "versions/fresh/1").exists()
