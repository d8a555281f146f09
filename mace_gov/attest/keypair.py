"""Keys: Ed25519 for envelopes, ECDSA on P-256 for the OpenSSF model signature. Made here, or read from PEM files."""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mace_gov.attest.curve_point import point_problem
from mace_gov.attest.passphrase import MARK, passphrase_for, passphrase_from_environment
from mace_gov.core.atomic import write_bytes
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.core.files import SMALL_BYTES, read_file

# NTFS has no such bits: what protects the key there is the folder's access list.
HAS_MODES = os.name == "posix"
NAMES = {Ed25519PublicKey: "an Ed25519", ec.EllipticCurvePublicKey: "an ECDSA P-256"}

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class PublicKey:
    """A public key. Whether it is trusted, and for what, is ``attest.trust``'s to say."""

    key: Ed25519PublicKey | ec.EllipticCurvePublicKey
    """The key itself."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER form; the ``keyid`` of its signatures."""
        return sha256_bytes(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def pem(self) -> bytes:
        """The PEM form, to hand to whoever verifies."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` on ``message`` is this key's."""
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                self.key.verify(signature, message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class KeyPair:
    """A key pair that signs."""

    private: PrivateKey
    """Signs; never leaves this machine."""
    public: PublicKey
    """Verifies."""
    private_path: Path
    """Where the private key lies, mode 0600."""
    public_path: Path
    """Where the public key lies: copy it to where verification happens."""
    made: bool = False
    """Whether it was made just now; the caller warns the user that nobody has pinned it yet."""
    secret: bytes | None = field(default=None, repr=False)
    """The passphrase that opened it."""

    def sign(self, message: bytes) -> bytes:
        """The signature on ``message``."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(SHA256()))


def public_path_of(private_path: Path) -> Path:
    """``NAME.pub.pem`` beside ``NAME.pem``."""
    return private_path.with_name(f"{private_path.name.removesuffix('.pem')}.pub.pem")


def generate_key(path: Path, *, passphrase: bytes | None = None, curve: bool = False) -> bool:
    """Write a new private key to ``path`` with mode 0600, unless there is one. True when it was made now.

    passphrase: encrypts the file; the default is the environment's, none if it has none. curve: ECDSA on P-256
    instead of Ed25519.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1()) if curve else Ed25519PrivateKey.generate()
    data = _private_pem(private, passphrase or passphrase_from_environment())
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


def load_key_pair(
    path: Path, *, curve: bool = False, made: bool = False, passphrase: bytes | None = None
) -> KeyPair:
    """The key pair whose private half is the file ``path``; the public half beside it is written when it is missing.

    passphrase: opens it; by default the environment's, or asked for at the terminal. Raises IntegrityError when others
    may read the private key, when it is of another kind, or when the public key beside it belongs to another one;
    UsageError when it is encrypted and the passphrase is missing or wrong.
    """
    _refuse_open_modes(path)
    private, secret = _read_private(path, passphrase, curve=curve)
    public, public_path = PublicKey(private.public_key()), public_path_of(path)
    if not public_path.exists():
        write_bytes(public_path, public.pem())
    elif (found := load_public_key(public_path, curve=curve).fingerprint) != public.fingerprint:
        raise IntegrityError(
            f"{public_path} is not the public half of {path}: found {found}, expected {public.fingerprint}",
            hint=f"Find out who replaced it. `rm {public_path}` has it written anew from the private key.",
        )
    return KeyPair(private, public, path, public_path, made, secret)


def encrypt_key(path: Path, passphrase: bytes | None) -> None:
    """Write the private key in ``path`` anew, under another passphrase, or under none. See ``load_key_pair``."""
    _refuse_open_modes(path)
    private, _ = _read_private(path, None, curve=None)
    write_bytes(path, _private_pem(private, passphrase), mode=0o600)


def load_public_key(path: Path, *, curve: bool = False) -> PublicKey:
    """Read a public key from a PEM file. Raises IntegrityError when it is not one, or not of the kind asked for."""
    try:
        data = read_file(path, SMALL_BYTES)
    except OSError as error:
        raise IntegrityError(
            f"the public key {path} cannot be read: {error.strerror}",
            hint="Give the public key of whoever signed with --key; it is registry/keys/pipeline.pub.pem there.",
        ) from error
    return parse_public_key(data, str(path), curve=curve)


def parse_public_key(data: bytes, place: str, *, curve: bool = False) -> PublicKey:
    """A public key from PEM bytes; ``place`` names them in errors. See ``load_public_key``."""
    if b"PRIVATE KEY" in data:
        raise IntegrityError(f"{place} holds a private key, expected a public one", hint="Give the .pub.pem file.")
    if (count := data.count(b"-----BEGIN ")) > 1:
        raise IntegrityError(f"{place} holds {count} keys, expected one", hint="Give each in a file of its own.")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IntegrityError(f"{place} is not a public key in PEM form", hint="Give the .pub.pem file.") from error
    kind = ec.EllipticCurvePublicKey if curve else Ed25519PublicKey
    if not isinstance(key, kind) or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name != "secp256r1"):
        raise IntegrityError(f"{place} is a {type(key).__name__}, expected {NAMES[kind]} public key",
                             hint="Make one with `mace-gov keys generate`; --role says what a key may sign.")
    if isinstance(key, Ed25519PublicKey) and (problem := point_problem(key.public_bytes_raw())):
        raise IntegrityError(f"{place} {problem}", hint="Have its owner make a key: `mace-gov keys generate`.")
    return PublicKey(key)


def _private_pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _read_private(path: Path, passphrase: bytes | None, *, curve: bool | None) -> tuple[PrivateKey, bytes | None]:
    try:
        data = read_file(path, SMALL_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    secret = (passphrase or passphrase_for(path)) if MARK in data else None
    try:
        key = load_pem_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if secret is not None:
            raise UsageError(f"the passphrase does not open the private key {path}",
                             hint="Give the one that the key was made with.") from error
        raise _unreadable(path, error) from error
    if not isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey) or (
        curve is not None and curve != isinstance(key, ec.EllipticCurvePrivateKey)
    ):
        expected = {True: "an ECDSA P-256", False: "an Ed25519", None: "an Ed25519 or ECDSA P-256"}[curve]
        raise IntegrityError(f"{path} is a {type(key).__name__}, expected {expected} private key")
    return key, secret


def _unreadable(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"the private key {path} cannot be read: {error}",
        hint="Restore it from a backup. A new key makes every verifier pin anew.",
    )


def _refuse_open_modes(path: Path) -> None:
    if not HAS_MODES or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise IntegrityError(
            f"the private key {path} may be read by others: mode {mode:04o}, expected 0600",
            hint=f"`chmod 600 {path}`, and make a new key if anyone else may have read this one.",
        )


def refuse_open_folder(folder: Path) -> None:
    """Raise IntegrityError when others may replace what lies in ``folder``."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if HAS_MODES and mode & 0o022:
        raise IntegrityError(
            f"others may replace the keys in {folder}: mode {mode:04o}, expected 0700", hint=f"`chmod 700 {folder}`"
        )
