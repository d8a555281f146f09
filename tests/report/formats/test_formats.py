"""Each format says what the report says, in its own tool's terms."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from mace_gov.core.errors import UsageError
from mace_gov.documents.format_info import FORMATS
from mace_gov.documents.report import Report
from mace_gov.policy.schema import schema_text
from mace_gov.report.formats import parse_outputs, write_outputs, written
from mace_gov.report.formats.rows import Places
from mace_gov.report.formats.summary import LIMIT
from tests import factories

SCHEMAS = Path(__file__).parents[2] / "schemas"
PLACES = Places("policies/nsfw.yaml", {"NSFW-001": (26, 11), "NSFW-002": (27, 11)})
HOSTILE = 'a|b `c` <img src=x onerror="y"> *d*,:%\r\n::error::e\x00 =1+1'
PROMPT = "a picture of nudity"


def _report(**verdict: object) -> Report:
    """One rule missed, one missed and waived, one uncertain; the model as a whole has a reason too."""
    waiver = {"id": "WAIVER-001", "digest": factories.hexa("waiver"), "limit": 0.2, "reason": "Mended next time.",
              "owner": "research", "approver": "jane.doe", "expires_at": date(2026, 12, 31)}
    findings = [
        factories.finding(outcome="FAIL", estimate=factories.estimate(20, 60), reasons=["20 of 60: too many"]),
        factories.finding(rule="NSFW-002", suite="synonym", severity="medium", outcome="FAIL", waiver=waiver,
                          estimate=factories.estimate(9, 60), reasons=["9 of 60", "waived until 2026-12-31"]),
        factories.finding(rule="NSFW-003", suite="unrelated", metric="retention", limit=0.9, severity="low",
                          outcome="REVIEW", estimate=None, base=None, reasons=[HOSTILE]),
    ]
    fields = {"outcome": "FAIL", "findings": findings, "reasons": ["the policy was due for review"]}
    return factories.report(verdict=factories.verdict(**{**fields, **verdict}))


def _regressed() -> Report:
    back = {"category": "explicit.nudity", "severity": "critical", "suite": "direct", "concept": "nudity",
            "prompts": 20, "returned": 6, "gone": 0, "p_value": 0.02, "outcome": "FAIL", "reason": "nudity came back"}
    compared = {"version": "nsfw/1", "governed_digest": factories.hexa("m"), "evidence_digest": factories.hexa("e"),
                "prompts": 20, "regressions": [back]}
    return _report(compared=compared, reasons=["against nsfw/1: nudity came back"])


def _sarif(report: Report) -> dict:
    return json.loads(written("sarif", report, PLACES))["runs"][0]


@pytest.mark.parametrize("report", [factories.report(), _report(), _regressed(), _report(mode="audit")])
def test_sarif_validates_against_the_official_schema(report: Report) -> None:
    schema = json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text())
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
        json.loads(written("sarif", report, PLACES))
    )


def test_sarif_places_a_finding_at_the_rule_s_line_and_a_waiver_suppresses_it() -> None:
    run = _sarif(_report())
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert set(by_rule) == {"NSFW-001", "NSFW-002", "NSFW-003", "MODEL"}
    place = by_rule["NSFW-001"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "policies/nsfw.yaml"
    assert place["region"] == {"startLine": 26, "startColumn": 11}
    assert (by_rule["NSFW-001"]["level"], by_rule["NSFW-002"]["level"]) == ("error", "note")
    [suppression] = by_rule["NSFW-002"]["suppressions"]
    assert suppression["justification"] == "WAIVER-001, until 2026-12-31, allowed by jane.doe: Mended next time."
    assert "suppressions" not in by_rule["NSFW-001"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_fingerprint_outlives_the_figures_and_tells_rules_apart() -> None:
    def prints(report: Report) -> list[str]:
        return [result["partialFingerprints"]["maceGovRule/v1"] for result in _sarif(report)["results"]]

    worse = _report().verdict.findings[0].model_copy(
        update={"estimate": factories.estimate(50, 60), "requirement": "presence at most 4 %"})
    later = _report(findings=[worse, *_report().verdict.findings[1:]], governed_digest=factories.hexa("next"))
    assert prints(_report()) == prints(later) and len(set(prints(_report()))) == 4


def test_junit_counts_what_it_holds_and_skips_what_is_waived() -> None:
    root = ET.fromstring(written("junit", _report(), PLACES))
    suite = root.find("testsuite")
    cases = {case.get("name").split()[0]: case for case in suite.iter("testcase")}
    assert suite.get("name") == "nsfw 1.0.0"
    assert cases["NSFW-001"].get("classname") == "explicit.nudity" and cases["NSFW-001"].get("line") == "26"
    assert cases["NSFW-001"].find("failure").get("type") == "FAIL"
    assert "waived until" in cases["NSFW-002"].find("skipped").get("message")
    assert cases["NSFW-003"].find("error").get("type") == "REVIEW"
    assert cases["MODEL"].find("failure") is not None
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(root.get(name)) == int(suite.get(name)) == len(list(suite.iter(tag))), name


@pytest.mark.parametrize(("verdict", "blocking"), [
    ({}, {"NSFW-001", "NSFW-003", "MODEL"}),
    ({"fail_on": "medium"}, {"NSFW-001", "MODEL"}),
    ({"mode": "audit"}, set()),
])
def test_what_does_not_block_is_no_error_anywhere(verdict: dict, blocking: set[str]) -> None:
    report = _report(**verdict)
    told = written("annotations", report, PLACES).splitlines()
    assert {re.search(r"title=(\S+)", line)[1] for line in told if line.startswith("::error ")} == blocking
    assert {r["ruleId"] for r in _sarif(report)["results"] if r["level"] == "error"} == blocking
    suite = ET.fromstring(written("junit", report, PLACES)).find("testsuite")
    assert int(suite.get("failures")) + int(suite.get("errors")) == len(blocking)


def test_annotations_are_one_command_a_line_at_the_policy_s_line() -> None:
    told = written("annotations", _report(), PLACES).splitlines()
    assert told[0] == ("::error file=policies/nsfw.yaml,line=26,col=11,title=NSFW-001 FAIL::presence at most 5 %25 "
                       "(95 %25 confidence) on direct: 20 of 60: too many")
    assert told[1].startswith("::notice ") and len(told) == 4
    assert written("annotations", factories.report(), PLACES) == ""


def test_csv_holds_every_rule_with_its_figures_in_full() -> None:
    lines = list(csv.DictReader(io.StringIO(written("csv", _report(), PLACES))))
    assert [line["rule"] for line in lines] == ["NSFW-001", "NSFW-002", "NSFW-003"]
    first, second, third = lines
    assert float(first["high"]) == factories.estimate(20, 60).high and first["line"] == "26"
    assert (second["waiver"], second["waived_until"], second["weight"]) == ("WAIVER-001", "2026-12-31", "waived")
    assert third["hits"] == "" and third["outcome"] == "REVIEW"


def test_a_cell_is_never_a_formula() -> None:
    finding = factories.finding(reasons=["=HYPERLINK(1)"])
    [line] = csv.DictReader(io.StringIO(written("csv", _report(findings=[finding]), PLACES)))
    assert line["reasons"] == "'=HYPERLINK(1)"


def test_the_summary_has_a_line_for_each_rule_and_escapes_what_it_is_given() -> None:
    text = written("markdown", _report(), PLACES)
    table = [line for line in text.splitlines() if line.startswith("| NSFW")]
    assert [line.split("<br>")[0] for line in table] == ["| NSFW-001", "| NSFW-002", "| NSFW-003"]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in table)
    assert "20 of 60" in table[0] and "holds it back (exit 1)" in text and "FAIL (waived)" in table[1]
    assert "<img" not in text and "\\`c\\`" in text
    assert "reports and never blocks" in written("markdown", _report(mode="audit"), PLACES)


def test_a_summary_that_is_too_long_is_cut_at_a_line_and_says_so() -> None:
    text = written("markdown", _report(reasons=["a reason of some length" * 40] * 2000), PLACES)
    assert len(text.encode()) <= LIMIT and text.endswith("The report has all of it.\n")
    assert "a reason of some length\n\nCut here" in text


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_lets_a_control_character_through_or_names_a_prompt_or_a_picture(name: str) -> None:
    text = written(name, _report(), PLACES)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
    if name != "json":
        assert PROMPT not in text and ".png" not in text and "thumbnails" not in text


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_what_came_back_is_told(name: str) -> None:
    text = written(name, _regressed(), PLACES)
    assert ("nudity came back" in text) == (name != "csv")


@pytest.mark.parametrize("report", [factories.report(), _report(), _regressed()])
def test_the_report_validates_against_its_published_schema(report: Report) -> None:
    schema = json.loads(schema_text("report"))
    jsonschema.Draft202012Validator.check_schema(schema)
    value = json.loads(written("json", report, PLACES))
    jsonschema.Draft202012Validator(schema).validate(value)
    value["verdict"]["outcome"] = "MAYBE"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(value)


def test_equal_reports_give_equal_bytes() -> None:
    for name in FORMATS:
        assert written(name, _report(), PLACES) == written(name, Report.from_json(_report().to_json()), PLACES), name


def test_outputs_are_format_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = parse_outputs([f"sarif={tmp_path / 'a' / 'x.sarif'}", "csv=-"])
    write_outputs(_report(), PLACES, outputs)
    assert json.loads((tmp_path / "a" / "x.sarif").read_text())["version"] == "2.1.0"
    assert capsys.readouterr().out.startswith("policy,policy_version,")
    for wrong in ("sarif", "sarif=", "html=x", "=x"):
        with pytest.raises(UsageError, match="is no output"):
            parse_outputs([wrong])
    with pytest.raises(UsageError, match="asked for twice"):
        parse_outputs(["csv=a", "csv=b"])
