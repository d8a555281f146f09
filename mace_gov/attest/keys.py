"""A registry's own keys: the pipeline's two pairs, made on first use, and the trust file that pins them.

    keys/pipeline.pem  pipeline.pub.pem     Ed25519: envelopes
    keys/model.pem     model.pub.pem        ECDSA on P-256: the OpenSSF model signature
    keys/trust.json                         every key that ever counted here, and the reviewers'
"""

from __future__ import annotations

import json
from pathlib import Path

from mace_gov.attest.keypair import (
    KeyPair,
    PublicKey,
    generate_key,
    load_key_pair,
    load_public_key,
    public_path_of,
    refuse_open_folder,
)
from mace_gov.attest.trust import Trust, load_trust, parse_trust, read_trust_file
from mace_gov.core.atomic import write_bytes
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.trust import Role, TrustedKey, TrustFile

PRIVATE_NAME, PUBLIC_NAME = "pipeline.pem", "pipeline.pub.pem"
MODEL_NAME, MODEL_PUBLIC_NAME = "model.pem", "model.pub.pem"
TRUST_NAME = "trust.json"
SIGNERS = {Role.PIPELINE: PRIVATE_NAME, Role.MODEL: MODEL_NAME}
SHORTEST_ID = 8

__all__ = ["KeyPair", "PublicKey", "ensure_key_pair", "ensure_model_pair", "key_folder", "load_public_key", "pin",
           "pinned_keys", "registry_trust", "revoke", "rotate"]


def key_folder(registry: Path) -> Path:
    """Where a registry keeps its keys."""
    return registry / "keys"


def ensure_key_pair(registry: Path, *, passphrase: bytes | None = None) -> KeyPair:
    """The registry's signing pair, made (encrypted under ``passphrase``, if any) and pinned when there is none.

    Raises IntegrityError for a private key that others may read, for a public one that is another's, and for one that
    was retired or revoked; UsageError when it is encrypted and the passphrase is missing or wrong.
    """
    return _ensure(registry, Role.PIPELINE, passphrase)


def ensure_model_pair(registry: Path, *, passphrase: bytes | None = None) -> KeyPair:
    """The registry's pair for OpenSSF model signatures. See ``ensure_key_pair``."""
    return _ensure(registry, Role.MODEL, passphrase)


def registry_trust(registry: Path) -> Trust:
    """What a verifier pins who was given no key: the registry's own word for itself, which proves less."""
    folder = key_folder(registry)
    return load_trust(folder / (TRUST_NAME if (folder / TRUST_NAME).exists() else PUBLIC_NAME))


def pinned_keys(registry: Path) -> list[TrustedKey]:
    """The entries of the registry's trust file; none when it has no such file."""
    path = key_folder(registry) / TRUST_NAME
    return read_trust_file(path).keys if path.exists() else []


def pin(registry: Path, key: PublicKey, *, role: Role, name: str) -> TrustedKey:
    """Add ``key`` to the registry's trust file. Raises UsageError when it is there already, in whatever role."""
    keys = pinned_keys(registry)
    if known := _entry(keys, key.fingerprint):
        raise UsageError(f"the key {known.keyid} is pinned already, as {known.role} '{known.name}'",
                         hint="A key has one role, for a reviewer is not the author; a revoked key stays revoked.")
    entry = TrustedKey(name=name, role=role, keyid=key.fingerprint, pem=key.pem().decode(), since=timestamp())
    _write(registry, [*keys, entry])
    return entry


def rotate(registry: Path, role: Role, *, passphrase: bytes | None = None) -> tuple[TrustedKey, KeyPair]:
    """Make a new signing key in the place of the old one, which is retired: what it signed until now still verifies.

    The old private half is destroyed. The new one is encrypted under ``passphrase``, or like the old one. Returns the
    old key's entry and the new pair.
    """
    old = _ensure(registry, role, passphrase)
    entry = _mark(registry, old.public.fingerprint, retired=timestamp())
    old.private_path.unlink()
    old.public_path.unlink()
    return entry, _ensure(registry, role, passphrase or old.secret)


def revoke(registry: Path, keyid: str, reason: str) -> TrustedKey:
    """Mark a key as revoked: from now on nothing that it signed counts. ``keyid`` may be its first 8 digits or more.

    A signing key of the registry is taken out of use as well. Raises UsageError unless one pinned key has that id.
    """
    wanted = keyid.removeprefix("sha256:")
    found = [key for key in pinned_keys(registry) if len(wanted) >= SHORTEST_ID and key.keyid.startswith(wanted)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} pinned keys have an id that begins with '{wanted}', expected one",
                         hint=f"Give at least {SHORTEST_ID} digits of it; `mace-gov keys list` shows them.")
    entry = _mark(registry, found[0].keyid, revoked=timestamp(), reason=reason)
    for name in SIGNERS.values():
        private = key_folder(registry) / name
        public = public_path_of(private)
        if public.exists() and public.read_bytes() == entry.pem.encode():
            private.unlink(missing_ok=True)
            public.unlink()
    return entry


def _ensure(registry: Path, role: Role, passphrase: bytes | None) -> KeyPair:
    folder = key_folder(registry)
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o700)
    refuse_open_folder(folder)
    path, curve = folder / SIGNERS[role], role is Role.MODEL
    made = not path.exists() and generate_key(path, passphrase=passphrase, curve=curve)
    pair = load_key_pair(path, curve=curve, made=made, passphrase=passphrase if made else None)
    known = _entry(pinned_keys(registry), pair.public.fingerprint)
    if known is None:
        pin(registry, pair.public, role=role, name=f"{role} of this registry")
    elif known.role is not role or known.retired or known.revoked:
        state = "revoked" if known.revoked else "retired" if known.retired else f"pinned as {known.role}"
        raise IntegrityError(f"the signing key {path} ({known.keyid}) is {state} in {folder / TRUST_NAME}",
                             hint=f"Remove {path} and {public_path_of(path)}: the next command makes a new pair.")
    return pair


def _entry(keys: list[TrustedKey], keyid: str) -> TrustedKey | None:
    return next((key for key in keys if key.keyid == keyid), None)


def _mark(registry: Path, keyid: str, **changes: str) -> TrustedKey:
    keys = [TrustedKey.from_json({**k.to_json(), **changes}) if k.keyid == keyid else k for k in pinned_keys(registry)]
    _write(registry, keys)
    return next(key for key in keys if key.keyid == keyid)


def _write(registry: Path, keys: list[TrustedKey]) -> None:
    document = TrustFile(keys=keys)
    parse_trust(document, TRUST_NAME)
    write_bytes(key_folder(registry) / TRUST_NAME, json.dumps(document.to_json(), indent=2).encode() + b"\n")
