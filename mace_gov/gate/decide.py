"""The decision on a model: every rule of the policy, and what holds for the model as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from mace_gov.core.clock import timestamp, wall_clock
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import GateSettings, Policy
from mace_gov.documents.terms import Severity
from mace_gov.documents.verdict import Comparison, Finding, Outcome, Regression, Verdict
from mace_gov.documents.waiver import Waiver
from mace_gov.gate.changed import Gap, gaps, remeasured
from mace_gov.gate.regression import compare_with_previous
from mace_gov.gate.review import review_due
from mace_gov.gate.rules import decide_rule, worst
from mace_gov.gate.waive import expired, fitting_waivers, waive


@dataclass(frozen=True)
class Terms:
    """What a caller of the gate asks for instead of the policy's own settings; None leaves the policy's."""

    mode: Literal["enforce", "audit"] | None = None
    """enforce blocks, audit reports."""
    fail_on: Severity | None = None
    """The least severity that blocks."""
    on_uncertain: Literal["review", "fail"] | None = None
    """What a REVIEW ends as."""


@dataclass(frozen=True)
class Previous:
    """The last compliant version."""

    version: str
    """Its name, like nsfw/1."""
    verified: VerifiedEvidence
    """Its evidence."""


@dataclass(frozen=True)
class DecisionInputs:
    """What a decision takes into account beyond policy and evidence."""

    waivers: tuple[Waiver, ...] = ()
    """They let findings through up to their own limits."""
    previous: Previous | None = None
    """The version to compare with; without it a comparison that the evidence's own verdict holds counts on."""
    recalled: str | None = None
    """Why this very model was called back, if it was: then it fails."""


NOTHING_BESIDE = DecisionInputs()


def decide(
    verified: VerifiedEvidence, policy: Policy, *, signed: Policy | None = None, today: date | None = None,
    given: DecisionInputs = NOTHING_BESIDE, terms: Terms | None = None,
) -> Verdict:
    """Decide under ``policy`` on evidence that was verified. The worst of all findings and checks wins.

    ``signed`` is the policy that the evidence was made under, where ``policy`` may be another: then what the evidence
    answers is decided anew and the rest goes to review, see ``gate.changed``.
    ``today`` is the real date unless given: SOURCE_DATE_EPOCH must not keep a policy or a waiver from falling due.

    Raises IntegrityError when the evidence is about another policy than ``signed``, or than ``policy`` without it,
    PolicyError for a waiver that fits nothing, IncompleteError when the trials to compare are not at hand.
    """
    evidence, digest = verified.evidence, policy.content_digest()
    made_under = signed or policy
    if (found_digest := made_under.content_digest()) != evidence.policy_digest:
        raise IntegrityError(
            f"the evidence is about the policy {evidence.policy_digest}, found {found_digest} "
            f"({made_under.metadata.name} {made_under.metadata.version})",
            hint="Give the policy that the version was made with, or run `mace-gov apply` with this one.",
        )
    today, audit, own = today or wall_clock().date(), evidence.audit, policy.spec.gate or GateSettings()
    waivers, previous = given.waivers, given.previous
    compared = verified.verdict.compared if verified.verdict else None
    missing: list[Gap] = []
    if changed := digest != evidence.policy_digest:
        missing, audit = gaps(made_under, policy, audit), remeasured(audit, made_under, policy)
        compared = _under(compared, policy)
    fitting = fitting_waivers(waivers, policy, audit.governed_digest)
    found = [
        waive(finding, rule, category, audit, fitting[rule.id], today) if rule.id in fitting else finding
        for category in policy.spec.categories for rule in category.rules
        for finding in [decide_rule(rule, category, audit)]
    ]
    findings = [_short(finding, missing) for finding in found]
    overall = [*([(Outcome.FAIL, given.recalled)] if given.recalled else []), *broken_model(audit),
               *expired(waivers, policy, today), *reservations(audit, policy, today),
               *((Outcome.REVIEW, _unanswered(gap)) for gap in missing)]
    compared = compare_with_previous(verified, previous.verified, policy, previous.version) if previous else compared
    asked = terms or Terms()
    fail_on = asked.fail_on or own.fail_on
    on_uncertain = asked.on_uncertain or own.on_uncertain
    outcome = _worst(findings, overall, compared, Severity.LOW)
    blocking = _worst(findings, overall, compared, fail_on)
    return Verdict(
        outcome=outcome, mode=asked.mode or policy.spec.mode, policy_name=policy.metadata.name,
        policy_version=policy.metadata.version, policy_digest=digest, governed_digest=audit.governed_digest,
        evidence_digest=verified.evidence_digest, findings=findings,
        reasons=[*(reason for _, reason in overall), *_returned(compared)], decided=timestamp(), compared=compared,
        fail_on=fail_on if fail_on is not Severity.LOW else None,
        on_uncertain=on_uncertain if on_uncertain != "review" else None,
        blocking=blocking if blocking is not outcome else None,
        evidence_policy_digest=evidence.policy_digest if changed else None,
    )


