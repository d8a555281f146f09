"""Standard output and error whose reader may go away: what was decided is decided, whoever still listens."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class _Unheard(io.FileIO):
    """A stream's file. Once its reader has gone (``| head``), what is written to it goes nowhere, and is no error."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let the process's own standard output and error outlive their readers; streams of somebody else are left alone.

    Without it a closed pipe is an error in whatever is printing, and Typer ends with exit code 1 then.
    """
    sys.stdout = _outliving(sys.stdout, sys.__stdout__)
    sys.stderr = _outliving(sys.stderr, sys.__stderr__)


def _outliving(stream: TextIO | None, own: TextIO | None) -> TextIO:
    if stream is None:  # closed before the start
        return _nowhere()
    if stream is not own or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    file = io.BufferedWriter(_Unheard(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(file, encoding=stream.encoding, errors=stream.errors,
                            line_buffering=stream.line_buffering or stream.write_through)


def flushed() -> bool:
    """Whether all that was printed has left the process; what has not, as on a full disk, is given up."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.stdout = _nowhere()
        return False
    return True


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")), encoding="utf-8")
