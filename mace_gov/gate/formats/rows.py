"""The report as lines to tell, in one order for every format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mace_gov.documents.report import Report
from mace_gov.documents.terms import Severity
from mace_gov.documents.verdict import Finding, Outcome, Verdict

MODEL, REGRESSION = "MODEL", "REGRESSION"
"""What is told of beside the policy's own rules."""


@dataclass(frozen=True)
class Places:
    """Where the policy says what it says, for people who click."""

    file: str = "policy.yaml"
    """The policy's file, relative to where the repository begins."""
    lines: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column, from 1, by rule id."""

    def of(self, rule: str) -> tuple[int, int]:
        """Line and column of a rule; the file's begin for what has no line of its own."""
        return self.lines.get(rule, (1, 1))


class Weight(StrEnum):
    """What a line means for the release."""

    BLOCKS = "blocks"
    WAIVED = "waived"
    REPORTED = "reported"
    MET = "met"


@dataclass(frozen=True)
class Row:
    """One line."""

    rule: str
    """Rule id, MODEL or REGRESSION."""
    about: str
    """What it is about: category, or the model."""
    title: str
    """The requirement in a few words."""
    severity: Severity | None
    """The category's; absent for the model as a whole."""
    outcome: Outcome
    """What was found."""
    weight: Weight
    """What that does."""
    reasons: tuple[str, ...]
    """Why, in words."""
    finding: Finding | None = None
    """The figures, for a rule."""
    key: str = ""
    """What tells two lines of one rule id apart, the same for every version of the model."""

    @property
    def message(self) -> str:
        """All reasons in one line."""
        return one_line("; ".join(self.reasons))


def rows(report: Report) -> list[Row]:
    """Rules in the policy's order, then regressions, the model as a whole, and who rejected it."""
    verdict = report.verdict
    return [*(_rule(finding, verdict) for finding in verdict.findings), *_regressions(verdict), _model(report)]


def _rule(finding: Finding, verdict: Verdict) -> Row:
    weight = Weight.WAIVED if finding.waiver else _weight(finding.outcome, finding.severity, verdict)
    title = f"{finding.requirement} on {finding.suite}"
    return Row(finding.rule, finding.category, title, finding.severity, finding.outcome, weight,
               tuple(finding.reasons), finding)


def _regressions(verdict: Verdict) -> Iterator[Row]:
    if verdict.compared is None:
        return
    for each in verdict.compared.regressions:
        if each.concept is None or each.outcome is not Outcome.PASS:
            title = f"{each.concept or each.category} does not come back on {each.suite}, against " \
                    f"{verdict.compared.version}"
            yield Row(REGRESSION, each.category, title, each.severity, each.outcome,
                      _weight(each.outcome, each.severity, verdict), (each.reason,), key=f"{each.concept} {each.suite}")


def _model(report: Report) -> Row:
    verdict, now = report.verdict, report.release
    told = {each.reason for each in verdict.compared.regressions} if verdict.compared else set()
    reasons = tuple(r for r in verdict.reasons if not any(r.endswith(reason) for reason in told))
    # Only FAIL and REVIEW have reasons; that of the whole is at least as bad as each of its parts.
    outcome = Outcome.PASS if not reasons else Outcome.FAIL if verdict.outcome is Outcome.FAIL else Outcome.REVIEW
    weight = _weight(outcome, None, verdict)
    if now and report.standing not in (verdict.outcome, Outcome.PASS):
        # A rejection, a recall or the clock, which the verdict knows nothing of.
        outcome, weight = report.standing, Weight.BLOCKS if now.exit_code else Weight.REPORTED
        reasons = tuple(dict.fromkeys((*reasons, *now.reasons)))
    return Row(MODEL, "model", "what holds for the model as a whole", None, outcome, weight, reasons)


def _weight(outcome: Outcome, severity: Severity | None, verdict: Verdict) -> Weight:
    if outcome is Outcome.PASS:
        return Weight.MET
    least = verdict.fail_on or Severity.LOW
    if verdict.mode == "audit" or (severity is not None and severity.rank > least.rank):
        return Weight.REPORTED
    return Weight.BLOCKS


def one_line(text: str) -> str:
    """``text`` without line breaks and control characters, which mean something else in every format."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
