"""The report's source: all other formats derive from it."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.document import Document
from mace_gov.documents.evidence import Evidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.sign_off import Decision, SignOff
from mace_gov.documents.verdict import Outcome, Verdict


class Report(Document):
    """report.json: policy, evidence and verdict in one file. It is derived, so what is signed is its digest."""

    schema_version: Literal["mace-gov/report/v1"] = "mace-gov/report/v1"
    """Schema."""
    title: str
    """Policy name and version, governed version."""
    version: str | None = None
    """Governed version as ``NAME/N``; absent for a model audited from elsewhere."""
    policy: Policy
    """What was asked."""
    evidence: Evidence
    """What was done and measured."""
    verdict: Verdict
    """What was decided."""
    sign_offs: list[SignOff] = []
    """What pinned reviewers had said of this verdict when the report was written."""
    release: ReleaseCheck | None = None
    """Whether the model might be released when the report was written, whatever the verdict says; see its time."""
    signed: bool = True
    """Whether the pipeline's key signed this report; False for one that somebody without it rendered."""
    keyid: str
    """Fingerprint of the signing key."""
    how_to_verify: list[str]
    """Commands for a reader who trusts nobody; entries that begin with ``#`` are remarks."""
    checks: list[str] = []
    """What was verified before the report was written, in order, in words."""

    @property
    def standing(self) -> Outcome:
        """The outcome as it stood when the report was written, after what people and the clock made of the verdict."""
        if self.release:
            return self.release.standing(self.verdict.outcome)
        return Outcome.FAIL if self._rejected else self.verdict.outcome

    @property
    def exit_code(self) -> int:
        """What a command ended with when the report was written."""
        if self.release:
            return self.release.exit_code
        return Outcome.FAIL.exit_code if self._rejected else self.verdict.exit_code

    @property
    def _rejected(self) -> bool:
        """Whether a report from before there was a release check holds a rejection."""
        return any(one.decision is Decision.REJECT for one in self.sign_offs)

    @property
    def headline(self) -> str:
        """The same in a word or two. See ``ReleaseCheck.headline``."""
        return self.release.headline(self.verdict.outcome) if self.release else self.verdict.outcome.value
