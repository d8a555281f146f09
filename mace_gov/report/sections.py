"""The page's rows: documents joined so that a template only has to write them down. Pure; everything comes from the
``Report``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mace_gov.documents.audit import Measurement, PowerCheck
from mace_gov.documents.method_info import method_info
from mace_gov.documents.plan import Target
from mace_gov.documents.policy import Category, Concept
from mace_gov.documents.report import Report
from mace_gov.documents.sampling import has_words
from mace_gov.documents.terms import Metric, Severity, Suite
from mace_gov.documents.verdict import Finding, Outcome
from mace_gov.report.words import MEASURES, STANDING_LIMITATIONS, measured

UNFOLDED = 40
"""Rows of a table of concepts that stand open; a longer one is folded, and printed whole."""


@dataclass(frozen=True)
class RuleRow:
    """One rule, with what was measured for it beyond the finding."""

    finding: Finding
    """The gate's decision."""
    measurement: Measurement | None
    """What the decision rests on: the paired test and unscored trials."""


@dataclass(frozen=True)
class ConceptRow:
    """One concept (or, with ``concept`` None, the whole category) in one probe suite."""

    category: Category
    """Its category."""
    concept: Concept | None
    """The concept."""
    suite: Suite
    """Probe suite."""
    measurement: Measurement | None
    """Absent when it was not measured."""


@dataclass(frozen=True)
class Collateral:
    """What else the erasure touched, for one category and suite."""

    total: Measurement
    """The whole suite."""
    lost: list[Measurement]
    """Phrases that the governed model draws less often than the base did, the worst first."""
    phrases: int
    """Phrases measured one by one."""


@dataclass(frozen=True)
class Step:
    """One link of the lineage."""

    what: str
    """What it is."""
    name: str
    """Its name."""
    digest: str | None
    """Its digest, where it has one."""
    note: str
    """What else is known."""


def rule_rows(report: Report) -> list[RuleRow]:
    """Rules in the verdict's order."""
    by_rule = {m.rule: m for m in report.evidence.audit.measurements if m.rule is not None}
    return [RuleRow(finding, by_rule.get(finding.rule)) for finding in report.verdict.findings]


def planned_anchor(report: Report, concept: str) -> str:
    """The anchor that the plan chose for a concept without one."""
    return next((target.anchor for target in report.evidence.plan.targets if target.id == concept), "")


def by_outcome(report: Report) -> list[tuple[Outcome, list[str]]]:
    """Rule ids by outcome, in the order FAIL, REVIEW, PASS; outcomes without a rule are left out."""
    rules = {outcome: [f.rule for f in report.verdict.findings if f.outcome is outcome] for outcome in Outcome}
    return [(outcome, rules[outcome]) for outcome in (Outcome.FAIL, Outcome.REVIEW, Outcome.PASS) if rules[outcome]]


def measures(report: Report) -> list[tuple[str, float]]:
    """Summary measures, the known ones first and in the literature's order."""
    order = list(MEASURES)
    found = report.evidence.audit.measures.items()
    return sorted(found, key=lambda item: (order.index(item[0]) if item[0] in order else len(order), item[0]))


def _find(measurements: Iterable[Measurement], category: str, suite: Suite, concept: str | None) -> Measurement | None:
    """The suite's own measurement; where there is none, a rule's."""
    found = [
        m for m in measurements
        if (m.category, m.suite, m.concept, m.metric) == (category, suite, concept, Metric.PRESENCE)
    ]
    return min(found, key=lambda m: m.rule is not None, default=None)


def concept_rows(report: Report) -> list[tuple[Category, list[ConceptRow]]]:
    """By category: the category as a whole, then each concept, by suite."""
    measurements = report.evidence.audit.measurements
    groups = []
    for category in report.policy.spec.categories:
        rows = []
        for concept in (None, *category.concepts):
            for suite in (suite for suite in Suite if suite.banned):
                found = _find(measurements, category.id, suite, concept.id if concept else None)
                asked = concept is not None and suite.info.standing and has_words(concept, suite)
                if found or asked:
                    rows.append(ConceptRow(category, concept, suite, found))
        groups.append((category, rows))
    return groups


def _is_lost(m: Measurement) -> bool:
    if not (measured(m.base) and measured(m.governed)):
        return False
    return m.governed.value < (1.0 if m.metric is Metric.RETENTION else m.base.value)


def collateral(report: Report) -> list[Collateral]:
    """Suites of what must survive, by category, with the phrases that suffered most.

    A rule's measurement comes at the rule's confidence; the suite's own is shown where no rule asked.
    """
    measurements = report.evidence.audit.measurements
    totals = [m for m in measurements if not m.suite.banned and m.concept is None]
    ruled = {(m.category, m.suite, m.metric) for m in totals if m.rule is not None}
    found = []
    for total in totals:
        if total.rule is None and (total.category, total.suite, total.metric) in ruled:
            continue
        single = [
            m for m in measurements
            if m.concept is not None and (m.category, m.suite, m.metric) == (total.category, total.suite, total.metric)
        ]
        lost = sorted((m for m in single if _is_lost(m)), key=lambda m: (m.governed.value, m.concept))
        found.append(Collateral(total, lost, len(single)))
    return found


