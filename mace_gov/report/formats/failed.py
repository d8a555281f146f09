"""Each format when nothing was decided: an error in its tool's own terms, and nothing that passes for a PASS."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET

from mace_gov.core.digest import sha256_bytes
from mace_gov.documents.failure import Failure
from mace_gov.report.formats.junit import to_xml, xml_text
from mace_gov.report.formats.lines import command, lines
from mace_gov.report.formats.rows import Places, one_line
from mace_gov.report.formats.sarif import location, log
from mace_gov.report.formats.summary import escape, fitted
from mace_gov.report.formats.table import HEAD, inert

RULE = "GATE"
TITLE = "nothing was decided"


def document(failure: Failure, _: Places) -> str:
    """The failure itself, in canonical form."""
    return failure.canonical().decode("utf-8")


def markdown(failure: Failure, _: Places) -> str:
    """A heading, a hint and the error."""
    told = [f"## No verdict: {TITLE} (exit {failure.exit_code})", "",
            *([escape(failure.hint), ""] if failure.hint else []),
            *(f"- {escape(line)}" for line in failure.error.splitlines())]
    return fitted("\n".join(told) + "\n")


def junit(failure: Failure, places: Places) -> str:
    """A suite of one case that ended in an error."""
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0"}
    root = ET.Element("testsuites", {"name": "mace-gov gate", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": xml_text(failure.policy_name), **counts})
    case = ET.SubElement(suite, "testcase", {
        "classname": "gate", "name": TITLE, "time": "0", "file": places.file, "line": "1",
    })
    error = ET.SubElement(case, "error", {
        "message": xml_text(one_line(failure.error)), "type": f"exit {failure.exit_code}",
    })
    error.text = xml_text(f"{failure.error}\n{failure.hint}")
    return to_xml(root)


def sarif(failure: Failure, places: Places) -> str:
    """A log with one result: without any, it would close what the one before had found."""
    text = f"{TITLE} (exit {failure.exit_code}): {one_line(failure.error)}"
    rule = {"id": RULE, "shortDescription": {"text": "The gate could decide."},
            "defaultConfiguration": {"level": "error"}}
    # A log without results would close what the one before had found.
    result = {
        "ruleId": RULE, "ruleIndex": 0, "level": "error", "message": {"text": text},
        "locations": [location(places, RULE)],
        "partialFingerprints": {"maceGovRule/v1": sha256_bytes(f"{failure.policy_name}\n{RULE}".encode())},
    }
    invocation = {
        "executionSuccessful": False, "exitCode": failure.exit_code,
        "toolExecutionNotifications": [{"level": "error", "message": {"text": text}}],
    }
    return log(failure.policy_name, rules=[rule], results=[result], invocation=invocation)


def workflow_commands(failure: Failure, places: Places) -> str:
    """One command at the policy."""
    return command("error", places, RULE, f"mace-gov gate: {TITLE}", failure.error)


def table(failure: Failure, places: Places) -> str:
    """The head and one line."""
    cells = {"policy": failure.policy_name, "rule": RULE, "file": places.file, "line": 1, "outcome": "ERROR",
             "weight": "blocks", "reasons": one_line(failure.error)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerow([inert(cells.get(name, "")) for name in HEAD])
    return out.getvalue()


def outputs(failure: Failure, _: Places) -> str:
    """No verdict, and why."""
    return lines("", failure.error)
