"""A registry's own keys: the pipeline's two pairs, made on first use, and the trust file that pins them.

    keys/pipeline.pem  pipeline.pub.pem     Ed25519: envelopes
    keys/model.pem     model.pub.pem        ECDSA on P-256: the OpenSSF model signature
    keys/trust.json                         every key that ever counted here, and the reviewers'
    pinned.json                             what trust.json has said: it must not be lost, nor an older one put back
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
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
from mace_gov.core.files import SMALL_BYTES, read_file
from mace_gov.core.git import would_commit
from mace_gov.core.locks import lock
from mace_gov.documents.registry import Layout
from mace_gov.documents.trust import Role, TrustedKey, TrustFile

PRIVATE_NAME, PUBLIC_NAME = "pipeline.pem", "pipeline.pub.pem"
MODEL_NAME, MODEL_PUBLIC_NAME = "model.pem", "model.pub.pem"
TRUST_NAME = "trust.json"
IGNORE_NAME, IGNORED = ".gitignore", b"# Private keys are never committed.\n*.pem\n!*.pub.pem\n"
SIGNERS = {Role.PIPELINE: PRIVATE_NAME, Role.MODEL: MODEL_NAME}
SHORTEST_ID = 8

__all__ = ["KeyPair", "PublicKey", "ensure_key_pair", "ensure_model_pair", "load_public_key",
           "own_key_pair", "pin", "pinned_keys", "registry_trust", "revoke", "rotate"]


def ensure_key_pair(registry: Path, *, passphrase: bytes | None = None) -> KeyPair:
    """The registry's signing pair, made (encrypted under ``passphrase``, if any) and pinned when there is none.

    Raises IntegrityError for a private key that others may read, for a public one that is another's, and for one that
    was retired or revoked; UsageError when it is encrypted and the passphrase is missing or wrong, and when git would
    commit a new one.
    """
    with _locked(registry):
        return _ensure(registry, Role.PIPELINE, passphrase)


def ensure_model_pair(registry: Path, *, passphrase: bytes | None = None) -> KeyPair:
    """The registry's pair for OpenSSF model signatures. See ``ensure_key_pair``."""
    with _locked(registry):
        return _ensure(registry, Role.MODEL, passphrase)


def own_key_pair(registry: Path, trust: Trust) -> KeyPair | None:
    """The registry's signing pair if it is here and ``trust`` lets it sign; None otherwise. Never makes one."""
    path = Layout(registry).keys / PRIVATE_NAME
    public = public_path_of(path)
    if not path.exists() or (public.exists() and not trust.signs(load_public_key(public).fingerprint, Role.PIPELINE)):
        return None
    refuse_open_folder(path.parent)
    pair = load_key_pair(path)
    return pair if trust.signs(pair.public.fingerprint, Role.PIPELINE) else None


def registry_trust(registry: Path) -> Trust:
    """What a verifier pins who was given no key: the registry's own word for itself, which proves less.

    Raises IntegrityError when the trust file is gone or says less than it has said.
    """
    keys, folder = pinned_keys(registry), Layout(registry).keys
    if (folder / TRUST_NAME).exists():
        return parse_trust(TrustFile(keys=keys), str(folder / TRUST_NAME))
    return load_trust(folder / PUBLIC_NAME)


def pinned_keys(registry: Path) -> list[TrustedKey]:
    """The entries of the registry's trust file; none when it has never had such a file.

    Raises IntegrityError when the file is gone, or lacks a key, a retirement or a revocation that it has had: whoever
    deletes it, or puts an older one back, must not make a revoked key count again.
    """
    path, repeated = Layout(registry).keys / TRUST_NAME, Layout(registry).pinned
    before = read_trust_file(repeated).keys if repeated.exists() else []
    if not path.exists():
        if not before:
            return []
        raise IntegrityError(f"{path} is gone, expected the {len(before)} keys that {repeated} still names", hint=(
            f"Find out who took it away, compare {repeated} with what you know, then copy it to {path}."))
    keys = read_trust_file(path).keys
    if lost := [problem for was in before if (problem := _forgotten(was, _entry(keys, was.keyid)))]:
        raise IntegrityError("\n".join(f"{path}: {problem}, as {repeated} says" for problem in lost), hint=(
            f"An older trust file was put back, or it was edited. Put back what {repeated} says."))
    return keys


def pin(registry: Path, key: PublicKey, *, role: Role, name: str) -> TrustedKey:
    """Add ``key`` to the registry's trust file. Raises UsageError when it is there already, in whatever role."""
    with _locked(registry):
        return _pin(registry, key, role, name)


