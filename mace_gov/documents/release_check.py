"""May this model be released now? The answer, with every reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from mace_gov.documents.base import Document


class State(StrEnum):
    """How a version stands, the worst that holds for it."""

    RECALLED = "recalled"
    """It, or the very same model, was called back."""
    REJECTED = "rejected"
    """A reviewer's last word on it, or on the very same model, is a rejection."""
    INVALID = "invalid"
    """A signature, a digest or a key does not hold."""
    FAILED = "failed"
    """The policy is violated."""
    LAPSED = "lapsed"
    """A waiver that its verdict rests on has ended."""
    REVIEW = "review"
    """A person has yet to look."""
    APPROVED = "approved"
    """Reviewers closed what was left to review."""
    WAIVED = "waived"
    """Passed with waivers that still hold."""
    PASSED = "passed"
    """Passed."""


class ReleaseCheck(Document):
    """Whether a model digest may be released, as of one moment: a recall or a rejection may come at any time."""

    schema_version: Literal["mace-gov/release-check/v1"] = "mace-gov/release-check/v1"
    """Schema."""
    state: State
    """How it stands."""
    released: bool
    """Whether it may be released: never by the grace of audit mode."""
    exit_code: int
    """What a command that asks ends with; in audit mode only a recall, a rejection or a broken signature stops it."""
    reasons: list[str]
    """Everything that speaks against it, in words."""
    remarks: list[str] = []
    """What else counts, in words: approvals, waivers, a version released since."""
    at: str
    """RFC 3339: when it was asked."""
