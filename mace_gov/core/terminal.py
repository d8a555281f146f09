"""Escape control characters in text from outside before it reaches a terminal or a log.

``guarded`` puts this between every ``print`` and the two standard streams; ``printable`` is for a text that must stay
one line. Neither drops a character: what would act is shown as its escape.
"""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
"""A line that GitHub's runner takes for an instruction."""
_MARKED = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))")
"""What it and two other build servers take for one anywhere in a line."""

_MOVES = re.compile(r"\n*(?:\x1b\[A)+")
"""How ``tqdm`` finds the line of its bar."""


def printable(text: str) -> str:
    r"""``text`` as one line of visible characters: blanks of any width are a blank, what cannot be seen is escaped.

    >>> printable("a\x1b[2Jb\n")
    'a\\u001b[2Jb\\u000a'
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def harmless(text: str, *, line_begins: bool = True) -> str:
    """``printable`` line by line, and no line is a command to a build server.

    line_begins: whether ``text`` stands at the begin of a line.
    """
    plain = "\n".join(map(printable, text.split("\n")))
    plain = _MARKED.sub(r"\\u0023", plain)
    start = 0 if line_begins else plain.find("\n") + 1 or len(plain)
    return plain[:start] + _COMMAND.sub(r"\1\\u003a", plain[start:])


class Guarded(io.TextIOBase):
    """A text stream that writes ``harmless`` text to another one. What its encoding lacks is escaped as well."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._line_begins = stream, True

    @property
    def rich_proxied_file(self) -> Any:
        """Where Rich writes: it has escapes of its own. Its texts are made harmless by ``core.console``."""
        return getattr(self._stream, "rich_proxied_file", self._stream)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The other stream's."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """See ``io.TextIOBase.write``."""
        lead, rest = self._lead(text)
        plain = lead + harmless(rest, line_begins=self._line_begins or lead != "")
        self._line_begins = plain.endswith("\n") if plain else self._line_begins
        self._stream.write(plain.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def _lead(self, text: str) -> tuple[str, str]:
        """What a library's progress bar may do, which nobody who is not one does in a write of its own; and the rest.

        It goes to the begin of its line, or some lines up. In a log each state of it is a line.
        """
        if _MOVES.fullmatch(text):
            return (text if self.isatty() else text.replace("\x1b[A", "")), ""
        if text.startswith("\r") and not text.endswith("\n"):
            return ("\r" if self.isatty() else "" if self._line_begins else "\n"), text[1:]
        return "", text

    def flush(self) -> None:
        """See ``io.IOBase.flush``."""
        self._stream.flush()

    def isatty(self) -> bool:
        """See ``io.IOBase.isatty``."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """See ``io.IOBase.fileno``."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """See ``io.IOBase.writable``."""
        return True


@contextmanager
def guarded() -> Iterator[None]:
    """Make both standard streams ``Guarded`` for the block."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is None:  # a process without a console
                continue
            raw = getattr(stream, "rich_proxied_file", stream)
            if hasattr(raw, "reconfigure"):
                raw.reconfigure(errors="backslashreplace")
            stack.enter_context(redirect(Guarded(stream)))
        yield


def write_document(text: str) -> None:
    r"""Write a document of a format of its own to standard output: it keeps its blanks, and may be commands.

    What cannot be seen is escaped as JSON would do it, where it means the same.
    """
    stream = sys.stdout
    plain = "".join(char if char == "\n" or _is_blank(char) else _visible(char) for char in text)
    (stream.rich_proxied_file if isinstance(stream, Guarded) else stream).write(plain)


def _is_blank(char: str) -> bool:
    return unicodedata.category(char) == "Zs"


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if _is_blank(char):
        return " "
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
