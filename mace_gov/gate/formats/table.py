"""CSV: a line for each rule, numbers in full."""

from __future__ import annotations

import csv
import io
import unicodedata

from mace_gov.documents.rate import Estimate
from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Finding
from mace_gov.gate.formats.rows import Places, Row, one_line, rows

ESTIMATE = ("hits", "n", "clusters", "value", "low", "high", "confidence")
HEAD = (
    "policy", "policy_version", "version", "model", "rule", "file", "line", "category", "severity", "suite", "metric",
    "limit", *(f"base_{name}" for name in ESTIMATE), *ESTIMATE, "outcome", "weight", "waiver",
    "waived_until", "reasons",
)


def table(report: Report, places: Places) -> str:
    """The table with a heading."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for row in rows(report):
        if row.finding is not None:
            writer.writerow([inert(cell) for cell in _cells(report, row, row.finding, places)])
    return out.getvalue()


def _cells(report: Report, row: Row, finding: Finding, places: Places) -> list[object]:
    verdict, waiver = report.verdict, finding.waiver
    return [
        verdict.policy_name, verdict.policy_version, report.version or "", verdict.governed_digest, row.rule,
        places.file, places.of(row.rule)[0], row.about, row.severity, finding.suite, finding.metric, finding.limit,
        *_figures(finding.base), *_figures(finding.estimate), row.outcome, row.weight, waiver.id if waiver else "",
        waiver.expires_at if waiver else "", row.message,
    ]


def _figures(estimate: Estimate | None) -> list[object]:
    return [getattr(estimate, name) if estimate is not None else "" for name in ESTIMATE]


def inert(cell: object) -> object:
    """A text in one line; one that a spreadsheet would take for a formula, with a quotation mark before it."""
    if not isinstance(cell, str):
        return cell
    plain = one_line(cell)
    # Some programs take the wide forms for the plain ones, and skip blanks before either.
    return f"'{plain}" if unicodedata.normalize("NFKC", plain).lstrip().startswith(("=", "+", "-", "@")) else plain
