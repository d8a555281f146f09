"""GitHub's workflow commands: a finding beside the policy's line in the pull request."""

from __future__ import annotations

from mace_gov.documents.report import Report
from mace_gov.gate.formats.rows import Places, Weight, rows

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
