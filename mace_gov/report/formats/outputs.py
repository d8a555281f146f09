"""NAME=VALUE lines, as $GITHUB_OUTPUT and dotenv files take them."""

from __future__ import annotations

from mace_gov.documents.report import Report
from mace_gov.report.formats.rows import Places, Weight, one_line, rows

LONGEST = 4000
"""Letters of the reasons."""


def outputs(report: Report, _: Places) -> str:
    """The verdict, and in one line what blocks."""
    blocking = [f"{row.rule} {row.outcome}: {row.message}" for row in rows(report) if row.weight is Weight.BLOCKS]
    return lines(str(report.standing), "; ".join(blocking))


def lines(verdict: str, reasons: str) -> str:
    """Both outputs; a value never begins another line."""
    return f"verdict={verdict}\nreasons={one_line(reasons)[:LONGEST]}\n"
