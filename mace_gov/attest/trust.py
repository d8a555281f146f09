"""Pinned keys and what they may sign. Read from a trust file, or from the one public key that a verifier was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.keypair import PublicKey, parse_public_key
from mace_gov.core.canonical import strict_json
from mace_gov.core.clock import parse_time, timestamp
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import SMALL_BYTES, read_file
from mace_gov.documents.trust import Role, TrustedKey, TrustFile

WRONG_KEY = "Pin the right key with --key. If it was the right one, do not trust this folder."


@dataclass(frozen=True)
class Trust:
    """Pinned keys, parsed. Envelopes name a key by its id; what answers is taken from here, never from them."""

    keys: tuple[tuple[TrustedKey, PublicKey], ...]
    """Entries of the trust file with their keys."""

    @classmethod
    def of(cls, key: PublicKey) -> Trust:
        """The pipeline's public key alone: what ``--key PUBLIC.pem`` pins."""
        entry = TrustedKey(name="pinned key", role=Role.PIPELINE, keyid=key.fingerprint, pem=key.pem().decode(),
                           since=timestamp())
        return cls(((entry, key),))

    def has(self, role: Role) -> bool:
        """Whether any key is pinned for ``role``, revoked ones included."""
        return any(entry.role is role for entry, _ in self.keys)

    def signs(self, keyid: str, role: Role) -> bool:
        """Whether the key ``keyid`` may sign as ``role`` now: pinned for it, not retired, not revoked."""
        return any((entry.keyid, entry.role, entry.retired, entry.revoked) == (keyid, role, None, None)
                   for entry, _ in self.keys)

    def name_of(self, keyid: str) -> str | None:
        """Whose key ``keyid`` is; None if it is not pinned."""
        return next((entry.name for entry, _ in self.keys if entry.keyid == keyid), None)

    def too_late(self, keyid: str, when: datetime) -> str | None:
        """When the key ``keyid`` was retired, if that was before ``when``."""
        for entry, _ in self.keys:
            retired = parse_time(entry.retired) if entry.keyid == keyid and entry.retired else None
            if retired is not None and when > retired:
                return entry.retired
        return None

    def refuse_late(self, keyid: str, text: str, place: object) -> None:
        """Raise IntegrityError when the key ``keyid`` was retired before ``text``, when it signed ``place``.

        Text that is no time is refused by whoever reads the document that it stands in.
        """
        when = parse_time(text)
        if when is not None and (retired := self.too_late(keyid, when)):
            raise IntegrityError(f"{place}: was signed on {text}, but its key {keyid} was retired on {retired}")

    def pick(self, keyid: str, role: Role, place: object) -> tuple[TrustedKey, PublicKey]:
        """The key ``keyid`` with its entry, if it may sign as ``role``. ``place`` names what it signed, in errors.

        Raises IntegrityError when it is not pinned, pinned for something else, or revoked.
        """
        for entry, key in self.keys:
            if entry.keyid != keyid:
                continue
            if entry.role is not role:
                raise IntegrityError(f"{place}: signed by key {keyid} ({entry.name}), which is pinned as {entry.role}, "
                                     f"expected a {role}", hint=WRONG_KEY)
            if entry.revoked:
                raise IntegrityError(
                    f"{place}: signed by key {keyid} ({entry.name}), which was revoked on {entry.revoked}: "
                    f"{entry.reason or 'no reason given'}",
                    hint="Have it made and signed anew: whoever took the key can sign with any date.",
                )
            return entry, key
        pinned = ", ".join(entry.keyid for entry, _ in self.keys if entry.role is role) or f"no {role} key at all"
        raise IntegrityError(f"{place}: signed by key {keyid}, expected {pinned}", hint=WRONG_KEY)


def load_trust(path: Path) -> Trust:
    """A trust file (JSON), or one public key (PEM), which is then the pipeline's.

    Raises IntegrityError that names the file and the entry.
    """
    try:
        data = read_file(path, SMALL_BYTES)
    except OSError as error:
        raise IntegrityError(
            f"the public key {path} cannot be read: {error.strerror}",
            hint="Give the public key of whoever signed, or a trust file, with --key; see `mace-gov keys show`.",
        ) from error
    if not data.lstrip().startswith(b"{"):
        return Trust.of(parse_public_key(data, str(path)))
    return parse_trust(read_trust_file(path), str(path))


def read_trust_file(path: Path) -> TrustFile:
    """The document in the trust file ``path``. Raises IntegrityError when it is not one."""
    try:
        return TrustFile.from_json(strict_json(read_file(path, SMALL_BYTES)))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise IntegrityError(f"{path} is not a trust file: {where}: {problem['msg']}") from error
    except OSError as error:
        raise IntegrityError(f"the trust file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise IntegrityError(f"{path} is not a trust file: {error}") from error


def parse_trust(document: TrustFile, place: str) -> Trust:
    """The keys of a trust file. Raises IntegrityError for an entry whose id or time is not what it says."""
    keys = []
    for entry in document.keys:
        where = f"{place}: key '{entry.name}'"
        key = parse_public_key(entry.pem.encode(), where, curve=entry.role is Role.MODEL)
        if key.fingerprint != entry.keyid:
            raise IntegrityError(f"{where} has the id {entry.keyid}, but its key's fingerprint is {key.fingerprint}")
        for field, text in (("since", entry.since), ("retired", entry.retired), ("revoked", entry.revoked)):
            if text is not None and parse_time(text) is None:
                raise IntegrityError(f"{where}: {field} is '{text}', expected a time in RFC 3339 with its zone")
        keys.append((entry, key))
    return Trust(tuple(keys))
