"""DSSE, the Dead Simple Signing Envelope, version 1 (https://github.com/secure-systems-lab/dsse).

Stricter than the specification where it leaves room: an envelope is its own canonical JSON and every signature in it
must hold under a pinned key. So no byte of an envelope's file can change unnoticed.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from mace_gov.attest.keys import KeyPair, PublicKey
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import PAYLOAD_TYPE, Envelope, Signature


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is really signed: both parts with their lengths, so that neither can run into the other."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, pair: KeyPair) -> Envelope:
    """Sign ``payload`` with the pipeline's key."""
    signature = pair.private.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Envelope(
        payload=base64.b64encode(payload).decode("ascii"),
        signatures=[Signature(keyid=pair.public.fingerprint, sig=base64.b64encode(signature).decode("ascii"))],
    )


def open_envelope(path: Path, key: PublicKey) -> bytes:
    """The signed bytes of the envelope in the file ``path``, once its signature holds under the pinned ``key``.

    The payload is not parsed here. Raises IntegrityError that names the file.
    """
    envelope = read_envelope(path)
    ids = [signature.keyid for signature in envelope.signatures]
    if repeated := sorted({i for i in ids if ids.count(i) > 1}):
        raise IntegrityError(f"{path}: two signatures claim the same key: {', '.join(repeated)}")
    payload = _decode(envelope.payload, path, "payload")
    message = pre_authentication_encoding(envelope.payload_type, payload)
    for signature in envelope.signatures:
        if signature.keyid != key.fingerprint:
            raise IntegrityError(
                f"{path}: signed by key {signature.keyid}, expected {key.fingerprint}",
                hint="Pin the right key with --key. If it was the right one, do not trust this folder.",
            )
        try:
            key.key.verify(_decode(signature.sig, path, "signature"), message)
        except InvalidSignature as error:
            raise IntegrityError(
                f"{path}: the signature does not hold under key {key.fingerprint}: the payload or the signature was "
                "changed after signing"
            ) from error
    return payload


def read_envelope(path: Path) -> Envelope:
    """Parse the file ``path`` as an envelope in canonical form, unverified. Raises IntegrityError."""
    try:
        data = path.read_bytes()
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


def strict_json(data: bytes) -> Any:
    """Parse JSON, refusing a duplicate key, NaN and infinity: two readers must never see two things.

    Raises ValueError.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in items:
            if name in seen:
                raise ValueError(f"the key '{name}' is there twice")
            seen[name] = value
        return seen

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _decode(text: str, path: Path, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityError(f"{path}: the {what} is not base64: {error}") from error
    # Base64 has spare bits in its last letter; another letter there would decode to the same bytes.
    if not data or base64.b64encode(data).decode("ascii") != text:
        raise IntegrityError(f"{path}: the {what} is not canonical base64 of at least one byte")
    return data
