"""JSON Schemas of what people write and of what other tools read, with every field's docstring as its description."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mace_gov.core.errors import UsageError
from mace_gov.documents.policy import Policy
from mace_gov.documents.report import Report
from mace_gov.documents.waiver import Waivers

SCHEMA_URL = "https://mace-gov.dev/schema"


def policy_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of policy version 1."""
    schema = Policy.model_json_schema(by_alias=True)
    _bare_detectors(schema)
    return schema


def _report_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of report version 1, as it is written: every field that is always there is required."""
    return Report.model_json_schema(by_alias=True)


def waivers_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of waivers version 1."""
    return Waivers.model_json_schema(by_alias=True)


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "policy": policy_schema, "waivers": waivers_schema, "report": _report_schema,
}
"""By the name of the document."""


def schema_text(of: str = "policy") -> str:
    """A schema as it is shipped in policies/schema/NAME.v1.json. Raises UsageError for a name that has none."""
    if of not in SCHEMAS:
        raise UsageError(f"no schema '{of}', expected one of: {', '.join(SCHEMAS)}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{SCHEMA_URL}/{of}.v1.json"}
    return json.dumps({**head, **SCHEMAS[of]()}, indent=2, ensure_ascii=False) + "\n"


def _bare_detectors(schema: dict[str, Any]) -> None:
    """In YAML a detector is a bare name or a mapping; the model sees mappings alone."""
    detectors = schema["$defs"]["Category"]["properties"]["detectors"]
    detectors["items"] = {"anyOf": [{"type": "string"}, detectors["items"]]}
