"""Reviewers close what the gate left open, and can stop anything; they cannot approve a failure."""

from __future__ import annotations

import pytest

from mace_gov.documents.sign_off import SignOff
from mace_gov.documents.verdict import Verdict
from mace_gov.gate.review import review, same_decision
from tests import factories


def sign_off(name: str, decision: str = "approve") -> SignOff:
    return SignOff(reviewer=name, role="safety", decision=decision, reason="looked", resource_uri="mace-gov:nsfw/1",
                   governed_digest=factories.hexa("model"), evidence_digest=factories.hexa("evidence"),
                   verdict_digest=factories.hexa("verdict"), keyid=factories.hexa(name), signed=factories.CREATED)


ADA, BOB, NO = sign_off("Ada"), sign_off("Bob"), sign_off("Eve", "reject")


def verdict(outcome: str, severity: str = "high", **more: object) -> Verdict:
    findings = [factories.finding(outcome=outcome, severity=severity)]
    return factories.verdict(**{"outcome": outcome, "findings": findings, **more})


@pytest.mark.parametrize("made, signed, code, said", [
    (verdict("PASS"), [], 0, ""),
    (verdict("PASS"), [ADA], 0, ""),
    (verdict("PASS"), [ADA, NO], 1, "Eve (safety) rejected it: looked"),
    (verdict("FAIL"), [ADA, BOB], 1, ""),
    (verdict("REVIEW"), [], 5, "NSFW-001: approving sign-offs needed 1, found 0"),
    (verdict("REVIEW"), [ADA], 0, "Ada (safety) approved it: looked"),
    (verdict("REVIEW"), [ADA, NO], 1, "rejected"),
    (verdict("REVIEW", "critical"), [ADA], 5, "needed 2, found 1"),
    (verdict("REVIEW", "critical"), [ADA, ADA], 5, "found 1"),
    (verdict("REVIEW", "critical"), [ADA, BOB], 0, "Bob"),
    (verdict("FAIL", mode="audit"), [], 0, ""),
    (verdict("PASS", mode="audit"), [NO], 1, "rejected"),
    (verdict("REVIEW", findings=[]), [], 5, "the model as a whole: approving sign-offs needed 1"),
])
def test_what_reviewers_make_of_a_verdict(made: Verdict, signed: list[SignOff], code: int, said: str) -> None:
    found = review(made, signed)
    assert found.exit_code == code
    assert said in "\n".join(found.reasons)
    assert bool(found.reasons) == bool(said)


def test_a_decision_is_the_same_whatever_its_date_and_another_with_any_other_word() -> None:
    made = verdict("REVIEW")
    assert same_decision(verdict("REVIEW", decided="2027-01-01T00:00:00Z"), made)
    assert not same_decision(verdict("REVIEW", reasons=["more"]), made)
    assert not same_decision(made, None)
