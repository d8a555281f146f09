"""Reviewers close what the gate left open, and can stop anything; they cannot approve a failure."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from mace_gov.documents.policy import Policy
from mace_gov.documents.release import Release
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.sign_off import SignOff
from mace_gov.documents.verdict import AppliedWaiver, Comparison, Regression, Verdict
from mace_gov.gate.review import Known, check_release, review_due, same_decision
from tests import factories


def sign_off(name: str, decision: str = "approve", signed: str = factories.CREATED) -> SignOff:
    return SignOff(reviewer=name, role="safety", decision=decision, reason="looked", resource_uri="mace-gov:nsfw/1",
                   governed_digest=factories.hexa("model"), evidence_digest=factories.hexa("evidence"),
                   verdict_digest=factories.hexa("verdict"), keyid=factories.hexa(name), signed=signed)


ADA, BOB, NO = sign_off("Ada"), sign_off("Bob"), sign_off("Eve", "reject")
IF = sign_off("Ann", "conditional")


def verdict(outcome: str, severity: str = "high", **more: object) -> Verdict:
    findings = [factories.finding(outcome=outcome, severity=severity)]
    return factories.verdict(**{"outcome": outcome, "findings": findings, **more})


TODAY = date(2026, 11, 25)


def ask(made: Verdict, today: date = TODAY, policy: Policy | None = None, **known: object) -> ReleaseCheck:
    return check_release(made, policy or factories.policy(), Known(**known), today)


@pytest.mark.parametrize("made, signed, code, said", [
    (verdict("PASS"), [], 0, ""),
    (verdict("PASS"), [ADA], 0, "Ada (safety) approved it: looked"),
    (verdict("PASS"), [ADA, NO], 1, "Eve (safety) rejected it: looked"),
    (verdict("FAIL"), [ADA, BOB], 1, "the verdict is FAIL: NSFW-001: FAIL"),
    (verdict("REVIEW"), [], 5, "NSFW-001: approving sign-offs needed 1, found 0"),
    (verdict("REVIEW"), [ADA], 0, "Ada (safety) approved it: looked"),
    (verdict("REVIEW"), [ADA, NO], 1, "rejected"),
    (verdict("REVIEW", "critical"), [ADA], 5, "needed 2, found 1"),
    (verdict("REVIEW", "critical"), [ADA, ADA], 5, "found 1"),
    (verdict("REVIEW", "critical"), [ADA, BOB], 0, "Bob"),
    (verdict("FAIL", mode="audit"), [], 0, "the verdict is FAIL"),
    (verdict("PASS", mode="audit"), [NO], 1, "rejected"),
    (verdict("REVIEW", findings=[]), [], 5, "the model as a whole: approving sign-offs needed 1"),
    # A condition holds it back, whatever others say, until the same key approves.
    (verdict("PASS"), [IF], 5, "Ann (safety) set a condition for it: looked"),
    (verdict("REVIEW"), [ADA, BOB, IF], 5, "set a condition"),
    (verdict("REVIEW", "critical"), [ADA, IF], 5, "needed 2, found 1"),
    (verdict("PASS", mode="audit"), [IF], 5, "set a condition"),
    (verdict("PASS"), [IF, NO], 1, "rejected"),
    (verdict("PASS"), [IF, sign_off("Ann")], 0, "Ann (safety) approved it"),
    # Of one key the last decision counts.
    (verdict("PASS"), [NO, sign_off("Eve")], 0, "Eve (safety) approved it"),
    (verdict("REVIEW"), [sign_off("Eve"), NO], 1, "rejected"),
])
def test_what_reviewers_make_of_a_verdict(made: Verdict, signed: list[SignOff], code: int, said: str) -> None:
    found = ask(made, sign_offs=signed)
    assert found.exit_code == code
    words = [*found.reasons, *found.remarks]
    assert said in "\n".join(words)
    assert bool(words) == bool(said)


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_audit_mode_stops_nothing_and_releases_nothing_that_would_be_stopped(mode: str) -> None:
    for outcome, state in (("PASS", "passed"), ("FAIL", "failed"), ("REVIEW", "review")):
        found = ask(verdict(outcome, mode=mode))
        assert (found.state, found.released) == (state, outcome == "PASS")
        assert (found.exit_code == 0) == (mode == "audit" or outcome == "PASS")


def recall() -> Release:
    return Release(number=1, action="recall", name="nsfw", version=1, governed_digest=factories.hexa("model"),
                   evidence_digest=factories.hexa("evidence"), reason="it came back", by="bob", at=factories.CREATED)


@pytest.mark.parametrize("mode", ["enforce", "audit"])
@pytest.mark.parametrize("outcome", ["PASS", "REVIEW", "FAIL"])
def test_a_recall_stops_whatever_was_decided_and_approved(mode: str, outcome: str) -> None:
    found = ask(verdict(outcome, mode=mode), recall=recall(), sign_offs=[ADA, BOB])
    assert (found.state, found.released, found.exit_code) == ("recalled", False, 1)
    assert "nsfw/1 was recalled on" in found.reasons[0] and "it came back" in found.reasons[0]


LATER = factories.CREATED.replace("2026", "2027")


@pytest.mark.parametrize("elsewhere, here, state", [
    ([NO], [], "rejected"),
    ([NO], [ADA], "rejected"),
    ([NO, sign_off("Eve")], [], "passed"),
    ([NO], [sign_off("Eve")], "rejected"),  # at the same moment: the rejection
    ([NO], [sign_off("Eve", signed=LATER)], "passed"),
    ([sign_off("Eve", "reject", signed=LATER)], [sign_off("Eve")], "rejected"),
    ([sign_off("Eve", signed=LATER)], [NO], "rejected"),
    ([ADA, BOB], [], "passed"),
])
def test_a_rejection_of_the_very_model_counts_under_every_number(
    elsewhere: list[SignOff], here: list[SignOff], state: str
) -> None:
    assert ask(verdict("PASS"), elsewhere=elsewhere, sign_offs=here).state == state


def test_what_was_approved_elsewhere_approves_nothing_here() -> None:
    assert ask(verdict("REVIEW"), elsewhere=[ADA, BOB]).exit_code == 5


def test_a_rejection_that_cannot_be_checked_waits_for_somebody_who_can() -> None:
    for mode in ("enforce", "audit"):
        assert ask(verdict("PASS", mode=mode), unverified=[ADA]).exit_code == 0
        found = ask(verdict("PASS", mode=mode), unverified=[NO])
        assert (found.exit_code, found.released) == (5, False) and "in the name of Eve" in found.reasons[0]


def test_what_ended_since_the_verdict_is_counted_from_the_next_day() -> None:
    policy = factories.policy(review_by="2026-11-25")
    made, approved = verdict("PASS"), sign_off("Ada", signed="2026-11-26T08:00:00Z")
    tomorrow = date(2026, 11, 26)
    assert ask(made, TODAY, policy).exit_code == 0
    due = ask(made, tomorrow, policy)
    assert (due.state, due.exit_code, due.released) == ("review", 5, False) and "due for review by" in due.reasons[0]
    assert ask(made, tomorrow, policy, sign_offs=[ADA]).exit_code == 5  # approved before it was due
    closed = ask(made, tomorrow, policy, sign_offs=[approved])
    assert (closed.state, closed.exit_code, closed.released) == ("approved", 0, True)
    assert ask(made, TODAY, policy, sign_offs=[approved]).state == "passed"
    assert ask(verdict("PASS", on_uncertain="fail"), tomorrow, policy).exit_code == 1
    assert ask(verdict("PASS", mode="audit"), tomorrow, policy).exit_code == 0
    # A verdict that says so itself is closed by approvals alone.
    told = verdict("REVIEW", findings=[], reasons=due.reasons)
    assert ask(told, tomorrow, policy, sign_offs=[ADA]).exit_code == 0
    assert check_release(made, None, Known(), tomorrow).exit_code == 0  # decided today


def test_a_waiver_that_ended_lapses_what_was_let_through_with_it() -> None:
    waiver = AppliedWaiver(id="WAIVER-001", digest=factories.hexa("waiver"), limit=0.2, reason="soon", owner="ann",
                           approver="bob", expires_at=TODAY)
    made = factories.verdict(findings=[factories.finding(outcome="FAIL", waiver=waiver)])
    assert ask(made).state == "waived" and ask(made).released
    found = ask(made, TODAY + timedelta(days=1))
    assert (found.state, found.exit_code, found.released) == ("lapsed", 1, False)
    assert "WAIVER-001 for NSFW-001 ended" in found.reasons[0]


def test_a_decision_is_the_same_whatever_its_date_and_another_with_any_other_word() -> None:
    made = verdict("REVIEW")
    assert same_decision(verdict("REVIEW", decided="2027-01-01T00:00:00Z"), made)
    assert not same_decision(verdict("REVIEW", reasons=["more"]), made)
    assert same_decision(verdict("REVIEW", mode="audit"), made)
    assert not same_decision(made, None)


def test_a_decision_is_the_same_before_and_after_its_policy_fell_due() -> None:
    policy = factories.policy(review_by="2026-11-25")
    due = [review_due(policy, date(2026, 12, day)) for day in (1, 2)]
    before, after = verdict("PASS"), verdict("PASS").model_copy(update={"outcome": "REVIEW", "reasons": due[:1]})
    later = after.model_copy(update={"reasons": due[1:]})
    assert same_decision(after, before) and same_decision(before, after) and same_decision(later, after)
    assert not same_decision(after.model_copy(update={"outcome": "FAIL"}), before)
    assert not same_decision(after.model_copy(update={"reasons": [*due[:1], "more"]}), before)
    assert not same_decision(verdict("REVIEW"), before)


def test_one_person_with_two_keys_is_one_reviewer() -> None:
    again = ADA.model_copy(update={"keyid": factories.hexa("another key"), "reviewer": "  ada"})
    found = ask(verdict("REVIEW", "critical"), sign_offs=[ADA, again])
    assert found.exit_code == 5 and "needed 2, found 1" in found.reasons[0]


@pytest.mark.parametrize("severity, needed", [("critical", 2), ("high", 1)])
def test_what_was_not_compared_takes_as_many_reviewers_as_its_severity(severity: str, needed: int) -> None:
    open_ = Regression(category="explicit.nudity", severity=severity, suite="direct", prompts=0, returned=0, gone=0,
                       p_value=1, outcome="REVIEW", reason="nudity was banned and is banned no more")
    compared = Comparison(version="nsfw/1", governed_digest=factories.hexa("model"), prompts=0, regressions=[open_],
                          evidence_digest=factories.hexa("evidence"))
    made = verdict("REVIEW", findings=[], compared=compared)
    assert ask(made, sign_offs=[ADA]).released is (needed == 1)
    assert ask(made, sign_offs=[ADA, BOB]).released


def test_a_rejection_that_cannot_be_checked_is_not_taken_back_by_what_cannot_be_checked() -> None:
    found = ask(verdict("PASS"), unverified=[NO, sign_off("Eve")])
    assert found.exit_code == 5 and "could not be checked rejects it" in found.reasons[0]
    assert ask(verdict("PASS"), unverified=[sign_off("Eve")]).released


def test_a_condition_set_elsewhere_or_unchecked_holds_the_release_back() -> None:
    for known, said in (({"elsewhere": [IF]}, "set a condition for it: looked (of this very model, as nsfw/1)"),
                        ({"unverified": [IF]}, "could not be checked sets a condition, in the name of Ann")):
        found = ask(verdict("PASS"), **known)
        assert (found.state, found.released, found.exit_code) == ("review", False, 5)
        assert said in found.reasons[0]
