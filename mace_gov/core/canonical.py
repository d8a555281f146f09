"""Canonical JSON: sorted keys, no spaces, UTF-8, no NaN. What is signed is these exact bytes, and read as strictly."""

from __future__ import annotations

import json
import re
from typing import Any

from mace_gov.core.digest import sha256_bytes

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def canonical_json(value: Any) -> bytes:
    """Bytes of ``value`` in canonical form. Raises ValueError on NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value's canonical form."""
    return sha256_bytes(canonical_json(value))


def strict_json(data: bytes) -> Any:
    """Parse JSON, refusing a duplicate key, NaN, infinity and half a character: two readers must never see two things.

    Raises ValueError.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in items:
            if name in seen:
                raise ValueError(f"the key '{name}' is there twice")
            seen[name] = value
        return seen

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair is no character") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
