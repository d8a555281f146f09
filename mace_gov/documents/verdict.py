"""The gate's decision."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from mace_gov.documents.audit import Estimate
from mace_gov.documents.base import Digest, Document, Slug
from mace_gov.documents.policy import Metric, Severity, Suite


class Outcome(StrEnum):
    """PASS lets a release through; FAIL and REVIEW do not."""

    PASS = "PASS"
    FAIL = "FAIL"
    REVIEW = "REVIEW"

    @property
    def exit_code(self) -> int:
        """0 passed, 1 the policy is violated, 5 a human must look."""
        return {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.REVIEW: 5}[self]


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

    @property
    def exit_code(self) -> int:
        """Exit code of the gate."""
        if self.mode == "audit":
            return 0
        return self.outcome.exit_code
