"""Ed25519 keys: the pipeline's own pair, made on first use, and the public keys that a verifier pins."""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mace_gov.core.atomic import write_bytes
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError

PRIVATE_NAME = "pipeline.pem"
PUBLIC_NAME = "pipeline.pub.pem"
# NTFS has no such bits: what protects the key there is the folder's access list.
HAS_MODES = os.name == "posix"


@dataclass(frozen=True)
class PublicKey:
    """A public key that the verifier has chosen to trust: pinned, never taken from an envelope."""

    key: Ed25519PublicKey
    """The key itself."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER form; the ``keyid`` of its signatures."""
        return sha256_bytes(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def pem(self) -> bytes:
        """The PEM form, to hand to whoever verifies."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class KeyPair:
    """The pipeline's key pair."""

    private: Ed25519PrivateKey
    """Signs; never leaves this machine."""
    public: PublicKey
    """Verifies."""
    private_path: Path
    """Where the private key lies, mode 0600."""
    public_path: Path
    """Where the public key lies: copy it to where verification happens."""
    made: bool
    """Whether it was made just now; the caller warns the user that nobody has pinned it yet."""


def key_folder(registry: Path) -> Path:
    """Where a registry keeps its keys."""
    return registry / "keys"


def ensure_key_pair(registry: Path) -> KeyPair:
    """The registry's key pair, made when there is none.

    Raises IntegrityError when others may read the private key, when it is no Ed25519 key, or when the public key
    beside it belongs to another one.
    """
    folder = key_folder(registry)
    private_path, public_path = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    made = not private_path.exists() and _make_private(private_path)
    _refuse_open_modes(private_path)
    private = _read_private(private_path)
    public = PublicKey(private.public_key())
    if not public_path.exists():
        write_bytes(public_path, public.pem())
    elif (found := load_public_key(public_path).fingerprint) != public.fingerprint:
        raise IntegrityError(
            f"{public_path} is not the public half of {private_path}: found {found}, expected {public.fingerprint}",
            hint=f"Find out who replaced it. `rm {public_path}` has it written anew from the private key.",
        )
    return KeyPair(private, public, private_path, public_path, made)


def load_public_key(path: Path) -> PublicKey:
    """Read a public key from a PEM file. Raises IntegrityError when it is not one, or not Ed25519."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"the public key {path} cannot be read: {error.strerror}",
            hint="Give the public key of whoever signed with --key; it is registry/keys/pipeline.pub.pem there.",
        ) from error
    if b"PRIVATE KEY" in data:
        raise IntegrityError(f"{path} holds a private key, expected a public one", hint=f"Give {PUBLIC_NAME} instead.")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IntegrityError(f"{path} is not a public key in PEM form", hint=f"Give {PUBLIC_NAME}.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise IntegrityError(f"{path} is a {type(key).__name__}, expected an Ed25519 public key")
    return PublicKey(key)


def _make_private(path: Path) -> bool:
    """Write a new private key, unless another process was faster. True when it was this one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    data = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".new.")  # mode 0600 from its first moment
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        # A link, unlike a rename, never replaces a key that another process has just made.
        os.link(scratch, path)
    except FileExistsError:
        return False
    finally:
        Path(scratch).unlink()
    return True


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IntegrityError(
            f"the private key {path} cannot be read: {error}",
            hint="Restore it from a backup. A new key makes every verifier pin anew.",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise IntegrityError(f"{path} is a {type(key).__name__}, expected an Ed25519 private key")
    return key


def _refuse_open_modes(path: Path) -> None:
    if not HAS_MODES:
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise IntegrityError(
            f"the private key {path} may be read by others: mode {mode:04o}, expected 0600",
            hint=f"`chmod 600 {path}`, and make a new key if anyone else may have read this one.",
        )
    folder_mode = stat.S_IMODE(path.parent.stat().st_mode)
    if folder_mode & 0o022:
        raise IntegrityError(
            f"others may replace the keys in {path.parent}: mode {folder_mode:04o}, expected 0700",
            hint=f"`chmod 700 {path.parent}`",
        )
