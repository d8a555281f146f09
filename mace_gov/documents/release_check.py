"""May this model be released now? The answer, with every reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from mace_gov.documents.document import Document
from mace_gov.documents.verdict import Outcome


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

    def standing(self, verdict: Outcome) -> Outcome:
        """The outcome ``verdict`` as it stands now, after what people and the clock made of it."""
        if self.state in _AS_DECIDED:
            return verdict
        if self.state is State.APPROVED:
            return Outcome.PASS
        return Outcome.REVIEW if self.state is State.REVIEW else Outcome.FAIL

    def headline(self, verdict: Outcome) -> str:
        """The same in a word or two: ``PASS``, ``PASS, waived``, ``REJECTED, verdict PASS``."""
        if self.standing(verdict) is not verdict or self.state not in (*_AS_DECIDED, State.REVIEW):
            return f"{self.state.upper()}, verdict {verdict}"
        also = [State.WAIVED.value] if self.state is State.WAIVED else []
        also += ["superseded"] if any(said.startswith("superseded") for said in self.remarks) else []
        return ", ".join([verdict.value, *also])


_AS_DECIDED = (State.PASSED, State.WAIVED, State.FAILED)
"""States that say no more than the verdict does."""
