"""JUnit XML, as Jenkins, GitLab and most others read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Outcome
from mace_gov.report.formats.rows import Places, Row, Weight, rows


def junit(report: Report, places: Places) -> str:
    """The policy is the suite, the category the class, a rule and its probe suite the case.

    FAIL is a failure and REVIEW an error; what is waived or only reported is skipped, with its reason.
    """
    verdict, told = report.verdict, rows(report)
    kinds = Counter(_kind(row) for row in told)
    counts = {
        "tests": str(len(told)), "failures": str(kinds["failure"]), "errors": str(kinds["error"]),
        "skipped": str(kinds["skipped"]), "time": "0",
    }
    root = ET.Element("testsuites", {"name": "mace-gov gate", **counts})
    suite = ET.SubElement(root, "testsuite", {
        "name": xml_text(f"{verdict.policy_name} {verdict.policy_version}"),
        "timestamp": xml_text(verdict.decided[:19]),
        **counts,
    })
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("verdict", report.standing), ("mode", verdict.mode), ("version", report.version or ""),
        ("model", verdict.governed_digest), ("policy", verdict.policy_digest), ("evidence", verdict.evidence_digest),
        *([("evidence-policy", verdict.evidence_policy_digest)] if verdict.evidence_policy_digest else []),
    ):
        ET.SubElement(properties, "property", {"name": name, "value": xml_text(value)})
    for row in told:
        _case(suite, row, places)
    return to_xml(root)


def to_xml(root: ET.Element) -> str:
    """A document, indented."""
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _kind(row: Row) -> str:
    if row.weight is Weight.BLOCKS:
        return "failure" if row.outcome is Outcome.FAIL else "error"
    return "system-out" if row.weight is Weight.MET else "skipped"


def _case(suite: ET.Element, row: Row, places: Places) -> None:
    case = ET.SubElement(suite, "testcase", {
        "classname": xml_text(row.about), "name": xml_text(f"{row.rule} {row.title}"), "time": "0",
        "file": xml_text(places.file), "line": str(places.of(row.rule)[0]),
    })
    if not row.reasons:
        return
    kind, text = _kind(row), xml_text("\n".join(row.reasons))
    told = ET.SubElement(case, kind)
    if kind != "system-out":
        told.set("message", xml_text(f"{row.outcome} ({row.weight}): {row.message}"))
        if kind != "skipped":
            told.set("type", str(row.outcome))
    told.text = text


def xml_text(text: str) -> str:
    """``text`` without the characters that XML 1.0 cannot hold, or that nobody sees."""
    return "".join(char if char.isprintable() or char in "\n\t\u00a0" else "\N{REPLACEMENT CHARACTER}" for char in text)
