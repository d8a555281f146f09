"""Markdown for a job's summary page."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Finding
from mace_gov.documents.wording import interval, observed
from mace_gov.report.formats.rows import Places, Row, Weight, one_line, rows

LIMIT = 1024 * 1024
"""Bytes that GitHub takes for one step's summary."""
CUT = "\n\nCut here: the summary is longer than a job summary may be. The report has all of it.\n"


def markdown(report: Report, places: Places) -> str:
    """Verdict, every rule with its figures, what else holds, and how to verify it."""
    return fitted("\n".join(_lines(report, places)) + "\n")


def fitted(text: str) -> str:
    """``text``, cut at a line's end where it is longer than a job's summary may be."""
    if len(text.encode("utf-8")) <= LIMIT:
        return text
    kept = text.encode("utf-8")[: LIMIT - len(CUT.encode("utf-8"))].decode("utf-8", "ignore")
    return kept[: kept.rindex("\n")] + CUT


def _lines(report: Report, places: Places) -> Iterator[str]:
    verdict = report.verdict
    yield f"## {report.headline}: {escape(report.title)}"
    yield ""
    if report.release and report.release.reasons:
        yield from (f"- {escape(reason)}" for reason in report.release.reasons)
        yield ""
    yield _effect(report)
    yield ""
    yield "| rule | severity | requirement | before | after | interval | outcome |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    told = rows(report)
    yield from (_table_line(row, row.finding, places) for row in told if row.finding is not None)
    for row in told:
        if row.weight is not Weight.MET:
            yield ""
            yield f"**{row.rule}** {row.outcome}, {row.weight}: {escape(row.title)}"
            yield ""
            yield from (f"- {escape(reason)}" for reason in row.reasons)
    yield ""
    if verdict.evidence_policy_digest:
        yield f"Decided anew: the evidence was made under another policy, `{verdict.evidence_policy_digest}`."
        yield ""
    yield f"Policy `{verdict.policy_digest}`, model `{verdict.governed_digest}`, evidence `{verdict.evidence_digest}`."
    yield ""
    yield "A passed policy says what was measured on the prompts that were tried; it is no promise about all prompts."


def _table_line(row: Row, finding: Finding, places: Places) -> str:
    outcome = f"{row.outcome} ({row.weight})" if row.weight in (Weight.WAIVED, Weight.REPORTED) else str(row.outcome)
    cells = (
        f"{row.rule}<br>{places.file}:{places.of(row.rule)[0]}", str(row.severity), f"{row.title}",
        observed(finding.base), observed(finding.estimate), interval(finding.estimate), outcome,
    )
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def _effect(report: Report) -> str:
    verdict, code = report.verdict, report.exit_code
    if verdict.mode == "audit" and code == 0:
        does = "reports and never blocks (audit mode)"
    else:
        does = f"{'lets it through' if code == 0 else 'holds it back'} (exit {code})"
    policy = f"{escape(verdict.policy_name)} {escape(verdict.policy_version)}"
    return f"The gate {does}. {verdict.outcome} under the policy {policy}."


def escape(text: str) -> str:
    """``text`` as Markdown shows it: no markup, no table cell and no HTML of its own, but for a line break of ours."""
    plain = one_line(text)
    for letter in "\\`*_[]|#":
        plain = plain.replace(letter, f"\\{letter}")
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("&lt;br&gt;", "<br>")
