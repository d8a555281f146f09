"""Sign-offs: a reviewer looks at a verified report or version, decides, and signs the verdict.

Each is a file of its own, ``sign-offs/KEYID-0001.dsse.json`` and on, and none is ever replaced. ``attest.decisions``
reads them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.contradictions import CLOCK_SKEW
from mace_gov.attest.dsse import decode, read_envelope, seal
from mace_gov.attest.folder import file_names
from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.signed import Signed
from mace_gov.attest.statement import first_problem, open_statement, parse_statement, version_name
from mace_gov.attest.trust import Trust
from mace_gov.core.atomic import write_new
from mace_gov.core.clock import parse_time, timestamp
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError, UsageError
from mace_gov.documents.evidence import Statement, Subject, VerifiedEvidence
from mace_gov.documents.registry import EVIDENCE_NAME, REPORT_NAME, SIGN_OFFS, VERDICT_NAME, Layout
from mace_gov.documents.sign_off import SIGN_OFF_TYPE, Decision, SignOff
from mace_gov.documents.trust import Role

SUFFIX = ".dsse.json"
"""Folder of the registry that repeats every sign-off, ``decisions/MODEL/VERDICT/KEYID-0001.dsse.json``."""
_NUMBERED = re.compile(r"[0-9a-f]{64}-[0-9]{4}\.dsse\.json")


def decision_folder(registry: Path, governed_digest: str, verdict_digest: str) -> Path:
    """Where a registry repeats the sign-offs on a verdict: by digests, so that it follows no folder's name."""
    return Layout(registry).decisions(governed_digest) / verdict_digest


@dataclass(frozen=True)
class ReviewerDecision:
    """What a reviewer decided on a verdict, before it is signed."""

    decision: Decision
    """Approve, reject, or approve under a condition."""
    reviewer: str
    """Who."""
    role: str
    """As what they looked."""
    reason: str
    """Why."""
    review_digest: str | None = None
    """The last line of the reviewer's journal, where they looked with ``mace-gov review``."""


