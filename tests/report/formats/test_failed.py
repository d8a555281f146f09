"""Each format when nothing was decided: nobody finds a PASS in it."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from mace_gov.documents.failure import Failure
from mace_gov.documents.format_info import FORMATS
from mace_gov.report.formats import failure_written
from mace_gov.report.formats.rows import Places

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "sarif-schema-2.1.0.json").read_text())
PLACES = Places("policies/nsfw.yaml")
FAILURE = Failure(error="a/model: was changed\n::error::=1+1|<b>\x00", hint="Get it again.", exit_code=4,
                  policy_name="nsfw")


def test_every_format_can_say_it_and_none_says_pass() -> None:
    assert not [name for name in FORMATS if "PASS" in failure_written(name, FAILURE, PLACES)]


@pytest.mark.parametrize(("name", "start"), [("annotations", "::error file=policies/nsfw.yaml,"), ("outputs", "")])
def test_no_line_of_it_is_a_command_of_somebody_else_s(name: str, start: str) -> None:
    lines = failure_written(name, FAILURE, PLACES).splitlines()
    assert all(line.startswith(start) for line in lines) and len(lines) == (1 if start else 2)


def test_the_document_is_one_of_its_own_without_a_verdict() -> None:
    value = json.loads(failure_written("json", FAILURE, PLACES))
    assert value == {"schemaVersion": "mace-gov/failure/v1", "error": FAILURE.error, "hint": "Get it again.",
                     "exitCode": 4, "policyName": "nsfw"}


def test_sarif_has_an_error_at_the_policy_and_validates() -> None:
    log = json.loads(failure_written("sarif", FAILURE, PLACES))
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    [run] = log["runs"]
    [invocation] = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 4)
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"
    [result] = run["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert result["level"] == "error" and place == {"uri": "policies/nsfw.yaml", "uriBaseId": "%SRCROOT%"}
    assert "%SRCROOT%" in run["originalUriBaseIds"] and run["automationDetails"]["id"] == "mace-gov/nsfw/"


def test_junit_has_one_error() -> None:
    root = ET.fromstring(failure_written("junit", FAILURE, PLACES))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("1", "1", "0")
    assert "a/model: was changed" in root.find(".//error").get("message")


def test_csv_has_one_row_that_is_an_error() -> None:
    [line] = csv.DictReader(io.StringIO(failure_written("csv", FAILURE, PLACES)))
    assert (line["outcome"], line["weight"], line["rule"]) == ("ERROR", "blocks", "GATE")


def test_a_summary_of_ten_thousand_files_fits_a_job_s_page() -> None:
    long = FAILURE.model_copy(update={"error": "\n".join(f"model/{i:05}: {'x' * 100}" for i in range(20_000))})
    text = failure_written("markdown", long, PLACES)
    assert len(text.encode()) <= 1024 * 1024 and text.startswith("## No verdict") and "Cut here" in text
