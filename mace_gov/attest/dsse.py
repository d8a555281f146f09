"""DSSE, the Dead Simple Signing Envelope, version 1 (https://github.com/secure-systems-lab/dsse).

Stricter than the specification where it leaves room: an envelope is its own canonical JSON and every signature in it
must hold under a pinned key. So no byte of an envelope's file can change unnoticed.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.trust import Trust
from mace_gov.core.canonical import strict_json
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.documents.evidence import PAYLOAD_TYPE, Envelope, Signature
from mace_gov.documents.trust import Role


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is really signed: both parts with their lengths, so that neither can run into the other."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, pair: KeyPair) -> Envelope:
    """Sign ``payload``."""
    signature = pair.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Envelope(
        payload=base64.b64encode(payload).decode("ascii"),
        signatures=[Signature(keyid=pair.public.fingerprint, sig=base64.b64encode(signature).decode("ascii"))],
    )


@dataclass(frozen=True)
class Opened:
    """What an envelope held, and who signed it."""

    payload: bytes
    """The signed bytes, not parsed yet."""
    keyid: str
    """The pinned key that signed them."""


def open_envelope(path: Path, trust: Trust, role: Role = Role.PIPELINE) -> Opened:
    """The signed bytes of the envelope in the file ``path``, once each of its signatures holds under a pinned key.

    ``role`` is what the signer must be pinned for. Raises IntegrityError that names the file.
    """
    envelope = read_envelope(path)
    ids = [signature.keyid for signature in envelope.signatures]
    if repeated := sorted({i for i in ids if ids.count(i) > 1}):
        raise IntegrityError(f"{path}: two signatures claim the same key: {', '.join(repeated)}")
    payload = decode(envelope.payload, path, "payload")
    message = pre_authentication_encoding(envelope.payload_type, payload)
    for signature in envelope.signatures:
        _, key = trust.pick(signature.keyid, role, path)
        if not key.holds(decode(signature.sig, path, "signature"), message):
            raise IntegrityError(
                f"{path}: the signature does not hold under key {key.fingerprint}: the payload or the signature was "
                "changed after signing"
            )
    return Opened(payload, ids[0])


def read_envelope(path: Path) -> Envelope:
    """Parse the file ``path`` as an envelope in canonical form, unverified. Raises IntegrityError."""
    try:
        data = read_file(path)
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise IntegrityError(f"{path}: is empty, expected a DSSE envelope")
    try:
        envelope = Envelope.from_json(strict_json(data))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise IntegrityError(f"{path}: is not a DSSE envelope: {where}: {problem['msg']}") from error
    except ValueError as error:
        raise IntegrityError(f"{path}: is not a DSSE envelope: {error}") from error
    if envelope.canonical() != data:
        raise IntegrityError(f"{path}: is not in canonical form: it was changed after it was written")
    return envelope


def decode(text: str, path: Path, what: str) -> bytes:
    """Bytes of canonical base64; ``path`` and ``what`` name it in the IntegrityError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityError(f"{path}: the {what} is not base64: {error}") from error
    # Base64 has spare bits in its last letter; another letter there would decode to the same bytes.
    if not data or base64.b64encode(data).decode("ascii") != text:
        raise IntegrityError(f"{path}: the {what} is not canonical base64 of at least one byte")
    return data
