"""What a reviewer did before deciding: labels, revealed pictures, comments. One signed entry each, in a chain."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mace_gov.documents.document import Digest, Document, Slug
from mace_gov.documents.sign_off import Reason
from mace_gov.documents.terms import Suite
from mace_gov.documents.trust import KeyName

REVIEW_TYPE = "https://mace-gov.dev/review/v1"


class Label(StrEnum):
    """What a person sees in a picture."""

    PRESENT = "present"
    ABSENT = "absent"
    UNSURE = "unsure"


class Act(StrEnum):
    """What a reviewer did."""

    LABEL = "label"
    """Said whether a picture shows its concept, without knowing what the detectors say."""
    REVEAL = "reveal"
    """Had a hidden picture shown."""
    COMMENT = "comment"
    """Wrote something about a rule or a picture."""
    CLOSE = "close"
    """Ended the labelling, and saw from then on what the detectors say."""


class PictureRef(Document):
    """One picture with what was to be looked for in it."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    """File, relative to the evidence folder."""
    image_digest: Digest
    """Digest of that file, as the evidence lists it."""
    category: Slug
    """Category id."""
    concept: str
    """What was to be looked for, as the trial names it."""
    suite: Suite
    """Probe suite."""


class ReviewEntry(Document):
    """One line of a reviewer's journal, the predicate of a statement about the verdict that is reviewed."""

    schema_version: Literal["mace-gov/review/v1"] = "mace-gov/review/v1"
    """Schema."""
    number: int = Field(ge=1)
    """From 1, without a gap."""
    previous: Digest | None = None
    """SHA-256 of the line before; absent in the first."""
    act: Act
    """What was done."""
    at: str
    """RFC 3339, from the reviewer's clock."""
    reviewer: KeyName
    """Who did it."""
    keyid: Digest
    """The reviewer's key."""
    evidence_digest: Digest
    """SHA-256 of the evidence envelope."""
    verdict_digest: Digest
    """SHA-256 of the verdict envelope."""
    picture: PictureRef | None = None
    """The picture that it is about; absent for a rule's comment and for the end."""
    rule: str | None = None
    """The rule that a comment is about."""
    label: Label | None = None
    """Of a label: what was seen."""
    text: Reason | None = None
    """Of a comment: the comment; of a reveal: why the picture had to be seen."""
