"""May a version be used, given its signed verdict and what reviewers said about it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mace_gov.documents.policy import Severity
from mace_gov.documents.sign_off import Decision, SignOff
from mace_gov.documents.verdict import Outcome, Verdict

REVIEWERS = {Severity.CRITICAL: 2}
"""Different reviewers that must approve what a rule of this severity left open; one for the others."""


@dataclass(frozen=True)
class Review:
    """How a verdict stands after review."""

    exit_code: int
    """0: it may be used; 1: it may not; 5: a person has yet to look."""
    reasons: tuple[str, ...] = ()
    """What reviewers said, or what is missing; empty where the verdict speaks for itself."""


def review(verdict: Verdict, sign_offs: Sequence[SignOff]) -> Review:
    """What verified sign-offs on this very verdict make of it.

    Approvals close a REVIEW: one, or two by different reviewers when a critical rule was left open. A rejection stops
    anything. Nobody approves a FAIL: that takes another version.
    """
    rejected = [one for one in sign_offs if one.decision is Decision.REJECT]
    if rejected:
        return Review(Outcome.FAIL.exit_code, tuple(_words(one, "rejected") for one in rejected))
    if verdict.exit_code != Outcome.REVIEW.exit_code:
        return Review(verdict.exit_code)
    if verdict.evidence_policy_digest:
        return Review(verdict.exit_code, ("no sign-off closes it: those are about the signed verdict, which is under "
                                          "another policy",))
    open_rules = [finding for finding in verdict.findings if finding.effect is Outcome.REVIEW]
    needed = max((REVIEWERS.get(finding.severity, 1) for finding in open_rules), default=1)
    approved = {one.keyid: one for one in sign_offs}
    if len(approved) < needed:
        why = ", ".join(finding.rule for finding in open_rules) or "the model as a whole"
        return Review(verdict.exit_code, (f"{why}: approving sign-offs needed {needed}, found {len(approved)}",))
    return Review(0, tuple(_words(one, "approved") for one in approved.values()))


def sign_offs_on(verdict: Verdict, signed: Verdict | None, sign_offs: Sequence[SignOff]) -> tuple[SignOff, ...]:
    """Which of the sign-offs on the ``signed`` verdict count for ``verdict``.

    All of them where both are one decision. An approval says nothing of another one, under other rules or waivers; a
    rejection is about the model, and stays.
    """
    if same_decision(verdict, signed):
        return tuple(sign_offs)
    return tuple(one for one in sign_offs if one.decision is Decision.REJECT)


def same_decision(verdict: Verdict, other: Verdict | None) -> bool:
    """Whether two verdicts differ in their dates at most: then what reviewers said of one holds for the other."""
    return other is not None and verdict.model_copy(update={"decided": other.decided}) == other


def _words(one: SignOff, did: str) -> str:
    return f"{one.reviewer} ({one.role}) {did} it: {one.reason}"