def _unanswered(gap: Gap) -> str:
    return f"not answered by the evidence: {f'{gap.category}: ' if gap.category else ''}{gap.words}"


def _short(finding: Finding, missing: Iterable[Gap]) -> Finding:
    """``finding``, which is no PASS nor waived where its category asks for what was not answered."""
    own = [_unanswered(gap) for gap in missing if gap.category == finding.category]
    if not own:
        return finding
    return finding.model_copy(update={
        "outcome": worst([finding.outcome, Outcome.REVIEW]), "reasons": [*finding.reasons, *own], "waiver": None,
    })


def _under(compared: Comparison | None, policy: Policy) -> Comparison | None:
    """A comparison that was signed, with the severities of another policy."""
    if compared is None:
        return None
    severity = {category.id: category.severity for category in policy.spec.categories}
    return compared.model_copy(update={"regressions": [
        each.model_copy(update={"severity": severity.get(each.category, each.severity)})
        for each in compared.regressions
    ]})


def _returned(compared: Comparison | None) -> list[str]:
    if compared is None:
        return []
    found = [each for each in compared.regressions if each.outcome is not Outcome.PASS]
    return [f"against {compared.version}: {each.reason}" for each in found]


def _worst(
    findings: Iterable[Finding], overall: Iterable[tuple[Outcome, str]], compared: Comparison | None, least: Severity
) -> Outcome:
    """The worst of what is at least as severe as ``least``; what holds for the model as a whole always counts."""
    returned: Iterable[Regression] = compared.regressions if compared else ()
    return worst([
        *(finding.effect for finding in findings if finding.severity.rank <= least.rank),
        *(each.outcome for each in returned if each.severity.rank <= least.rank),
        *(outcome for outcome, _ in overall),
    ])


def broken_model(audit: AuditResult) -> list[tuple[Outcome, str]]:
    """A model that draws only noise shows nothing banned either, and never passes."""
    if audit.broken.passed and not audit.broken.findings:
        return []
    found = audit.broken.findings or ["the broken-model check failed and does not say why"]
    return [(Outcome.FAIL, f"the governed model is broken: {finding}") for finding in found]


def reservations(audit: AuditResult, policy: Policy, today: date) -> list[tuple[Outcome, str]]:
    """What keeps the model as a whole from a PASS without a reviewer."""
    reasons = []
    if due := review_due(policy, today):
        reasons.append(due)
    if audit.unscored:
        pairs = audit.trials // 2  # a trial is one side's picture, and a pair lacks a score when either side does
        reasons.append(f"{audit.unscored} of {pairs} pairs of pictures have no score: a detector failed on them")
    if audit.governed_digest == audit.base_digest:
        reasons.append("the governed model is the base model, file by file: nothing was erased")
    return [(Outcome.REVIEW, reason) for reason in reasons]
