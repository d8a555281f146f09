"""What was released, and what was called back: a chain of signed entries, one chain for each registered model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mace_gov.documents.document import Digest, Document, Slug

RELEASE_TYPE = "https://mace-gov.dev/release/v1"

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Action(StrEnum):
    """What was done."""

    PROMOTE = "promote"
    RECALL = "recall"
    ROLLBACK = "rollback"


class Release(Document):
    """One entry of the chain."""

    schema_version: Literal["mace-gov/release/v1"] = "mace-gov/release/v1"
    """Schema."""
    number: int = Field(ge=1)
    """Place in the chain, from 1."""
    previous: Digest | None = None
    """SHA-256 of the entry before this one, as a file; absent in the first."""
    action: Action
    """What was done."""
    name: Slug
    """Registered model."""
    version: int = Field(ge=1)
    """The version that became compliant, or that was recalled."""
    governed_digest: Digest
    """Its model."""
    evidence_digest: Digest
    """Its evidence envelope."""
    reason: Words | None = None
    """Why; always there in a recall."""
    waivers: list[Digest] = []
    """Digests of the waivers that it was let through with."""
    by: Words
    """Who asked for it, in that person's own words: the signature is the pipeline's."""
    at: str
    """RFC 3339, from the signer's clock."""


@dataclass(frozen=True)
class ReleaseLog:
    """A verified chain. The registry's aliases and tags repeat what it says, for other tools; this is the truth."""

    entries: tuple[Release, ...] = ()
    """In order."""

    @property
    def compliant(self) -> int | None:
        """The version that may be deployed now; None before the first promotion and after a recall of it."""
        current = next((entry for entry in reversed(self.entries) if entry.action is not Action.RECALL), None)
        return None if current is None or self._recalled(current) else current.version

    @property
    def rollback_target(self) -> int | None:
        """The last version that was compliant before the present one (or before it was recalled) and may be again."""
        promoted = [entry for entry in self.entries if entry.action is not Action.RECALL]
        present = promoted[-1].version if promoted else None
        fit = (entry.version for entry in reversed(promoted) if entry.version != present and not self._recalled(entry))
        return next(fit, None)

    def recall_of(self, name: str | None, version: int | None, governed_digest: str) -> Release | None:
        """The recall of a version. The same model under another number is recalled with it: its files are the same."""
        return next(
            (entry for entry in self.entries if entry.action is Action.RECALL
             and ((entry.name, entry.version) == (name, version) or entry.governed_digest == governed_digest)),
            None,
        )

    def state_of(self, name: str, version: int, governed_digest: str) -> str | None:
        """``compliant``, ``recalled``, ``superseded``, or None for a version that was never released."""
        if self.recall_of(name, version, governed_digest):
            return "recalled"
        if version == self.compliant:
            return "compliant"
        return "superseded" if any(entry.version == version for entry in self.entries) else None

    def _recalled(self, entry: Release) -> bool:
        return self.recall_of(entry.name, entry.version, entry.governed_digest) is not None
