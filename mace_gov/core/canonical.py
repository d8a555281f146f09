"""Canonical JSON: sorted keys, no spaces, UTF-8, no NaN. What is signed is these exact bytes."""

from __future__ import annotations

import json
from typing import Any

from mace_gov.core.digest import sha256_bytes


def canonical_json(value: Any) -> bytes:
    """Bytes of ``value`` in canonical form. Raises ValueError on NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value's canonical form."""
    return sha256_bytes(canonical_json(value))