def _pin(registry: Path, key: PublicKey, role: Role, name: str) -> TrustedKey:
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
    with _locked(registry):
        old = _ensure(registry, role, passphrase)
        entry = _mark(registry, old.public.fingerprint, retired=timestamp())
        old.private_path.unlink()
        old.public_path.unlink()
        return entry, _ensure(registry, role, passphrase or old.secret)


def revoke(registry: Path, keyid: str, reason: str) -> TrustedKey:
    """Mark a key as revoked: from now on nothing that it signed counts. ``keyid`` may be its first 8 digits or more.

    A signing key of the registry is taken out of use as well. Raises UsageError unless one pinned key has that id.
    """
    with _locked(registry):
        return _revoke(registry, keyid, reason)


def _revoke(registry: Path, keyid: str, reason: str) -> TrustedKey:
    wanted = keyid.removeprefix("sha256:")
    found = [key for key in pinned_keys(registry) if len(wanted) >= SHORTEST_ID and key.keyid.startswith(wanted)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} pinned keys have an id that begins with '{wanted}', expected one",
                         hint=f"Give at least {SHORTEST_ID} digits of it; `mace-gov keys list` shows them.")
    entry = _mark(registry, found[0].keyid, revoked=timestamp(), reason=reason)
    for name in SIGNERS.values():
        private = Layout(registry).keys / name
        public = public_path_of(private)
        if public.is_file() and read_file(public, SMALL_BYTES) == entry.pem.encode():
            private.unlink(missing_ok=True)
            public.unlink()
    return entry


@contextmanager
def _locked(registry: Path) -> Iterator[None]:
    """The registry's keys, held: who changes the trust file reads it first, and nobody may write in between."""
    folder = Layout(registry).keys
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    with lock(folder):
        yield


def _ensure(registry: Path, role: Role, passphrase: bytes | None) -> KeyPair:
    folder = Layout(registry).keys
    refuse_open_folder(folder)
    ignore, path, curve = folder / IGNORE_NAME, folder / SIGNERS[role], role is Role.MODEL
    if not ignore.exists():
        write_bytes(ignore, IGNORED)
    if not path.exists() and read_file(ignore, SMALL_BYTES) != IGNORED and would_commit(path):
        raise UsageError(f"git would commit {path}: found a {ignore} that does not ignore it, expected one that does",
                         hint=f"`rm {ignore}` has it written anew.")
    made = not path.exists() and generate_key(path, passphrase=passphrase, curve=curve)
    pair = load_key_pair(path, curve=curve, made=made, passphrase=passphrase if made else None)
    known = _entry(pinned_keys(registry), pair.public.fingerprint)
    if known is None:
        _pin(registry, pair.public, role, f"{role} of this registry")
    elif known.role is not role or known.retired or known.revoked:
        state = "revoked" if known.revoked else "retired" if known.retired else f"pinned as {known.role}"
        raise IntegrityError(f"the signing key {path} ({known.keyid}) is {state} in {folder / TRUST_NAME}",
                             hint=f"Remove {path} and {public_path_of(path)}: the next command makes a new pair.")
    return pair


def _entry(keys: list[TrustedKey], keyid: str) -> TrustedKey | None:
    return next((key for key in keys if key.keyid == keyid), None)


def _forgotten(was: TrustedKey, now: TrustedKey | None) -> str | None:
    """What the trust file no longer says of a key that it named before."""
    if now is None:
        return f"the key {was.keyid} ({was.name}, {was.role}) is missing"
    said = [("role", was.role, now.role), ("retired", was.retired, now.retired), ("revoked", was.revoked, now.revoked)]
    lost = [f"{field} is {found}, expected {expected}" for field, expected, found in said
            if expected is not None and found != expected]
    return f"the key {was.keyid} ({was.name}): {', '.join(lost)}" if lost else None


def _mark(registry: Path, keyid: str, **changes: str) -> TrustedKey:
    keys = [TrustedKey.from_json({**k.to_json(), **changes}) if k.keyid == keyid else k for k in pinned_keys(registry)]
    _write(registry, keys)
    return next(key for key in keys if key.keyid == keyid)


def _write(registry: Path, keys: list[TrustedKey]) -> None:
    document = TrustFile(keys=keys)
    parse_trust(document, TRUST_NAME)
    data = json.dumps(document.to_json(), indent=2).encode() + b"\n"
    # The one that counts comes first: between the two it says more than it has said, which is no loss.
    write_bytes(Layout(registry).keys / TRUST_NAME, data)
    write_bytes(Layout(registry).pinned, data)
