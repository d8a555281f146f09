"""Standard output and error that ignore a reader that has gone (a broken pipe), so that exit codes do not change."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class _Outliving:
    """A standard stream. Once its reader has gone (``| head``), what is written goes nowhere, and is no error.

    It wraps the text stream, not the file below its buffer: a signal's exception there would leave the buffer to be
    written twice.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """See ``io.TextIOBase.write``."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """See ``io.IOBase.flush``."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._give_up()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        """Lead the file to nowhere; what is still in the buffer follows."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def outlive_readers() -> None:
    """Let the process's own standard output and error outlive their readers; streams of somebody else are left alone.

    Without it a closed pipe is an error in whatever is printing, and Typer ends with exit code 1 then.
    """
    sys.stdout = _outliving(sys.stdout, sys.__stdout__)
    sys.stderr = _outliving(sys.stderr, sys.__stderr__)


def _outliving(stream: TextIO | None, own: TextIO | None) -> Any:
    if stream is None:  # closed before the start
        return _nowhere()
    return _Outliving(stream) if stream is own else stream


def flushed() -> bool:
    """Whether all that was printed has left the process; what has not, as on a full disk, is given up."""
    done = True
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError:
            setattr(sys, name, _nowhere())
            done = False
    return done


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")), encoding="utf-8")


_verbose = False


def be_verbose(verbose: bool) -> None:
    """Say more from now on, or no longer."""
    global _verbose
    _verbose = verbose


def is_verbose() -> bool:
    """Whether the user asked for more to be said."""
    return _verbose
