"""Write signed statements beside what they speak about; each file appears whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mace_gov.attest.bill_of_materials import bill_of_materials
from mace_gov.attest.dsse import seal
from mace_gov.attest.folder import file_names
from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.model_signature import model_signature
from mace_gov.attest.provenance import Build, provenance_statement
from mace_gov.attest.results import results_statement
from mace_gov.attest.statement import evidence_statement, report_statement, summary_statement
from mace_gov.core.atomic import write_bytes
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.documents.evidence import Evidence, Statement
from mace_gov.documents.registry import (
    BILL_NAME,
    EVIDENCE_NAME,
    MODEL_PREFIX,
    MODEL_SIGNATURE_NAME,
    POLICY_NAME,
    PROVENANCE_NAME,
    REPORT_NAME,
    SIGN_OFFS,
    TEST_RESULT_NAME,
    VERDICT_NAME,
)
from mace_gov.documents.verdict import Verdict

EVIDENCE_PREFIX = "evidence/"
REPORT_PARTS = ("index.html", "report.json", POLICY_NAME, EVIDENCE_NAME, VERDICT_NAME)
LATER = (EVIDENCE_NAME, TEST_RESULT_NAME, VERDICT_NAME)
"""Envelopes of a version that are made when its files have been listed: each names the one before by digest."""


def collect_files(folder: Path) -> dict[str, str]:
    """Digest of a version folder's other files, by relative path: what goes into ``Evidence.files``.

    Left out are model/ (``ErasureRecord.governed_files`` has it), evidence/ (``AuditResult.files``) and what is made
    later. Raises IntegrityError on a link out of the folder.
    """
    names, problems = file_names(folder)
    if problems:
        raise IntegrityError(f"{folder} cannot be signed:\n" + "\n".join(problems))
    kept = [n for n in names if not n.startswith((MODEL_PREFIX, EVIDENCE_PREFIX)) and n not in LATER]
    return {name: sha256_file(folder / name) for name in kept}


def sign_build(folder: Path, build: Build, *, pair: KeyPair, model_pair: KeyPair) -> None:
    """Write what other tools read about how a version was made: model signature, SLSA provenance, ML-BOM.

    They come before the evidence, whose list of files then names them.
    """
    write_bytes(folder / MODEL_SIGNATURE_NAME, model_signature(build.erasure.governed_files, model_pair))
    _write(folder / PROVENANCE_NAME, provenance_statement(build), pair)
    write_bytes(folder / BILL_NAME, bill_of_materials(build))


def sign_evidence(
    folder: Path, evidence: Evidence, pair: KeyPair, *, model_files: Mapping[str, str] | None = None
) -> Path:
    """Sign ``evidence`` into ``folder``/evidence.dsse.json. ``model_files``: see ``evidence_statement``."""
    return _write(folder / EVIDENCE_NAME, evidence_statement(evidence, model_files), pair)


def sign_results(folder: Path, evidence: Evidence, verdict: Verdict, pair: KeyPair) -> Path:
    """Sign the rules' outcomes into ``folder``/test-result.dsse.json. The summary, signed next, names it."""
    return _write(folder / TEST_RESULT_NAME, results_statement(evidence, verdict), pair)


def sign_summary(
    folder: Path, evidence: Evidence, verdict: Verdict, pair: KeyPair, *, resource_uri: str | None = None
) -> Path:
    """Sign ``verdict`` into ``folder``/verdict.dsse.json.

    Raises IntegrityError when the verdict rests on other evidence than the envelope in ``folder``.
    """
    found = sha256_file(folder / EVIDENCE_NAME)
    if found != verdict.evidence_digest:
        raise IntegrityError(
            f"{folder / EVIDENCE_NAME}: digest is {found}, but the verdict rests on {verdict.evidence_digest}"
        )
    results = folder / TEST_RESULT_NAME
    test_result = sha256_file(results) if results.exists() else None
    return _write(folder / VERDICT_NAME, summary_statement(evidence, verdict, resource_uri, test_result), pair)


def sign_report(folder: Path, pair: KeyPair) -> Path:
    """Sign the list of all files of a report folder into ``folder``/report.dsse.json.

    Raises IncompleteError when a part of the report is not there yet.
    """
    names, problems = file_names(folder)
    missing = [f"{name}: is missing" for name in REPORT_PARTS if name not in names]
    if problems or missing:
        raise IncompleteError(f"the report {folder} cannot be signed:\n" + "\n".join([*problems, *missing]))
    listed = [name for name in names if name != REPORT_NAME and not name.startswith(f"{SIGN_OFFS}/")]
    return _write(folder / REPORT_NAME, report_statement({n: sha256_file(folder / n) for n in listed}), pair)


def _write(path: Path, statement: Statement, pair: KeyPair) -> Path:
    write_bytes(path, seal(statement.canonical(), pair).canonical())
    return path
