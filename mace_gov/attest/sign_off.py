"""Sign-offs: a reviewer looks at a verified report or version, decides, and signs the verdict."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.agree import CLOCK_SKEW
from mace_gov.attest.dsse import seal
from mace_gov.attest.folder import file_names
from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.signed import Signed
from mace_gov.attest.statement import (
    EVIDENCE_NAME,
    REPORT_NAME,
    SIGN_OFFS,
    VERDICT_NAME,
    first_problem,
    open_statement,
    version_name,
)
from mace_gov.attest.trust import Trust
from mace_gov.core.atomic import write_bytes
from mace_gov.core.clock import parse_time, timestamp
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.evidence import Statement, Subject, VerifiedEvidence
from mace_gov.documents.sign_off import SIGN_OFF_TYPE, Decision, SignOff
from mace_gov.documents.trust import Role

SUFFIX = ".dsse.json"


def sign_off(
    verified: VerifiedEvidence, pair: KeyPair, *, decision: Decision, reviewer: str, role: str, reason: str,
    out: Path | None = None,
) -> Path:
    """Sign a decision on the verified folder's verdict. Returns the envelope, ``sign-offs/KEYID.dsse.json``.

    ``out`` is the version's folder (the default: the folder that was verified). Decides anew when the reviewer has
    decided before. Raises UsageError when the key is the pipeline's own, or a word is missing.
    """
    folder, keyid = verified.folder, pair.public.fingerprint
    if keyid == verified.keyid:
        raise UsageError(f"the key {keyid} signed the evidence itself: a reviewer is not the author",
                         hint="Make a key of your own: `mace-gov keys generate reviewer.pem`.")
    report = folder / REPORT_NAME
    try:
        said = SignOff(
            reviewer=reviewer, role=role, decision=decision, reason=reason,
            resource_uri=verified.resource_uri or "", governed_digest=verified.evidence.audit.governed_digest,
            evidence_digest=verified.evidence_digest, verdict_digest=sha256_file(folder / VERDICT_NAME),
            report_digest=sha256_file(report) if report.exists() else None, keyid=keyid, signed=timestamp(),
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(f"{problem['loc'][0]}: {problem['msg']}") from error
    subjects = {version_name(verified.evidence) or "model": said.governed_digest, EVIDENCE_NAME: said.evidence_digest,
                VERDICT_NAME: said.verdict_digest, REPORT_NAME: said.report_digest}
    statement = Statement(
        subject=[Subject(name=name, digest={"sha256": digest}) for name, digest in subjects.items() if digest],
        predicate_type=SIGN_OFF_TYPE, predicate=said.to_json(),
    )
    path = (out or folder) / SIGN_OFFS / f"{keyid}{SUFFIX}"
    write_bytes(path, seal(statement.canonical(), pair).canonical())
    return path


def sign_off_names(folder: Path) -> list[str]:
    """Files below ``folder``/sign-offs, relative to ``folder``."""
    if not (folder / SIGN_OFFS).is_dir():
        return []
    return [f"{SIGN_OFFS}/{name}" for name in file_names(folder / SIGN_OFFS)[0]]


def read_sign_offs(
    folder: Path, signed: Signed, trust: Trust, now: datetime
) -> tuple[tuple[SignOff, ...], list[str]]:
    """The sign-offs in ``folder`` on the verdict in ``signed``, and what was checked, in words.

    Without a pinned reviewer none counts. With one, each must be a pinned reviewer's and on this very verdict: raises
    IntegrityError that names the file otherwise.
    """
    names = sign_off_names(folder)
    if not names:
        return (), []
    if not trust.has(Role.REVIEWER):
        return (), [f"{len(names)} sign-offs were not checked and do not count: no reviewer's key is pinned"]
    found = tuple(_read(folder / name, signed, trust, now) for name in names)
    words = ", ".join(f"{one.reviewer} ({one.role}): {one.decision}" for one in found)
    return found, [f"{len(found)} sign-offs on this verdict, each by a pinned reviewer: {words}"]


def _read(path: Path, signed: Signed, trust: Trust, now: datetime) -> SignOff:
    statement, keyid = open_statement(path, trust, SIGN_OFF_TYPE, Role.REVIEWER)
    try:
        said = SignOff.from_json(statement.predicate)
    except ValidationError as error:
        raise IntegrityError(f"{path}: {first_problem(error, 'a sign-off of a known schema')}") from error
    subjects = {subject.name: subject.digest.get("sha256") for subject in statement.subject}
    verdict, uri = (signed.summary.digest, signed.summary.resource_uri) if signed.summary else (None, None)
    digests = {VERDICT_NAME: verdict, EVIDENCE_NAME: signed.evidence_digest}
    pairs = [
        ("file name", path.name, f"{keyid}{SUFFIX}"),
        ("keyid", said.keyid, keyid),
        ("verdictDigest", said.verdict_digest, verdict),
        ("evidenceDigest", said.evidence_digest, signed.evidence_digest),
        ("governedDigest", said.governed_digest, signed.evidence.audit.governed_digest),
        ("resourceUri", said.resource_uri, uri),
        *((f"subject {name}", subjects.get(name), digest) for name, digest in digests.items()),
        (f"subject {REPORT_NAME}", subjects.get(REPORT_NAME), said.report_digest),
    ]
    problems = [f"{path}: {what} is {found}, expected {expected}" for what, found, expected in pairs
                if found != expected]
    moment = parse_time(said.signed)
    if moment is None or moment > now + CLOCK_SKEW:
        problems.append(f"{path}: signed is '{said.signed}', expected a time in RFC 3339, not ahead of the clock")
    elif retired := trust.too_late(keyid, moment):
        problems.append(f"{path}: signed on {said.signed}, but its key {keyid} was retired on {retired}")
    if problems:
        raise IntegrityError("\n".join(problems))
    return said
