"""Remove passwords and tokens from messages, such as those in addresses that libraries put into their errors."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

HIDDEN = "***"
# The login of an address: up to its host's @, or, where a password has a slash that should have been written %2F, from
# the colon to the last @ of the word.
_LOGIN = re.compile(r"(?<=://)(?:[^\s/?#'\"<>]*|[^\s/@:'\"<>]*:[^\s'\"<>]*)@")
_SECRET = re.compile(r"(PASSWORD|PASSPHRASE|TOKEN|SECRET|SECRET_ACCESS_KEY)$")
_SHORTEST = 4
"""Letters of a secret that can be told from a word by chance."""
_SWITCHES = ("true", "false", "none")
"""What is no secret, though a variable may be called like one."""


def redact(text: str) -> str:
    """``text`` without logins in addresses, and without what variables named like secrets hold in the environment."""
    text = _LOGIN.sub(f"{HIDDEN}@", text)
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets() -> set[str]:
    found = set()
    for name, value in os.environ.items():
        if _SECRET.search(name):
            found.add(value)
        for login in _LOGIN.findall(value):
            # The password alone, too: some libraries take an address to pieces.
            login = login.removesuffix("@")
            password = login.partition(":")[2] or login
            found |= {password, unquote(password)}
    return {secret for secret in found if len(secret) >= _SHORTEST and secret.casefold() not in _SWITCHES}
