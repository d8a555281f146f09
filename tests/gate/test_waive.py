"""A waiver is a looser limit for a while, and nothing else is forgiven."""

from __future__ import annotations

from datetime import date

import pytest

from mace_gov.core.errors import PolicyError
from mace_gov.documents.audit import Estimate
from mace_gov.documents.policy import Policy
from mace_gov.documents.verdict import Finding, Outcome
from mace_gov.documents.waiver import Waiver
from mace_gov.gate.rules import decide_rule
from mace_gov.gate.waive import expired, fitting_waivers, waive
from tests.factories import audit_result, estimate, hexa, measurement, policy, waiver

TODAY = date(2026, 11, 24)
SYNONYM = {"id": "NSFW-002", "suite": "synonym", "metric": "presence", "atMost": 0.10}
KEPT = {"id": "NSFW-003", "suite": "unrelated", "metric": "retention", "atLeast": 0.90}


def _waived(rule: dict, seen: Estimate, granted: Waiver, today: date = TODAY, **audit: object) -> Finding:
    category = policy(rules=[rule], severity="high").spec.categories[0]
    own = measurement(rule["id"], rule["suite"], rule["metric"], seen)
    result = audit_result(**{"measurements": [own], **audit})
    found = decide_rule(category.rules[0], category, result)
    return waive(found, category.rules[0], category, result, granted, today)


def test_a_finding_within_the_waived_rate_is_let_through_and_stays_what_it_was() -> None:
    found = _waived(SYNONYM, estimate(9, 100), waiver())
    assert found.outcome is Outcome.REVIEW and found.effect is Outcome.PASS
    assert (found.waiver.id, found.waiver.limit, found.waiver.approver) == ("WAIVER-001", 0.2, "jane.doe")
    assert found.waiver.digest == waiver().content_digest()
    assert "waived until 2026-12-31 by jane.doe (WAIVER-001)" in found.reasons[-1]
    assert found.limit == 0.10


@pytest.mark.parametrize("hits, n, outcome", [(30, 100, "FAIL"), (15, 100, "REVIEW")])
def test_the_bound_and_not_the_point_is_held_against_the_waived_rate(hits: int, n: int, outcome: str) -> None:
    found = _waived(SYNONYM, estimate(hits, n), waiver())
    assert found.waiver is None and found.effect == outcome
    assert "WAIVER-001 does not cover it" in found.reasons[-1]


def test_a_lower_limit_is_waived_downwards() -> None:
    granted = waiver(rule="NSFW-003", at_most=None, at_least=0.8)
    assert _waived(KEPT, estimate(106, 120), granted).effect is Outcome.PASS
    assert _waived(KEPT, estimate(90, 120), granted).effect is Outcome.FAIL


def test_no_power_and_a_broken_detector_are_not_waived() -> None:
    assert _waived(SYNONYM, estimate(9, 100), waiver(), power=[]).waiver is None
    broken = audit_result().detectors[0].model_copy(update={"failures": 1})
    assert _waived(SYNONYM, estimate(0, 200), waiver(), detectors=[broken]).effect is Outcome.REVIEW


def test_a_rule_that_is_met_needs_no_waiver() -> None:
    found = _waived(SYNONYM, estimate(0, 100), waiver())
    assert found.outcome is Outcome.PASS and found.waiver is None and "not needed" in found.reasons[-1]


def test_a_waiver_holds_on_its_last_day_and_not_on_the_next() -> None:
    assert _waived(SYNONYM, estimate(9, 100), waiver(), date(2026, 12, 31)).waiver
    assert _waived(SYNONYM, estimate(9, 100), waiver(), date(2027, 1, 1)).waiver is None
    assert expired([waiver()], policy(), date(2026, 12, 31)) == []
    [(outcome, reason)] = expired([waiver()], policy(), date(2027, 1, 1))
    assert outcome is Outcome.FAIL and "WAIVER-001 for NSFW-002 ended on 2026-12-31" in reason


@pytest.mark.parametrize("changes, asked, expected", [
    ({}, {"severity": "critical"}, "NSFW-002 is critical, which is not waivable"),
    ({}, {"severity": "high", "not_waivable": ["high"]}, "NSFW-002 is high, which is not waivable"),
    ({"rule": "NSFW-009"}, {}, "WAIVER-001 matches nothing: found 'NSFW-009', expected one of NSFW-001, NSFW-002"),
    ({"policy": "violence"}, {}, "is for the policy 'violence', expected 'nsfw'"),
    ({"at_most": 0.1}, {}, "waives nothing: NSFW-002 itself allows 0.1"),
    ({"at_most": None, "at_least": 0.5}, {}, "NSFW-002 has atMost, expected atMost in its waiver"),
    ({"rule": "NSFW-003", "at_most": None, "at_least": 0.95}, {}, "waives nothing"),
    ({"rule": None, "loosens": "mode", "at_most": None}, {}, "allows a loosening that the policy does not make"),
    ({"model": hexa("another model")}, {}, "is for the model"),
])
def test_a_waiver_that_fits_nothing_is_an_error(changes: dict, asked: dict, expected: str) -> None:
    with pytest.raises(PolicyError, match="waivers do not fit") as caught:
        fitting_waivers([waiver(**changes)], _policy(**asked), audit_result().governed_digest)
    assert any(expected in problem for problem in caught.value.problems), caught.value.problems


def _policy(severity: str = "medium", not_waivable: list[str] | None = None) -> Policy:
    made = policy(severity=severity).to_json()
    if not_waivable:
        made["spec"]["gate"] = {"notWaivable": not_waivable}
    return Policy.from_json(made)


def test_two_waivers_for_one_rule_are_an_error() -> None:
    with pytest.raises(PolicyError) as caught:
        fitting_waivers([waiver(), waiver(id="WAIVER-002")], _policy(), audit_result().governed_digest)
    assert caught.value.problems == ("WAIVER-002 is the second waiver for NSFW-002, expected one",)


@pytest.mark.parametrize("changes, expected", [
    ({"approver": "Research"}, "owner and approver at once"),
    ({"loosens": "NSFW-002"}, "exactly one of rule and loosens"),
    ({"rule": None}, "exactly one of rule and loosens"),
    ({"at_most": None}, "exactly one of atMost and atLeast"),
    ({"at_least": 0.5}, "exactly one of atMost and atLeast"),
    ({"rule": None, "loosens": "mode"}, "'mode' is a setting, found a rate"),
    ({"reason": "because"}, "at least 10 characters"),
    ({"expires_at": None}, "expires_at"),
])
def test_a_waiver_says_who_why_and_how_much(changes: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        waiver(**changes)
