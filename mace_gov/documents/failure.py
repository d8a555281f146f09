"""How a gate ended that decided nothing."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.document import Document


class Failure(Document):
    """What stands in report.json's place when nothing was decided. It has no verdict, so that nobody finds a PASS."""

    schema_version: Literal["mace-gov/failure/v1"] = "mace-gov/failure/v1"
    """Schema."""
    error: str
    """What went wrong."""
    hint: str = ""
    """What to do next."""
    exit_code: int
    """2 usage or policy, 3 incomplete or internal, 4 integrity, 1 recalled, 130, 143 or 129 interrupted."""
    policy_name: str
    """The policy's name as far as it is known: that of its file otherwise."""
