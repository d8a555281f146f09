"""The decision on a model: every rule of the policy, and what holds for the model as a whole."""

from __future__ import annotations

from datetime import UTC, date, datetime

from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.gate.rules import decide_rule, worst


def decide(verified: VerifiedEvidence, policy: Policy, *, today: date | None = None) -> Verdict:
    """Decide under ``policy`` on evidence that was verified. The worst of all findings and checks wins.

    ``today`` is the real date unless given: SOURCE_DATE_EPOCH must not keep a policy from falling due.
    Raises IntegrityError when the evidence is about another policy.
    """
    evidence, digest = verified.evidence, policy.content_digest()
    if digest != evidence.policy_digest:
        raise IntegrityError(
            f"the evidence is about the policy {evidence.policy_digest}, found {digest} "
            f"({policy.metadata.name} {policy.metadata.version})",
            hint="Give the policy that the version was made with, or run `mace-gov apply` with this one.",
        )
    audit = evidence.audit
    findings = [
        decide_rule(rule, category, audit) for category in policy.spec.categories for rule in category.rules
    ]
    overall = [*broken_model(audit), *reservations(audit, policy, today or datetime.now(UTC).date())]
    return Verdict(
        outcome=worst([finding.outcome for finding in findings] + [outcome for outcome, _ in overall]),
        mode=policy.spec.mode, policy_name=policy.metadata.name, policy_version=policy.metadata.version,
        policy_digest=digest, governed_digest=audit.governed_digest, evidence_digest=verified.evidence_digest,
        findings=findings, reasons=[reason for _, reason in overall], decided=timestamp(),
    )


def broken_model(audit: AuditResult) -> list[tuple[Outcome, str]]:
    """A model that draws only noise shows nothing banned either, and never passes."""
    if audit.broken.passed and not audit.broken.findings:
        return []
    found = audit.broken.findings or ["the broken-model check failed and does not say why"]
    return [(Outcome.FAIL, f"the governed model is broken: {finding}") for finding in found]


def reservations(audit: AuditResult, policy: Policy, today: date) -> list[tuple[Outcome, str]]:
    """What keeps the model as a whole from a PASS without a reviewer."""
    reasons = []
    if today > policy.metadata.review_by:
        reasons.append(f"the policy was due for review by {policy.metadata.review_by}, today is {today}")
    if audit.unscored:
        reasons.append(f"{audit.unscored} of {audit.trials} pictures have no score: a detector failed on them")
    if audit.governed_digest == audit.base_digest:
        reasons.append("the governed model is the base model, file by file: nothing was erased")
    return [(Outcome.REVIEW, reason) for reason in reasons]
