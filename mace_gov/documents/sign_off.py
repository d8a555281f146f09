"""Sign-offs: a reviewer's signed decision on a verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mace_gov.documents.document import Digest, Document
from mace_gov.documents.trust import KeyName

SIGN_OFF_TYPE = "https://mace-gov.dev/sign-off/v1"
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]


class Decision(StrEnum):
    """What a reviewer may decide on a verdict."""

    APPROVE = "approve"
    REJECT = "reject"
    CONDITIONAL = "conditional"
    """Approved once what the reason asks for is done: until the same key approves, it holds the release back."""


class SignOff(Document):
    """A reviewer's decision on a verdict, the predicate of a statement about the envelopes that were looked at."""

    schema_version: Literal["mace-gov/sign-off/v1"] = "mace-gov/sign-off/v1"
    """Schema."""
    reviewer: KeyName
    """Who decided."""
    role: KeyName
    """In which capacity, in the organisation's own words."""
    decision: Decision
    """Approve, reject, or approve on a condition."""
    reason: Reason
    """Why, in words; never empty."""
    resource_uri: str
    """What the verdict is about, as its summary says."""
    governed_digest: Digest
    """The model."""
    evidence_digest: Digest
    """SHA-256 of the evidence envelope."""
    verdict_digest: Digest
    """SHA-256 of the verdict envelope."""
    report_digest: Digest | None = None
    """SHA-256 of report.dsse.json, which lists the exact page that was seen; absent when a version was looked at."""
    review_digest: Digest | None = None
    """SHA-256 of the last line of the reviewer's journal; absent where no picture was labelled or revealed."""
    keyid: Digest
    """The reviewer's key."""
    number: int | None = Field(default=None, ge=1, le=9999)
    """Which of this key's decisions on this verdict it is, from 1; absent in files of earlier releases: the first."""
    seen: list[Digest] = []
    """SHA-256 of every sign-off on this verdict that lay there when it was signed: none of them may go missing."""
    filed: bool = False
    """Whether a copy went to the registry's decisions/."""
    signed: str
    """RFC 3339, from the reviewer's clock."""
