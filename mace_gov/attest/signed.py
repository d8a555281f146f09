"""A folder's envelopes, opened: signatures and types hold, nothing else is checked yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mace_gov.attest.statement import first_problem, open_statement, subject_files
from mace_gov.attest.trust import Trust
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.documents.evidence import EVIDENCE_TYPE, SUMMARY_TYPE, VERDICT_FIELD, Evidence
from mace_gov.documents.registry import EVIDENCE_NAME, MODEL_PREFIX, TEST_RESULT_NAME, VERDICT_NAME
from mace_gov.documents.verdict import Verdict


@dataclass(frozen=True)
class Summary:
    """The summary's predicate and subject."""

    verdict: Verdict
    """Our own verdict, complete."""
    predicate: dict[str, Any]
    """What any reader of SLSA summaries sees; must say the same."""
    subject_digest: str
    """The model that it is about."""
    digest: str
    """SHA-256 of the envelope's file."""
    keyid: str
    """The pinned key that signed it."""

    @property
    def resource_uri(self) -> str:
        """What the verdict is about, by name."""
        return str(self.predicate.get("resourceUri"))

    @property
    def test_result(self) -> str | None:
        """Digest of the test result's envelope, if it says that there is one."""
        listed = self.predicate.get("inputAttestations")
        for item in listed if isinstance(listed, list) else []:
            if isinstance(item, dict) and item.get("uri") == TEST_RESULT_NAME:
                digest = item.get("digest")
                return str(digest.get("sha256")) if isinstance(digest, dict) else "none"
        return None


@dataclass(frozen=True)
class Signed:
    """The content of evidence.dsse.json and verdict.dsse.json."""

    folder: Path
    """Where they lie."""
    evidence: Evidence
    """The evidence's predicate."""
    evidence_digest: str
    """SHA-256 of the envelope's file."""
    subject_digest: str
    """The governed model's folder digest, as the evidence's subject names it."""
    model_files: dict[str, str]
    """Digest by path within the model, from the subjects."""
    summary: Summary | None
    """Absent before the gate has decided."""
    keyid: str
    """The pinned key that signed the evidence."""


def read_signed(folder: Path, trust: Trust, *, need_verdict: bool) -> Signed:
    """Open both envelopes of ``folder``. Raises IntegrityError that names the file."""
    path = folder / EVIDENCE_NAME
    digest = _digest(path)
    statement, keyid = open_statement(path, trust, EVIDENCE_TYPE)
    files = subject_files(statement, path, MODEL_PREFIX)
    try:
        evidence = Evidence.from_json(statement.predicate)
    except ValidationError as error:
        raise IntegrityError(f"{path}: {first_problem(error, 'evidence of a known schema')}") from error
    subject = statement.subject[0].digest.get("sha256", "none")
    verdict_path = folder / VERDICT_NAME
    summary = None
    if need_verdict or verdict_path.exists() or verdict_path.is_symlink():
        summary = read_summary(verdict_path, trust)
    return Signed(folder, evidence, digest, subject, files, summary, keyid)


def read_summary(path: Path, trust: Trust) -> Summary:
    """The summary in the envelope ``path``. Raises IntegrityError that names the file."""
    digest = _digest(path)
    statement, keyid = open_statement(path, trust, SUMMARY_TYPE)
    try:
        verdict = Verdict.from_json(statement.predicate.get(VERDICT_FIELD))
    except ValidationError as error:
        raise IntegrityError(f"{path}: {first_problem(error, 'a verdict of a known schema')}") from error
    subject = statement.subject[0].digest.get("sha256", "none")
    return Summary(verdict, statement.predicate, subject, digest, keyid)


def _digest(path: Path) -> str:
    try:
        return sha256_bytes(read_file(path))
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read: {error.strerror}, expected a signed envelope") from error
