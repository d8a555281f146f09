"""report.json itself."""

from __future__ import annotations

from mace_gov.documents.report import Report
from mace_gov.report.formats.rows import Places


def document(report: Report, places: Places) -> str:
    """The report itself, in canonical form."""
    return report.canonical().decode("utf-8")
