"""Whose signatures count, and for what. A verifier keeps this file; it never comes from the folder that is verified."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from mace_gov.documents.document import Digest, Document

KeyName = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name that is safe to print."""


class Role(StrEnum):
    """What a key may sign."""

    PIPELINE = "pipeline"
    """Evidence, provenance, test results, verdicts, reports: what the machine did and decided. Ed25519."""
    MODEL = "model"
    """The OpenSSF model signature, which knows no Ed25519. ECDSA on P-256."""
    REVIEWER = "reviewer"
    """Sign-offs: what a person decided after looking. Ed25519."""


class TrustedKey(Document):
    """One pinned public key."""

    name: KeyName
    """Whose it is, for people."""
    role: Role
    """What it may sign."""
    keyid: Digest
    """SHA-256 of the key's DER form; must be that of ``pem``."""
    pem: str
    """The public key."""
    since: str
    """RFC 3339: when it was pinned."""
    retired: str | None = None
    """RFC 3339: nothing that says it was made later counts. Older signatures still do."""
    revoked: str | None = None
    """RFC 3339: when it was revoked. Nothing signed with it counts any more, whatever date it carries."""
    reason: str | None = None
    """Why it was revoked."""


class TrustFile(Document):
    """The keys that a verifier pins."""

    schema_version: Literal["mace-gov/trust/v1"] = "mace-gov/trust/v1"
    """Schema."""
    keys: list[TrustedKey] = []
    """Each key once, in one role: a reviewer is not the author."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [key.keyid for key in self.keys]
        if repeated := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"the same key is pinned twice: {', '.join(repeated)}")
        return self
