"""A report folder: every file is in the signed list, and what the page was made from is what was signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.folder import compare_folder
from mace_gov.attest.sign import REPORT_PARTS
from mace_gov.attest.sign_off import sign_off_names
from mace_gov.attest.signed import Signed, read_signed
from mace_gov.attest.statement import first_problem, open_statement, subject_files, version_name
from mace_gov.attest.trust import Trust
from mace_gov.core.canonical import strict_json
from mace_gov.core.clock import parse_time
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.core.progress import Progress
from mace_gov.documents.evidence import REPORT_TYPE
from mace_gov.documents.registry import EVIDENCE_NAME, POLICY_NAME, REPORT_NAME, VERDICT_NAME
from mace_gov.documents.report import Report


def read_report(folder: Path, trust: Trust, progress: Progress) -> tuple[Signed, list[str]]:
    """Check a report folder by itself; the signed documents in it, and what was checked, in words.

    Raises IntegrityError with every difference at once.
    """
    path = folder / REPORT_NAME
    statement, keyid = open_statement(path, trust, REPORT_TYPE)
    created = str(statement.predicate.get("created"))
    if parse_time(created) is None:
        raise IntegrityError(f"{path}: created is '{created}', expected a time in RFC 3339 with its zone")
    trust.refuse_late(keyid, created, path)
    files = subject_files(statement, path)
    problems = [f"{REPORT_NAME}: does not list {name}" for name in REPORT_PARTS if name not in files]
    problems += compare_folder(folder, files, ignore=[REPORT_NAME, *sign_off_names(folder)], progress=progress)
    for field, name in (("evidenceEnvelope", EVIDENCE_NAME), ("verdictEnvelope", VERDICT_NAME)):
        envelope = {"uri": name, "digest": {"sha256": files.get(name)}}
        if (found := statement.predicate.get(field)) != envelope:
            problems.append(f"{REPORT_NAME}: {field} is {found}, expected {envelope}")
    if problems:
        raise IntegrityError("\n".join(f"{folder}/{problem}" for problem in problems))
    signed = read_signed(folder, trust, need_verdict=True)
    problems = list(_content_problems(folder / "report.json", signed))
    if files[POLICY_NAME] != (expected := signed.evidence.policy_file_digest):
        problems.append(f"{folder / POLICY_NAME}: digest is {files[POLICY_NAME]}, the evidence is about {expected}")
    if problems:
        raise IntegrityError("\n".join(problems))
    return signed, [
        f"{REPORT_NAME} is signed by the pinned key {keyid}",
        f"report folder: {len(files)} files re-hashed, none changed, missing or added",
        "report.json holds the signed evidence and the signed verdict, word for word",
    ]


def _content_problems(path: Path, signed: Signed) -> Iterator[str]:
    try:
        report = Report.from_json(strict_json(read_file(path)))
    except ValidationError as error:
        yield f"{path}: {first_problem(error, 'a report of a known schema')}"
        return
    except (OSError, ValueError) as error:
        yield f"{path}: is not JSON: {error}"
        return
    if report.evidence.canonical() != signed.evidence.canonical():
        yield f"{path}: its evidence is not the evidence that was signed in {EVIDENCE_NAME}"
    if signed.summary is not None and report.verdict.canonical() != signed.summary.verdict.canonical():
        yield f"{path}: its verdict is not the verdict that was signed in {VERDICT_NAME}"
    pairs = (
        ("policy digest", report.policy.content_digest(), signed.evidence.policy_digest),
        ("keyid", report.keyid, signed.keyid),
        ("version", report.version, version_name(signed.evidence)),
    )
    for field, found, expected in pairs:
        if found != expected:
            yield f"{path}: {field} is {found}, expected {expected}"
