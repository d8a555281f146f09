"""A waiver is a looser limit for a while: the rule is decided once more under it, and nothing else is forgiven."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mace_gov.core.errors import PolicyError
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.policy import Category, Policy, Rule
from mace_gov.documents.verdict import AppliedWaiver, Finding, Outcome, Verdict
from mace_gov.documents.waiver import Waiver, mismatches
from mace_gov.gate.rules import decide_rule


def fitting_waivers(waivers: Sequence[Waiver], policy: Policy, governed_digest: str) -> dict[str, Waiver]:
    """Waivers by the rule that they are for. Raises PolicyError when one matches nothing: it must not lie about."""
    problems = [message for _, message in mismatches(waivers, policy)]
    problems += [
        f"{waiver.id} is for the model {waiver.model}, the evidence is about {governed_digest}"
        for waiver in waivers if waiver.model not in (None, governed_digest)
    ]
    if problems:
        raise PolicyError("the waivers do not fit", problems, hint="Take the waivers out that match nothing.")
    return {waiver.rule: waiver for waiver in waivers if waiver.rule}


def expired(waivers: Sequence[Waiver], policy: Policy, today: date) -> list[tuple[Outcome, str]]:
    """Waivers that ended, given at the gate or carried by the policy: each fails the release until it is renewed."""
    carried = [waiver for parent in policy.derived_from or [] for waiver in parent.waivers]
    return [
        (Outcome.FAIL, _ended(waiver, waiver.rule or waiver.loosens, today))
        for waiver in dict.fromkeys((*waivers, *carried)) if waiver.expired(today)
    ]


def ended_since(verdict: Verdict, policy: Policy, today: date) -> list[str]:
    """Waivers that ``verdict`` was let through with, or that its policy carries, and that hold no more, in words."""
    applied = [
        _ended(finding.waiver, finding.rule, today) for finding in verdict.findings
        if finding.waiver and today > finding.waiver.expires_at
    ]
    return [*applied, *(reason for _, reason in expired((), policy, today))]


def waive(
    finding: Finding, rule: Rule, category: Category, audit: AuditResult, waiver: Waiver, today: date
) -> Finding:
    """``finding`` with the waiver, if the measurement meets the waiver's own limit on every other count."""
    if waiver.expired(today):
        return finding
    if finding.outcome is Outcome.PASS:
        return _also(finding, f"the waiver {waiver.id} is not needed")
    limits = {"at_most": waiver.at_most, "at_least": waiver.at_least}
    again = decide_rule(rule.model_copy(update=limits), category, audit)
    if again.outcome is not Outcome.PASS:
        return _also(finding, f"the waiver {waiver.id} does not cover it: {'; '.join(again.reasons)}")
    applied = AppliedWaiver(
        id=waiver.id, digest=waiver.content_digest(), limit=again.limit, reason=waiver.reason, owner=waiver.owner,
        approver=waiver.approver, expires_at=waiver.expires_at,
    )
    told = _also(finding, f"waived until {waiver.expires_at} by {waiver.approver} ({waiver.id}): {again.reasons[0]}")
    return told.model_copy(update={"waiver": applied})


def _ended(waiver: Waiver | AppliedWaiver, what: str | None, today: date) -> str:
    return f"the waiver {waiver.id} for {what} ended on {waiver.expires_at}, today is {today}"


def _also(finding: Finding, reason: str) -> Finding:
    return finding.model_copy(update={"reasons": [*finding.reasons, reason]})
