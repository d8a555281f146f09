"""The report in other tools' formats: what writes each, and what writes that nothing was decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FormatInfo:
    """A format of ``--output FORMAT=FILE``. Both are ``module:attr`` of a function from a document and its places."""

    report: str
    """Writes a report: ``(Report, Places) -> str``."""
    failure: str
    """Writes that nothing was decided: ``(Failure, Places) -> str``."""


def _of(module: str, report: str, failure: str) -> FormatInfo:
    package = "mace_gov.report.formats"
    return FormatInfo(f"{package}.{module}:{report}", f"{package}.failed:{failure}")


FORMATS: dict[str, FormatInfo] = {
    "json": _of("lines", "document", "document"),
    "markdown": _of("summary", "markdown", "markdown"),
    "junit": _of("junit", "junit", "junit"),
    "sarif": _of("sarif", "sarif", "sarif"),
    "annotations": _of("lines", "workflow_commands", "workflow_commands"),
    "csv": _of("table", "table", "table"),
    "outputs": _of("lines", "outputs", "outputs"),
}
"""Every format by its name, in the order of the help: a new one is a row here, a module, and a function in failed."""
