"""The passphrase that opens a private key: from the environment, from a file, or asked for at the terminal."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from mace_gov.core.errors import UsageError

VARIABLE = "MACE_GOV_PASSPHRASE"
NEW_VARIABLE = "MACE_GOV_NEW_PASSPHRASE"
"""The one to change to, where both must be named."""
FILE = "_FILE"
"""With this ending, a file that holds it: what secret stores of CI systems and containers mount."""
MARK = b"ENCRYPTED PRIVATE KEY"
"""How an encrypted PKCS #8 file says so."""


def passphrase_from_environment(variable: str = VARIABLE) -> bytes | None:
    """The passphrase that the environment names; None when it names none. Raises UsageError for an empty one."""
    if variable + FILE in os.environ:
        variable += FILE
        path = Path(os.environ[variable])
        try:
            # A pipe is fine here, it comes from whoever runs this; no passphrase is longer than its buffer.
            with path.open("rb") as file:
                secret = file.read(65_536).rstrip(b"\r\n")
        except OSError as error:
            raise UsageError(f"{variable}: {path} cannot be read: {error.strerror}",
                             hint="Name the file that holds the passphrase.") from error
    elif variable in os.environ:
        secret = os.environ[variable].encode("utf-8")
    else:
        return None
    if not secret:
        raise UsageError(f"the passphrase of {variable} is empty", hint="Unset it for keys without a passphrase.")
    return secret


def passphrase_for(path: Path) -> bytes:
    """The passphrase for the encrypted key in ``path``. Raises UsageError when there is nobody to ask."""
    secret = passphrase_from_environment()
    if secret is None and sys.stdin is not None and sys.stdin.isatty():
        secret = getpass.getpass(f"Passphrase of {path}: ", stream=sys.stderr).encode("utf-8")
    if not secret:
        raise UsageError(f"the private key {path} is encrypted and no passphrase was given",
                         hint=f"Set {VARIABLE}, or {VARIABLE}{FILE} to a file that holds it.")
    return secret


def new_passphrase(variable: str = VARIABLE) -> bytes | None:
    """A passphrase for a key to be made: the environment's, or asked for twice; None for an empty one.

    Raises UsageError when the two differ, or there is nobody to ask.
    """
    secret = passphrase_from_environment(variable)
    if secret is not None:
        return secret
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a passphrase at",
                         hint=f"Set {variable}, or {variable}{FILE} to a file that holds it.")
    first, second = (getpass.getpass(text, stream=sys.stderr) for text in ("New passphrase: ", "Once more: "))
    if first != second:
        raise UsageError("the two passphrases differ", hint="Run the command again.")
    return first.encode("utf-8") or None