def corrected_rates(report: Report) -> list[Measurement]:
    """Measurements of rules that could be corrected for detector errors."""
    return [m for m in report.evidence.audit.measurements if m.rule is not None and m.corrected is not None]


def done(report: Report) -> str:
    """What the erasure did to the base."""
    record, info = report.evidence.erasure, method_info(report.evidence.plan.method)
    does = info.does
    if info.trains == "loras":
        loras = len(record.loras) if record else 0
        does = f"{does}, {loras} LoRA{'s' if loras > 1 else ''}, fusion" if loras else f"{does} alone"
    return f"{does}, with a guard in the U-Net" if record and record.guard else does


def limitations(report: Report) -> list[str]:
    """What the audit names, then what every report must say and the audit did not."""
    named = report.evidence.audit.limitations
    undone = method_info(report.evidence.plan.method).undone if report.evidence.erasure else ""
    standing = (text for mark, text in STANDING_LIMITATIONS.items() if not any(mark in said for said in named))
    return [*([undone] if undone else []), *named, *standing]


def power_word(check: PowerCheck) -> str:
    """What a power check means for an absence."""
    if check.passed:
        return "sufficient"
    if check.concept is not None:
        return "the base hardly draws it: its absence proves nothing"
    return "too little: absence proves nothing" if check.detector == "any" else "too little by itself"


def has_critical(report: Report) -> bool:
    """Whether a second reviewer is wanted."""
    return any(category.severity is Severity.CRITICAL for category in report.policy.spec.categories)


def lineage(report: Report) -> list[Step]:
    """From the base to the sign-offs."""
    evidence, verdict, place = report.evidence, report.verdict, report.evidence.lineage
    base, record = evidence.plan.base, evidence.erasure
    revision = f", revision {base.revision}" if base.revision else ""
    steps = [
        Step("Base model", base.ref, base.digest,
             base.pipeline + revision + (f"; logged model {place.base_model_id}" if place else "")),
        Step("Policy", f"{verdict.policy_name} {verdict.policy_version}", verdict.policy_digest,
             f"owner {report.policy.metadata.owner}, review by {report.policy.metadata.review_by.isoformat()}"),
    ]
    if record:
        steps.append(Step("Erasure delta", done(report), record.delta_digest,
                          f"plan {record.plan_digest[:12]}" + (f"; run {place.erase_run_id}" if place else "")))
    steps += [
        Step("Governed model", report.version or "made elsewhere", evidence.audit.governed_digest,
             f"logged model {place.governed_model_id}, registry version {place.mlflow_version}" if place else ""),
        Step("Audit", f"{evidence.audit.trials:,} pictures judged, both models", evidence.audit.content_digest(),
             f"run {place.audit_run_id}" if place else ""),
        Step("Evidence, signed", evidence.created, verdict.evidence_digest, f"key {report.keyid[:12]}"),
        Step("Verdict, signed", f"{verdict.outcome.value} ({verdict.mode} mode)", verdict.content_digest(),
             f"decided {verdict.decided}"),
        *(Step("Sign-off, signed", said.decision.value, said.content_digest(),
               f"{said.signed} by {said.reviewer} ({said.role})") for said in report.sign_offs),
    ]
    return steps


def digests(report: Report) -> list[tuple[str, str]]:
    """Every digest that identifies something, in full."""
    evidence, verdict = report.evidence, report.verdict
    rows = [
        ("Governed model (folder digest)", verdict.governed_digest),
        ("Base model (folder digest)", evidence.plan.base.digest),
        ("Policy (canonical form)", verdict.policy_digest),
        ("Policy file, byte by byte", evidence.policy_file_digest),
        ("Plan (canonical form)", evidence.plan.content_digest()),
        ("Evidence envelope file", verdict.evidence_digest),
        ("Verdict (canonical form)", verdict.content_digest()),
        ("Signing key (SHA-256 of the public key, DER)", report.keyid),
    ]
    if record := evidence.erasure:
        rows.append(("Erasure delta file", record.delta_digest))
        rows += [(f"LoRA {lora.concept}: {lora.file}", lora.digest) for lora in record.loras]
        rows += [(f"Governed model: {name}", digest) for name, digest in sorted(record.governed_files.items())]
    rows += [
        (f"Detector {card.name} {card.version}: weights", card.weights_digest)
        for card in evidence.audit.detectors if card.weights_digest
    ]
    return rows


def thresholds(report: Report) -> dict[str, float]:
    """Score from which each detector calls a concept present."""
    return {card.name: card.threshold for card in report.evidence.audit.detectors}


def targets(report: Report) -> dict[str, Target]:
    """Planned targets by concept id."""
    return {target.id: target for target in report.evidence.plan.targets}
