"""in-toto Statements v1: what is said about which digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mace_gov.attest.dsse import open_envelope
from mace_gov.attest.trust import Trust
from mace_gov.core.canonical import strict_json
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.core.version import __version__
from mace_gov.documents.evidence import (
    EVIDENCE_TYPE,
    REPORT_TYPE,
    SUMMARY_TYPE,
    VERDICT_FIELD,
    Evidence,
    Statement,
    Subject,
)
from mace_gov.documents.registry import EVIDENCE_NAME, MODEL_PREFIX, POLICY_NAME, TEST_RESULT_NAME, VERDICT_NAME
from mace_gov.documents.trust import Role
from mace_gov.documents.verdict import Outcome, Verdict

VERIFIER = "https://mace-gov.dev/gate/v1"
# SLSA asks levels of one's own not to begin with SLSA_.
PASSED_LEVEL = "MACEGOV_POLICY_MET"
FAILED_LEVEL = "FAILED"


def version_name(evidence: Evidence) -> str | None:
    """``NAME/N``, or None for a model that was made elsewhere."""
    place = evidence.lineage
    return None if place is None else f"{place.name}/{place.version}"


def default_resource_uri(evidence: Evidence) -> str:
    """What a verdict is about unless the caller says: the version, or the model's digest where it has none."""
    return f"mace-gov:{version_name(evidence) or 'sha256:' + evidence.audit.governed_digest}"


def described(uri: str, digest: str) -> dict[str, Any]:
    """in-toto's resource descriptor."""
    return {"uri": uri, "digest": {"sha256": digest}}


def software() -> dict[str, str]:
    """Who speaks: this package and its version."""
    return {"mace-gov": __version__}


def evidence_statement(evidence: Evidence, model_files: Mapping[str, str] | None = None) -> Statement:
    """Evidence, about the governed model's folder and each of its files.

    ``model_files`` (digest by path within the model) must be given for a model that was made elsewhere; raises
    IncompleteError otherwise.
    """
    if model_files is None:
        if evidence.erasure is None:
            raise IncompleteError(
                "evidence about a model made elsewhere cannot be signed without the list of the model's files",
                hint="Give model_files, as the model's manifest has them.",
            )
        model_files = evidence.erasure.governed_files
    folder = Subject(name=version_name(evidence) or "model", digest={"sha256": evidence.audit.governed_digest})
    files = [Subject(name=f"{MODEL_PREFIX}{name}", digest={"sha256": d}) for name, d in sorted(model_files.items())]
    return Statement(subject=[folder, *files], predicate_type=EVIDENCE_TYPE, predicate=evidence.to_json())


def summary_statement(
    evidence: Evidence, verdict: Verdict, resource_uri: str | None = None, test_result: str | None = None
) -> Statement:
    """The verdict as a SLSA Verification Summary v1 (https://slsa.dev/spec/v1.0/verification_summary).

    ``test_result`` is the digest of the test result's envelope, once it lies beside.
    """
    passed = verdict.outcome is Outcome.PASS
    predicate = {
        "verifier": {"id": VERIFIER, "version": software()},
        "timeVerified": verdict.decided,
        "resourceUri": resource_uri or default_resource_uri(evidence),
        "policy": described(POLICY_NAME, evidence.policy_file_digest),
        "inputAttestations": input_attestations(verdict.evidence_digest, test_result),
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": [PASSED_LEVEL if passed else FAILED_LEVEL],
        VERDICT_FIELD: verdict.to_json(),
    }
    subject = Subject(name=version_name(evidence) or "model", digest={"sha256": verdict.governed_digest})
    return Statement(subject=[subject], predicate_type=SUMMARY_TYPE, predicate=predicate)


def input_attestations(evidence: str, test_result: str | None) -> list[dict[str, Any]]:
    """What a verdict rests on, by the digests of the envelopes."""
    return [described(EVIDENCE_NAME, evidence), *([described(TEST_RESULT_NAME, test_result)] if test_result else [])]


def report_statement(files: Mapping[str, str]) -> Statement:
    """The report folder: every file in it (digest by relative path), the envelope of this statement left out."""
    predicate = {
        "created": timestamp(),
        "evidenceEnvelope": described(EVIDENCE_NAME, files[EVIDENCE_NAME]),
        "verdictEnvelope": described(VERDICT_NAME, files[VERDICT_NAME]),
    }
    subjects = [Subject(name=name, digest={"sha256": files[name]}) for name in sorted(files)]
    return Statement(subject=subjects, predicate_type=REPORT_TYPE, predicate=predicate)


def open_statement(
    path: Path, trust: Trust, predicate_type: str, role: Role = Role.PIPELINE
) -> tuple[Statement, str]:
    """The statement in the envelope ``path`` and the key that signed it: signature first, then payload and type.

    ``role`` is what the signer must be pinned for. Raises IntegrityError that names the file.
    """
    opened = open_envelope(path, trust, role)
    return parse_statement(opened.payload, path, predicate_type), opened.keyid


def parse_statement(payload: bytes, path: Path, predicate_type: str) -> Statement:
    """The statement in ``payload``, which came from ``path``. Raises IntegrityError that names the file."""
    try:
        statement = Statement.from_json(strict_json(payload))
    except ValidationError as error:
        raise IntegrityError(f"{path}: {first_problem(error, 'an in-toto statement')}") from error
    except ValueError as error:
        raise IntegrityError(f"{path}: is not an in-toto statement: {error}") from error
    if statement.predicate_type != predicate_type:
        raise IntegrityError(f"{path}: predicate type is {statement.predicate_type}, expected {predicate_type}")
    return statement


def subject_files(statement: Statement, path: Path, prefix: str = "") -> dict[str, str]:
    """Digest by name of the subjects below ``prefix``, the prefix taken off.

    Raises IntegrityError on a repeated name.
    """
    counts = Counter(subject.name for subject in statement.subject)
    if repeated := sorted(name for name, times in counts.items() if times > 1):
        raise IntegrityError(f"{path}: subjects named twice: {', '.join(repeated)}")
    return {
        subject.name.removeprefix(prefix): subject.digest.get("sha256", "none")
        for subject in statement.subject
        if subject.name.startswith(prefix)
    }


def first_problem(error: ValidationError, what: str) -> str:
    """The first thing that pydantic found wrong, in one line."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"is not {what}: {where}: {problem['msg']}"
