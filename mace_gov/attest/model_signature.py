"""The OpenSSF model signature (https://github.com/ossf/model-signing-spec): a Sigstore bundle on a list of files.

``model_signing verify key model --signature model.sig --public_key model.pub.pem`` verifies it without this package.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mace_gov.attest.dsse import decode, pre_authentication_encoding
from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.trust import Trust
from mace_gov.core.canonical import canonical_json, strict_json
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.documents.evidence import PAYLOAD_TYPE, STATEMENT_TYPE
from mace_gov.documents.registry import MODEL_PREFIX
from mace_gov.documents.trust import Role

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MODEL_SIGNATURE_TYPE = "https://model_signing/signature/v1.0"


def model_signature(files: Mapping[str, str], pair: KeyPair) -> bytes:
    """The bundle over a model folder's ``files`` (digest by relative path), signed with an ECDSA key on P-256."""
    root = sha256_bytes(b"".join(bytes.fromhex(files[name]) for name in sorted(files)))
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": MODEL_PREFIX.rstrip("/"), "digest": {"sha256": root}}],
        "predicateType": MODEL_SIGNATURE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": [{"name": n, "algorithm": "sha256", "digest": files[n]} for n in sorted(files)],
        },
    }
    payload = canonical_json(statement)
    signature = pair.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return canonical_json({
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": sha256_bytes(pair.public.pem())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode("ascii"), "keyid": ""}],
        },
    })


def read_model_signature(path: Path, trust: Trust, made: str) -> dict[str, str]:
    """The files that the bundle in ``path`` lists, digest by relative path.

    Its signature is checked where a model key is pinned. ``made`` is the time in the evidence that lists it, for a
    bundle has none of its own. Raises IntegrityError that names the file.
    """
    try:
        bundle = strict_json(read_file(path))
        envelope = bundle["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        payload = decode(envelope["payload"], path, "payload")
        if trust.has(Role.MODEL):
            _check(path, trust, bundle["verificationMaterial"]["publicKey"]["hint"], payload, signature["sig"], made)
        return _files(strict_json(payload))
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise IntegrityError(f"{path}: is not an OpenSSF model signature: {error}") from error


def _check(path: Path, trust: Trust, hint: str, payload: bytes, signature: str, made: str) -> None:
    # The bundle names its key by the digest of the PEM form.
    keyid = next((entry.keyid for entry, key in trust.keys if sha256_bytes(key.pem()) == hint), str(hint))
    _, key = trust.pick(keyid, Role.MODEL, path)
    if not key.holds(decode(signature, path, "signature"), pre_authentication_encoding(PAYLOAD_TYPE, payload)):
        raise IntegrityError(f"{path}: the signature does not hold under key {keyid}")
    trust.refuse_late(keyid, made, path)


def _files(statement: dict[str, Any]) -> dict[str, str]:
    if statement["predicateType"] != MODEL_SIGNATURE_TYPE:
        raise ValueError(f"predicate type is {statement['predicateType']}, expected {MODEL_SIGNATURE_TYPE}")
    resources = statement["predicate"]["resources"]
    files = {resource["name"]: resource["digest"] for resource in resources}
    if len(files) != len(resources) or not all(isinstance(name, str) for name in files):
        raise ValueError("a file is named twice, or its name is no text")
    return files