def sign_off(
    verified: VerifiedEvidence, pair: KeyPair, made: ReviewerDecision, *, out: Path | None = None,
    registry: Path | None = None, seen: str | None = None,
) -> Path:
    """Sign a decision on the verified folder's verdict. Returns the envelope, ``sign-offs/KEYID-0001.dsse.json``.

    ``out`` is the version's folder (the default: the folder that was verified), ``registry`` the one that is to repeat
    it. A later decision of the same key is added under the next number. seen: SHA-256 that the report's envelope must
    have. Raises UsageError when it has another, the key is the pipeline's own, or a word is missing; IncompleteError
    when another process has just signed with it.
    """
    folder, keyid = verified.folder, pair.public.fingerprint
    if keyid == verified.keyid:
        raise UsageError(
            f"the key {keyid} signed the evidence itself: a reviewer is not the author",
            hint="Make a key of your own: `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.",
        )
    report = folder / REPORT_NAME
    report_digest = sha256_file(report) if report.exists() else None
    if seen is not None and report_digest != seen:
        raise UsageError(f"{folder} was written anew since it was looked at, expected the report of {seen}",
                         hint="Open the new one, then decide.")
    governed, verdict = verified.evidence.audit.governed_digest, sha256_file(folder / VERDICT_NAME)
    places = [(out or folder) / SIGN_OFFS, *([decision_folder(registry, governed, verdict)] if registry else [])]
    there = sorted({path for place in (folder / SIGN_OFFS, *places) for path in place.glob(f"*{SUFFIX}")})
    own = [one for one in verified.sign_offs if one.keyid == keyid]
    numbers = [one.number or 1 for one in own] + [_number(path) for path in there if path.name.startswith(keyid)]
    try:
        said = SignOff(
            reviewer=made.reviewer, role=made.role, decision=made.decision, reason=made.reason,
            resource_uri=verified.resource_uri or "", governed_digest=governed,
            evidence_digest=verified.evidence_digest, verdict_digest=verdict,
            report_digest=report_digest, review_digest=made.review_digest, keyid=keyid,
            # A clock that was set back does not make the later decision the earlier one.
            signed=max(timestamp(), *(one.signed for one in own), ""), number=max(numbers, default=0) + 1,
            seen=sorted({sha256_file(path) for path in there}), filed=registry is not None,
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
    data = seal(statement.canonical(), pair).canonical()
    for place in reversed(places):
        try:
            write_new(place / file_name(said), data)
        except FileExistsError as error:
            raise IncompleteError(f"{place / file_name(said)} has just been written by another process",
                                  hint="Look, then run again.") from error
    return places[0] / file_name(said)


def file_name(said: SignOff) -> str:
    """The name that a sign-off's file must have."""
    return f"{said.keyid}{SUFFIX}" if said.number is None else f"{said.keyid}-{said.number:04d}{SUFFIX}"


def sign_off_names(folder: Path) -> list[str]:
    """Files below ``folder``/sign-offs, relative to ``folder``."""
    if not (folder / SIGN_OFFS).is_dir():
        return []
    return [f"{SIGN_OFFS}/{name}" for name in file_names(folder / SIGN_OFFS)[0]]


def read_sign_off(path: Path, signed: Signed, trust: Trust, now: datetime) -> SignOff:
    """The sign-off in the file ``path``, which must be on the verdict in ``signed``.

    Its signature is checked where a reviewer's key is pinned. Raises IntegrityError that names the file.
    """
    said, statement = open_sign_off(path, trust, now)
    subjects = {subject.name: subject.digest.get("sha256") for subject in statement.subject}
    verdict, uri = (signed.summary.digest, signed.summary.resource_uri) if signed.summary else (None, None)
    digests = {VERDICT_NAME: verdict, EVIDENCE_NAME: signed.evidence_digest}
    _agree(path, [
        ("verdictDigest", said.verdict_digest, verdict),
        ("evidenceDigest", said.evidence_digest, signed.evidence_digest),
        ("governedDigest", said.governed_digest, signed.evidence.audit.governed_digest),
        ("resourceUri", said.resource_uri, uri),
        *((f"subject {name}", subjects.get(name), digest) for name, digest in digests.items()),
        (f"subject {REPORT_NAME}", subjects.get(REPORT_NAME), said.report_digest),
    ])
    return said


def open_sign_off(path: Path, trust: Trust, now: datetime) -> tuple[SignOff, Statement]:
    """The sign-off in the file ``path`` and its statement, whatever it is about. See ``read_sign_off``.

    Its reviewer is whom the key is pinned for: what somebody calls themselves makes no second person.
    """
    pinned = None
    if trust.has(Role.REVIEWER):
        statement, keyid = open_statement(path, trust, SIGN_OFF_TYPE, Role.REVIEWER)
        pinned = trust.name_of(keyid)
    else:
        envelope = read_envelope(path)
        statement = parse_statement(decode(envelope.payload, path, "payload"), path, SIGN_OFF_TYPE)
        keyid = envelope.signatures[0].keyid
    try:
        said = SignOff.from_json(statement.predicate)
    except ValidationError as error:
        raise IntegrityError(f"{path}: {first_problem(error, 'a sign-off of a known schema')}") from error
    _agree(path, [("file name", path.name, file_name(said)), ("keyid", said.keyid, keyid)])
    when = parse_time(said.signed)
    if when is None or when > now + CLOCK_SKEW:
        raise IntegrityError(
            f"{path}: signed is '{said.signed}', expected a time in RFC 3339, not ahead of the clock")
    if retired := trust.too_late(keyid, when):
        raise IntegrityError(f"{path}: signed on {said.signed}, but its key {keyid} was retired on {retired}")
    return said.model_copy(update={"reviewer": pinned or said.reviewer}), statement


def _number(path: Path) -> int:
    return int(path.name[65:69]) if _NUMBERED.fullmatch(path.name) else 1


def _agree(path: Path, pairs: list[tuple[str, object, object]]) -> None:
    problems = [f"{path}: {what} is {found}, expected {expected}" for what, found, expected in pairs
                if found != expected]
    if problems:
        raise IntegrityError("\n".join(problems))
