"""A reviewer's journal: signed entries in a chain, ``reviews/MODEL/VERDICT/KEYID.jsonl`` of the registry.

Each line is a DSSE envelope around an in-toto statement, and names the digest of the line before: none can be changed,
or taken out of the middle, without the key.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.dsse import decode, pre_authentication_encoding, seal
from mace_gov.attest.keypair import KeyPair, PublicKey, parse_public_key
from mace_gov.attest.statement import first_problem, parse_statement
from mace_gov.core.canonical import strict_json
from mace_gov.core.clock import timestamp
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.core.locks import lock
from mace_gov.documents.evidence import Envelope, Statement, Subject
from mace_gov.documents.registry import EVIDENCE_NAME, VERDICT_NAME
from mace_gov.documents.review import REVIEW_TYPE, Act, Label, PictureRef, ReviewEntry

REVIEWS = "reviews"
"""Folder of the registry that keeps them."""


def journal_path(registry: Path, governed_digest: str, verdict_digest: str, keyid: str) -> Path:
    """Where a reviewer's journal on a verdict lies: by digests, so that it follows no folder's name."""
    return registry / REVIEWS / governed_digest / verdict_digest / f"{keyid}.jsonl"


@dataclass
class Journal:
    """One reviewer's entries on one verdict, in memory and on disk. ``head`` is the digest of its last line."""

    path: Path
    """Its file."""
    reviewer: str
    """Whose it is: the name that the key is pinned for."""
    keyid: str
    """The key that signs it."""
    evidence_digest: str
    """SHA-256 of the evidence envelope."""
    verdict_digest: str
    """SHA-256 of the verdict envelope."""
    entries: list[ReviewEntry] = field(default_factory=list)
    """What was done, in order."""
    head: str | None = None
    """Digest of the last line; None where there is none."""
    _size: int = 0
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(
        self, pair: KeyPair, act: Act, *, picture: PictureRef | None = None, rule: str | None = None,
        label: Label | None = None, text: str | None = None,
    ) -> ReviewEntry:
        """Sign one entry and append it; it is on disk when this returns.

        Raises IntegrityError when another process has written to the file meanwhile, OSError when it cannot be
        written, pydantic's ValidationError for words that are empty or too long.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing, lock(self.path.parent):
            entry = ReviewEntry(
                number=len(self.entries) + 1, previous=self.head, act=act, at=timestamp(), reviewer=self.reviewer,
                keyid=self.keyid, evidence_digest=self.evidence_digest, verdict_digest=self.verdict_digest,
                picture=picture, rule=rule, label=label, text=text,
            )
            statement = Statement(
                subject=[Subject(name=name, digest={"sha256": digest}) for name, digest in (
                    (EVIDENCE_NAME, self.evidence_digest), (VERDICT_NAME, self.verdict_digest))],
                predicate_type=REVIEW_TYPE, predicate=entry.to_json(),
            )
            line = seal(statement.canonical(), pair).canonical()
            self._refuse_changed()
            try:
                with self.path.open("r+b" if self.path.exists() else "xb") as file:
                    file.seek(self._size)
                    file.write(line + b"\n")
                    file.truncate()
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # whoever is told that it was not kept must not find it there later
                    os.truncate(self.path, self._size)
                raise
            self._size += len(line) + 1
            self.entries.append(entry)
            self.head = sha256_bytes(line)
        return entry

    def labels(self) -> dict[PictureRef, Label]:
        """The last label of each picture."""
        return {entry.picture: entry.label for entry in self.entries if entry.picture and entry.label}

    @property
    def closed(self) -> bool:
        """Whether the labelling has ended."""
        return any(entry.act is Act.CLOSE for entry in self.entries)

    def _refuse_changed(self) -> None:
        found = self.path.stat().st_size if self.path.exists() else 0
        # Half a line at the end is a write that was cut off, by a kill or a full disk: nobody was told that it counts.
        if found < self._size or (found > self._size and b"\n" in read_file(self.path)[self._size:]):
            raise IntegrityError(f"{self.path}: has {found} bytes, expected the {self._size} that were written here",
                                 hint="Another `mace-gov review` with the same key is open: use that one.")


def open_journal(
    path: Path, key: PublicKey, reviewer: str, *, evidence_digest: str, verdict_digest: str, named: Iterable[str] = ()
) -> Journal:
    """The journal in the file ``path``, every line checked; an empty one where there is no file.

    named: digests of lines that this key's sign-offs name. Raises IntegrityError that names the first line that does
    not hold, or says that one which was named is gone.
    """
    made = Journal(path, reviewer, key.fingerprint, evidence_digest, verdict_digest)
    data = read_file(path) if path.exists() else b""
    data = data[:data.rfind(b"\n") + 1]  # what follows was never finished
    missing, pem = set(named), key.pem()
    for number, line in enumerate(data.splitlines(), 1):
        entry = _entry(line, f"{path}, line {number}", pem)
        expected = (number, made.head, made.keyid, evidence_digest, verdict_digest)
        if (entry.number, entry.previous, entry.keyid, entry.evidence_digest, entry.verdict_digest) != expected:
            raise IntegrityError(f"{path}, line {number}: does not follow the line before, or is about another "
                                 "verdict: a line was changed, moved or taken out")
        made.entries.append(entry)
        made.head = sha256_bytes(line)
        missing.discard(made.head)
    if missing:
        raise IntegrityError(f"{path}: a sign-off was signed after the line {min(missing)}, which is gone: the "
                             "journal was cut off", hint="Put it back from a backup.")
    made._size = len(data)
    return made


@lru_cache(maxsize=1 << 16)  # what others did is read for every page of theirs, and only grows at its end
def _entry(line: bytes, place: str, pem: bytes) -> ReviewEntry:
    where, key = Path(place), parse_public_key(pem, place)
    try:
        envelope = Envelope.from_json(strict_json(line))
        payload = decode(envelope.payload, where, "payload")
        signed = pre_authentication_encoding(envelope.payload_type, payload)
        signature = decode(envelope.signatures[0].sig, where, "signature")
        if len(envelope.signatures) != 1 or envelope.canonical() != line or not key.holds(signature, signed):
            raise IntegrityError(f"{place}: the signature does not hold under key {key.fingerprint}")
        return ReviewEntry.from_json(parse_statement(payload, where, REVIEW_TYPE).predicate)
    except ValidationError as error:
        raise IntegrityError(f"{place}: {first_problem(error, 'an entry of a review')}") from error
    except ValueError as error:
        raise IntegrityError(f"{place}: is not a signed entry: {error}") from error


def comments(journals: Iterable[Journal]) -> list[ReviewEntry]:
    """Every comment of several reviewers, oldest first."""
    found = [entry for journal in journals for entry in journal.entries if entry.act is Act.COMMENT]
    return sorted(found, key=lambda entry: entry.at)
