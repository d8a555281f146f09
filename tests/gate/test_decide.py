from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mace_gov.attest.keys import ensure_key_pair
from mace_gov.attest.sign import sign_evidence
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.audit import AuditResult, BrokenModelCheck
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.verdict import Outcome
from mace_gov.gate.decide import decide
from tests.factories import (
    audit_result,
    estimate,
    evidence,
    measurement,
    plan,
    policy,
    policy_yaml,
    version_folder,
    write_files,
)
from tests.factories import digests as digests_of

TODAY = date(2026, 11, 24)


def _verified(tmp_path: Path, audit: AuditResult, asked: Policy | None = None) -> VerifiedEvidence:
    """Evidence around ``audit``, signed and verified: nothing else may make one, not even a test."""
    asked = asked or policy()
    signed = version_folder(tmp_path, need_verdict=False)
    digest, yaml = asked.content_digest(), policy_yaml(asked)
    write_files(signed.folder, {"policy.yaml": yaml})
    made = plan(policy_digest=digest)
    files = {**signed.evidence.files, **digests_of({"policy.yaml": yaml})}
    content = evidence(
        policy_digest=digest, policy_file_digest=files["policy.yaml"], plan=made, files=files,
        erasure=signed.evidence.erasure.model_copy(update={"plan_digest": made.content_digest()}),
        audit=audit.model_copy(update={"policy_digest": digest}),
    )
    sign_evidence(signed.folder, content, ensure_key_pair(signed.registry))
    return verify(signed.folder, key=signed.key, need_verdict=False)


def test_good_evidence_passes_and_the_verdict_names_all_that_it_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1793534400")
    verified = _verified(tmp_path, audit_result())
    verdict = decide(verified, policy(), today=TODAY)
    assert verdict.outcome is Outcome.PASS
    assert verdict.exit_code == 0
    assert verdict.reasons == []
    assert [(f.rule, f.outcome) for f in verdict.findings] == [
        ("NSFW-001", "PASS"), ("NSFW-002", "PASS"), ("NSFW-003", "PASS")
    ]
    assert verdict.policy_digest == policy().content_digest()
    assert verdict.governed_digest == verified.evidence.audit.governed_digest
    assert verdict.evidence_digest == verified.evidence_digest
    assert verdict.decided == "2026-11-01T12:00:00Z"


def _changed(**changes: object) -> AuditResult:
    return audit_result(**changes)


def _rates(hits: int, n: int) -> list:
    kept = [m for m in audit_result().measurements if m.rule != "NSFW-001"]
    return [measurement("NSFW-001", "direct", "presence", estimate(hits, n)), *kept]


@pytest.mark.parametrize("changes, outcome, reason", [
    ({"broken": BrokenModelCheck(passed=False, findings=["noise"], statistics={})}, "FAIL", "broken: noise"),
    ({"broken": BrokenModelCheck(passed=False, findings=[], statistics={})}, "FAIL", "does not say why"),
    ({"broken": BrokenModelCheck(passed=True, findings=["one constant"], statistics={})}, "FAIL", "one constant"),
    ({"unscored": 3}, "REVIEW", "3 of 256 pairs of pictures have no score"),
    ({"measurements": _rates(60, 60)}, "FAIL", None),
    ({"measurements": _rates(2, 60)}, "REVIEW", None),
    ({"measurements": []}, "REVIEW", None),
    ({"power": []}, "REVIEW", None),
])
def test_the_worst_of_findings_and_checks_wins(
    tmp_path: Path, changes: dict, outcome: str, reason: str | None
) -> None:
    verdict = decide(_verified(tmp_path, _changed(**changes)), policy(), today=TODAY)
    assert verdict.outcome == outcome
    assert verdict.exit_code == {"FAIL": 1, "REVIEW": 5}[outcome]
    assert reason is None or any(reason in words for words in verdict.reasons)


def test_fail_stays_fail_beside_a_review(tmp_path: Path) -> None:
    verdict = decide(_verified(tmp_path, _changed(measurements=_rates(60, 60), unscored=3, power=[])), policy(),
                     today=TODAY)
    assert verdict.outcome is Outcome.FAIL


def test_a_policy_past_its_review_date_asks_for_review(tmp_path: Path) -> None:
    asked = policy(review_by="2026-11-23")
    verified = _verified(tmp_path, audit_result(), asked)
    assert decide(verified, asked, today=date(2026, 11, 23)).outcome is Outcome.PASS
    late = decide(verified, asked, today=TODAY)
    assert late.outcome is Outcome.REVIEW
    assert "due for review by 2026-11-23" in late.reasons[0]


def test_source_date_epoch_does_not_keep_a_policy_from_falling_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = policy(review_by="2020-01-01")
    verified = _verified(tmp_path, audit_result(), asked)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1546300800")
    assert decide(verified, asked).outcome is Outcome.REVIEW


def test_audit_mode_reports_and_does_not_block(tmp_path: Path) -> None:
    asked = policy(mode="audit")
    verdict = decide(_verified(tmp_path, _changed(measurements=_rates(60, 60)), asked), asked, today=TODAY)
    assert (verdict.outcome, verdict.mode, verdict.exit_code) == (Outcome.FAIL, "audit", 0)


def test_evidence_about_another_policy_is_refused(tmp_path: Path) -> None:
    verified = _verified(tmp_path, audit_result())
    with pytest.raises(IntegrityError, match="the evidence is about the policy"):
        decide(verified, policy(severity="low"), today=TODAY)


def test_a_model_in_which_nothing_was_erased_never_passes(tmp_path: Path) -> None:
    same = {"base_digest": audit_result().governed_digest}
    from mace_gov.gate.decide import reservations

    [(outcome, reason)] = reservations(audit_result(**same), policy(), TODAY)
    assert outcome is Outcome.REVIEW
    assert "nothing was erased" in reason
