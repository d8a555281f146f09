"""SARIF 2.1.0 (OASIS): a finding is a result at the rule's line in the policy, a waiver is a suppression."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.environment import version_of
from mace_gov.documents.report import Report
from mace_gov.documents.terms import Severity
from mace_gov.documents.verdict import AppliedWaiver
from mace_gov.gate.formats.rows import MODEL, REGRESSION, Places, Row, Weight, rows

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
LEVELS = {Weight.BLOCKS: "error", Weight.REPORTED: "warning", Weight.WAIVED: "note"}
SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.5"}
"""Within the bands of GitHub's security-severity."""
OTHERS = {
    MODEL: "What holds for the model as a whole: is it still a model, is anything unscored, is a date past?",
    REGRESSION: "Nothing that was banned in the last compliant version comes back, on the same prompts and seeds.",
}


def sarif(report: Report, places: Places) -> str:
    """The log of one run; a rule that is met has no result."""
    told, verdict = rows(report), report.verdict
    rules = {row.rule: _rule(row) for row in told}
    index = {rule: i for i, rule in enumerate(rules)}
    properties = {
        "verdict": str(report.standing), "mode": verdict.mode, "modelDigest": verdict.governed_digest,
        "policyDigest": verdict.policy_digest, "evidenceDigest": verdict.evidence_digest,
    }
    if verdict.evidence_policy_digest:
        properties["evidencePolicyDigest"] = verdict.evidence_policy_digest
    return log(
        verdict.policy_name, rules=list(rules.values()), properties=properties,
        results=[_result(row, index[row.rule], report, places) for row in told if row.weight is not Weight.MET],
        invocation={"executionSuccessful": True, "exitCode": report.exit_code,
                    "endTimeUtc": verdict.decided},
    )


def log(
    policy: str, *, rules: list[dict[str, Any]], results: list[dict[str, Any]], invocation: dict[str, Any],
    properties: dict[str, Any] | None = None,
) -> str:
    """A log of one run of the gate under the policy of that name."""
    driver: dict[str, Any] = {"name": "mace-gov", "rules": rules}
    if version := version_of("mace-gov"):
        driver["version"] = version
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"mace-gov/{policy}/"},
        "columnKind": "unicodeCodePoints",
        # Without a uri: where the repository lies on this disk is nobody's business.
        "originalUriBaseIds": {ROOT: {"description": {"text": "The repository's root."}}},
        "invocations": [invocation],
        "results": results,
        **({"properties": properties} if properties else {}),
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def location(places: Places, rule: str) -> dict[str, Any]:
    """A rule's line in the policy."""
    line, column = places.of(rule)
    return {"physicalLocation": {
        "artifactLocation": {"uri": quote(places.file), "uriBaseId": ROOT},
        "region": {"startLine": line, "startColumn": column},
    }}


def _rule(row: Row) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": row.rule,
        "shortDescription": {"text": OTHERS.get(row.rule, row.title)},
        "defaultConfiguration": {"level": "error"},
    }
    if row.finding is not None and row.severity is not None:
        rule["properties"] = {
            "security-severity": SCORES[row.severity], "severity": str(row.severity), "category": row.about,
            "tags": ["content-safety"],
        }
    return rule


def _result(row: Row, index: int, report: Report, places: Places) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": row.rule,
        "ruleIndex": index,
        "level": LEVELS[row.weight],
        "message": {"text": f"{row.outcome}: {row.title}. {row.message}"},
        "locations": [location(places, row.rule)],
        # The same finding of the next version is the same finding: neither model nor figures go in.
        "partialFingerprints": {"maceGovRule/v1": _fingerprint(report, row)},
        "properties": {"outcome": str(row.outcome), "weight": str(row.weight)},
    }
    if row.finding is not None and row.finding.estimate is not None:
        result["properties"]["estimate"] = row.finding.estimate.to_json()
    if row.finding is not None and row.finding.waiver is not None:
        result["suppressions"] = [_suppression(row.finding.waiver)]
    return result


def _fingerprint(report: Report, row: Row) -> str:
    return sha256_bytes("\n".join((report.verdict.policy_name, row.rule, row.about, row.key)).encode("utf-8"))


def _suppression(waiver: AppliedWaiver) -> dict[str, Any]:
    return {
        "kind": "external",
        "status": "accepted",
        "justification": f"{waiver.id}, until {waiver.expires_at}, allowed by {waiver.approver}: {waiver.reason}",
        "properties": {"digest": waiver.digest, "expiresAt": waiver.expires_at.isoformat()},
    }
