"""JSON Schema of the policy, for editors and for other tools."""

from __future__ import annotations

import json
from typing import Any

from mace_gov.documents.policy import Policy

SCHEMA_ID = "https://mace-gov.dev/schema/policy.v1.json"


def policy_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of policy version 1, with every field's docstring as its description."""
    schema = Policy.model_json_schema(by_alias=True)
    detectors = schema["$defs"]["Category"]["properties"]["detectors"]
    # In YAML a detector is a bare name or a mapping; the model sees mappings alone.
    detectors["items"] = {"anyOf": [{"type": "string"}, detectors["items"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def policy_schema_text() -> str:
    """The schema as it is shipped in policies/schema/policy.v1.json."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"
