"""report.json itself, and what CI reads line by line: GitHub's workflow commands, NAME=VALUE for $GITHUB_OUTPUT."""

from __future__ import annotations

from mace_gov.documents.report import Report
from mace_gov.report.formats.rows import Places, Weight, one_line, rows

LEVELS = {Weight.BLOCKS: "error", Weight.REPORTED: "warning", Weight.WAIVED: "notice"}
"""What a line is shown as; what is met is not shown."""


def workflow_commands(report: Report, places: Places) -> str:
    """One command a line."""
    return "".join(
        command(level, places, row.rule, f"{row.rule} {row.outcome}", f"{row.title}: {row.message}")
        for row in rows(report) if (level := LEVELS.get(row.weight))
    )


def command(level: str, places: Places, rule: str, title: str, text: str) -> str:
    """One command at a rule's line."""
    line, column = places.of(rule)
    fields = {"file": places.file, "line": line, "col": column, "title": title}
    named = ",".join(f"{name}={_field(str(value))}" for name, value in fields.items())
    return f"::{level} {named}::{_data(text)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _field(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


LONGEST = 4000
"""Letters of the reasons."""


def outputs(report: Report, _: Places) -> str:
    """The verdict, and in one line what blocks."""
    blocking = [f"{row.rule} {row.outcome}: {row.message}" for row in rows(report) if row.weight is Weight.BLOCKS]
    return lines(str(report.standing), "; ".join(blocking))


def lines(verdict: str, reasons: str) -> str:
    """Both outputs; a value never begins another line."""
    return f"verdict={verdict}\nreasons={one_line(reasons)[:LONGEST]}\n"


def document(report: Report, places: Places) -> str:
    """The report itself, in canonical form."""
    return report.canonical().decode("utf-8")
