"""Signed statements: in-toto Statement v1 in a DSSE envelope."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, field_validator

from mace_gov.documents.audit import AuditResult
from mace_gov.documents.document import Digest, Document
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.sign_off import SignOff
from mace_gov.documents.verdict import Verdict

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
EVIDENCE_TYPE = "https://mace-gov.dev/evidence/v1"
SUMMARY_TYPE = "https://slsa.dev/verification_summary/v1"
REPORT_TYPE = "https://mace-gov.dev/report/v1"
# SLSA asks extension fields of a summary to be named <vendor>_<field>.
VERDICT_FIELD = "macegov_verdict"


class Subject(Document):
    """One thing that a statement is about."""

    name: str
    """Path or name."""
    digest: dict[str, str]
    """Digest by algorithm; sha256 is always there."""


class Statement(Document):
    """in-toto Statement v1."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    """Statement schema."""
    subject: list[Subject] = Field(min_length=1)
    """What it is about."""
    predicate_type: str
    """What is said."""
    predicate: dict[str, Any]
    """The saying."""


class Signature(Document):
    """One DSSE signature."""

    keyid: str
    """SHA-256 of the public key's DER form."""
    sig: str
    """Base64."""


class Envelope(Document):
    """DSSE envelope, version 1."""

    payload_type: Literal["application/vnd.in-toto+json"] = PAYLOAD_TYPE
    """Type of the payload."""
    payload: str
    """Base64 of the exact bytes that were signed."""
    signatures: list[Signature] = Field(min_length=1)
    """One or more."""


class Evidence(Document):
    """The evidence statement's predicate: what was done and what was measured."""

    created: str
    """RFC 3339, from the signer's clock: an offline signature carries no trusted time."""
    policy_digest: Digest
    """Policy document (canonical form)."""
    policy_file_digest: Digest
    """Policy file, byte by byte, as kept beside the evidence."""
    plan: ErasurePlan
    """What was to run."""
    erasure: ErasureRecord | None = None
    """What ran; absent when a model made elsewhere is audited."""
    audit: AuditResult
    """What was seen."""
    lineage: Lineage | None = None
    """Where it stands in the registry."""
    files: dict[str, Digest]
    """Every other file of the version folder (delta, LoRAs, policy, pictures), by relative path."""

    @field_validator("plan")
    @classmethod
    def _no_path_of_this_disk(cls, plan: ErasurePlan) -> ErasurePlan:
        return plan.model_copy(update={"base": plan.base.model_copy(update={"path": ""})})


@dataclass(frozen=True)
class VerifiedEvidence:
    """Evidence whose signature, subject and files were checked. Only ``attest.verify`` makes one, by test."""

    evidence: Evidence
    """The predicate."""
    evidence_digest: str
    """SHA-256 of the envelope file."""
    keyid: str
    """The pinned key that signed it."""
    checks: tuple[str, ...]
    """What was checked, in order, in words; also what could not be checked."""
    folder: Path
    """The folder whose envelopes were opened: a version, an audit or a report."""
    verdict: Verdict | None = None
    """The signed verdict on this evidence; absent before the gate has decided."""
    verdict_digest: str | None = None
    """SHA-256 of the verdict's envelope file."""
    resource_uri: str | None = None
    """What the verdict is about, as its summary says; absent without a verdict."""
    sign_offs: tuple[SignOff, ...] = ()
    """Reviewers' decisions on this very verdict, each signed under a pinned reviewer's key; a key's last one counts."""
    elsewhere: tuple[SignOff, ...] = ()
    """The same about other verdicts on this very model, as the registry's decisions/ has them."""
    unverified: tuple[SignOff, ...] = ()
    """What claims to be such a decision where no reviewer's key is pinned, on any verdict: it approves nothing."""
