"""A report format: a line for each rule, separated by tabs."""

from __future__ import annotations

from mace_gov.documents.failure import Failure
from mace_gov.documents.report import Report
from mace_gov.report.formats.rows import Places, one_line, rows


def tsv(report: Report, places: Places) -> str:
    """Rule, outcome and why. ``one_line`` leaves neither line ends nor control characters."""
    return "".join("\t".join(map(one_line, (row.rule, str(row.outcome), row.message))) + "\n" for row in rows(report))


def failed(failure: Failure, places: Places) -> str:
    """One line that says that nothing was decided."""
    return f"GATE\tERROR\t{one_line(failure.error)}\n"
