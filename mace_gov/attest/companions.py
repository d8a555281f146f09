"""What lies beside the evidence for other tools says the same as the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mace_gov.attest.model_signature import read_model_signature
from mace_gov.attest.provenance import PROVENANCE_TYPE
from mace_gov.attest.results import TEST_RESULT_TYPE, results_statement
from mace_gov.attest.signed import Signed
from mace_gov.attest.statement import described, open_statement, version_name
from mace_gov.attest.trust import Trust
from mace_gov.core.canonical import strict_json
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.documents.registry import (
    BILL_NAME,
    DELTA_NAME,
    EVIDENCE_NAME,
    MODEL_SIGNATURE_NAME,
    POLICY_NAME,
    PROVENANCE_NAME,
    TEST_RESULT_NAME,
    VERDICT_NAME,
)
from mace_gov.documents.trust import Role


def check_companions(signed: Signed, trust: Trust) -> list[str]:
    """Read every companion that the evidence or the verdict lists; what was checked, in words.

    Their digests have been compared already. Raises IntegrityError that names the file.
    """
    listed, checks = signed.evidence.files, []
    if MODEL_SIGNATURE_NAME in listed:
        checks.append(_model_signature(signed, trust))
    if PROVENANCE_NAME in listed:
        checks.append(_provenance(signed, trust))
    if BILL_NAME in listed:
        checks.append(_bill(signed))
    if signed.summary is not None and signed.summary.test_result is not None:
        checks.append(_results(signed, trust))
    return checks


def _model_signature(signed: Signed, trust: Trust) -> str:
    path = signed.folder / MODEL_SIGNATURE_NAME
    files = read_model_signature(path, trust, signed.evidence.created)
    names = sorted(n for n in files.keys() | signed.model_files.keys() if files.get(n) != signed.model_files.get(n))
    if names:
        raise IntegrityError(f"{path}: does not list the model that was signed for: {', '.join(names)}")
    under = "holds under the pinned model key" if trust.has(Role.MODEL) else (
        "is the one that the evidence names; no model key is pinned to check it with")
    return f"{MODEL_SIGNATURE_NAME} (OpenSSF) lists the model's {len(files)} files; its signature {under}"


def _provenance(signed: Signed, trust: Trust) -> str:
    path, evidence = signed.folder / PROVENANCE_NAME, signed.evidence
    statement, keyid = open_statement(path, trust, PROVENANCE_TYPE)
    trust.refuse_late(keyid, evidence.created, path)
    subjects = {subject.name: subject.digest.get("sha256") for subject in statement.subject}
    build = _below(statement.predicate, "buildDefinition")
    digests = [_below(item, "digest", "sha256") for item in _list(_below(build, "resolvedDependencies"))]
    policy = described(POLICY_NAME, evidence.policy_file_digest)
    expected_subjects = {version_name(evidence) or "model": evidence.audit.governed_digest,
                         DELTA_NAME: evidence.files.get(DELTA_NAME)}
    _agree(path, EVIDENCE_NAME, [
        ("subject", subjects, expected_subjects),
        ("policy", _below(build, "externalParameters", "policy"), policy),
        ("base model among resolvedDependencies", evidence.audit.base_digest in digests, True),
    ])
    return f"{PROVENANCE_NAME} (SLSA) names the same base model, policy, governed model and delta"


def _bill(signed: Signed) -> str:
    path = signed.folder / BILL_NAME
    try:
        bill = strict_json(read_file(path))
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path}: is not an ML-BOM: {error}") from error
    component = _below(bill, "metadata", "component")
    ancestors = [_hashes(ancestor) for ancestor in _list(_below(component, "pedigree", "ancestors"))]
    audit = signed.evidence.audit
    _agree(path, EVIDENCE_NAME, [("component", _hashes(component), [audit.governed_digest]),
                  ("ancestors", ancestors, [[audit.base_digest]])])
    return f"{BILL_NAME} (CycloneDX) names the same base model and governed model"


def _results(signed: Signed, trust: Trust) -> str:
    path = signed.folder / TEST_RESULT_NAME
    statement, keyid = open_statement(path, trust, TEST_RESULT_TYPE)
    if signed.summary is not None:
        trust.refuse_late(keyid, signed.summary.verdict.decided, path)
        expected = results_statement(signed.evidence, signed.summary.verdict)
        _agree(path, VERDICT_NAME, [("subject", statement.subject, expected.subject),
                      *((name, statement.predicate.get(name), said) for name, said in expected.predicate.items())])
    return f"{TEST_RESULT_NAME} (in-toto) says of each rule what the verdict says"


def _agree(path: Path, other: str, pairs: list[tuple[str, Any, Any]]) -> None:
    """other: the signed file that says what is expected. Of the two either may be the one that is wrong."""
    problems = [f"{path}: {what} is {found}, expected {expected} as {other} has it" for what, found, expected in pairs
                if found != expected]
    if problems:
        raise IntegrityError("\n".join(problems))


def _below(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _hashes(component: Any) -> list[Any]:
    return [_below(item, "content") for item in _list(_below(component, "hashes"))]
