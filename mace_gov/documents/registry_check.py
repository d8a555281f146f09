"""What an integrity check of a whole registry found."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.documents.document import Document


class Level(StrEnum):
    """How much a finding weighs."""

    BROKEN = "broken"
    """A signature, a digest or a record contradicts what was signed."""
    LEFTOVER = "leftover"
    """Something is missing, or was left by a run that did not finish; nothing that was signed is in doubt."""
    NOTE = "note"
    """Nothing to mend: what is going on right now, and what could not be checked."""


EXIT_CODES = {Level.BROKEN: IntegrityError.exit_code, Level.LEFTOVER: IncompleteError.exit_code, Level.NOTE: 0}
"""Exit code of a check whose worst finding has this level."""


class RegistryFinding(Document):
    """One thing that is not as it should be, and what to do about it."""

    level: Level
    """How much it weighs."""
    where: str
    """The version, file or record, relative to the registry."""
    problem: str
    """What was found and what was expected."""
    action: str
    """What to do next."""


class RegistryCheck(Document):
    """The check of a registry."""

    schema_version: Literal["mace-gov/registry-check/v1"] = "mace-gov/registry-check/v1"
    """Schema."""
    versions: int
    """Versions and audits whose signatures and files were checked."""
    releases: int
    """Entries of chains of releases that were checked."""
    cached: int
    """Entries of the cache that were re-hashed."""
    recorded: int | None = None
    """Versions that MLflow knows; None where MLflow was not asked."""
    findings: list[RegistryFinding] = []
    """The worst first."""

    @property
    def exit_code(self) -> int:
        """4 if anything is broken, else 3 if anything is left over, else 0."""
        return max((EXIT_CODES[finding.level] for finding in self.findings), default=0)
