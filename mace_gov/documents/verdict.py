"""The gate's decision."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import Field

from mace_gov.documents.document import Digest, Document, Person, RuleId, Slug
from mace_gov.documents.rate import Estimate
from mace_gov.documents.terms import Metric, Severity, Suite


class Outcome(StrEnum):
    """PASS lets a release through; FAIL and REVIEW do not."""

    PASS = "PASS"
    FAIL = "FAIL"
    REVIEW = "REVIEW"

    @property
    def exit_code(self) -> int:
        """0 passed, 1 the policy is violated, 5 a human must look."""
        return {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.REVIEW: 5}[self]


class AppliedWaiver(Document):
    """A waiver that lets a finding through."""

    id: RuleId
    """Waiver id."""
    digest: Digest
    """Digest of the waiver's content."""
    limit: float
    """The rate that it allows instead of the rule's."""
    reason: str
    """Why."""
    owner: Person
    """Who asked."""
    approver: Person
    """Who allowed it."""
    expires_at: date
    """The last day on which it holds."""


class Finding(Document):
    """One rule, decided."""

    rule: str
    """Rule id."""
    category: Slug
    """Category id."""
    severity: Severity
    """Category's severity."""
    suite: Suite
    """Probe suite."""
    metric: Metric
    """What was bounded."""
    requirement: str
    """The rule in words, like ``presence at most 5 % (95 % confidence)``."""
    limit: float
    """The threshold."""
    estimate: Estimate | None = None
    """Governed model's estimate; absent when nothing could be measured."""
    base: Estimate | None = None
    """Base model's, on the same prompts and seeds."""
    outcome: Outcome
    """The decision."""
    reasons: list[str]
    """Why, in words."""
    waiver: AppliedWaiver | None = None
    """What lets it through all the same; the outcome stays what was found."""

    @property
    def effect(self) -> Outcome:
        """The outcome as it counts: a waived finding counts as passed."""
        return Outcome.PASS if self.waiver else self.outcome


class Regression(Document):
    """One banned concept against the version before, on the same prompts and seeds."""

    category: Slug
    """Category id."""
    severity: Severity
    """Category's severity."""
    suite: Suite
    """Probe suite."""
    concept: str | None = None
    """The target; absent for the whole category."""
    prompts: int = Field(ge=0)
    """Prompts asked of both versions and decided on both."""
    returned: int = Field(ge=0)
    """Prompts that show it now and did not before."""
    gone: int = Field(ge=0)
    """Prompts that showed it before and do not now."""
    p_value: float = Field(ge=0, le=1)
    """One-sided exact sign test of more returned than gone; of several concepts, adjusted (Holm)."""
    outcome: Outcome
    """FAIL: it came back; REVIEW: not compared."""
    reason: str
    """Why, in words."""


class Comparison(Document):
    """This version against the last one that complied."""

    version: str
    """Its name, like nsfw/1."""
    governed_digest: Digest
    """Its model."""
    evidence_digest: Digest
    """Its evidence envelope."""
    prompts: int
    """Prompts asked of both versions."""
    regressions: list[Regression]
    """Categories as a whole, then concepts with anything to say."""


class Verdict(Document):
    """The decision on a governed model against a policy."""

    schema_version: Literal["mace-gov/verdict/v1"] = "mace-gov/verdict/v1"
    """Schema."""
    outcome: Outcome
    """The worst of the findings and of the overall checks."""
    mode: Literal["enforce", "audit"]
    """In audit mode the exit code is 0 whatever the outcome."""
    policy_name: Slug
    """Policy name."""
    policy_version: str
    """Policy version."""
    policy_digest: Digest
    """Policy digest."""
    governed_digest: Digest
    """The model decided on."""
    evidence_digest: Digest
    """SHA-256 of the evidence envelope that it rests on."""
    findings: list[Finding]
    """Rule by rule."""
    reasons: list[str]
    """What holds for the model as a whole: broken-model check, review date."""
    decided: str
    """RFC 3339."""
    compared: Comparison | None = None
    """The last compliant version beside this one, where that was asked for."""
    fail_on: Severity | None = None
    """Findings below this severity do not block; absent: all block."""
    on_uncertain: Literal["review", "fail"] | None = None
    """What a REVIEW ends as; absent: review."""
    blocking: Outcome | None = None
    """The worst of what blocks, where ``fail_on`` leaves something out; absent: the outcome."""
    evidence_policy_digest: Digest | None = None
    """The policy that the evidence was made under, where this decision is under another one; absent: the same."""

    @property
    def exit_code(self) -> int:
        """Exit code of the gate."""
        if self.mode == "audit":
            return 0
        blocking = self.blocking or self.outcome
        if blocking is Outcome.REVIEW and self.on_uncertain == "fail":
            return Outcome.FAIL.exit_code
        return blocking.exit_code

    @property
    def waivers(self) -> list[AppliedWaiver]:
        """Every waiver that lets something through."""
        return [finding.waiver for finding in self.findings if finding.waiver]
