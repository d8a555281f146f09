"""What passes between a pool and a worker: a JSON header and blobs of bytes, and nothing that runs when it is read."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Protocol

from mace_gov.core.errors import IncompleteError

Message = tuple[dict[str, Any], list[bytes]]
"""A header and its blobs."""

SIZE = 8
"""Bytes of a frame's first number."""


class WorkerLostError(IncompleteError):
    """A worker that died, or whose answer is none. What it was doing can be done by another one."""


class Channel(Protocol):
    """The pool's end of one worker."""

    name: str
    """What to call it."""
    near: bool
    """Whether it sees this machine's files."""

    def ask(self, message: Message) -> Message:
        """What the worker answers. Raises WorkerLostError when it does not."""
        ...

    def close(self) -> None:
        """End the worker, whatever it does."""
        ...


def write_frame(out: BinaryIO, message: Message) -> None:
    """A message as bytes: the header's length, the header with the blobs' lengths, the blobs."""
    header, blobs = message
    data = json.dumps([header, [len(blob) for blob in blobs]]).encode("ascii")
    out.write(len(data).to_bytes(SIZE, "big") + data)
    for blob in blobs:
        out.write(blob)
    out.flush()


def read_frame(source: BinaryIO) -> Message | None:
    """The next message; None where there is none, or half of one."""
    if len(begin := source.read(SIZE)) < SIZE:
        return None
    length = int.from_bytes(begin, "big")
    if len(data := source.read(length)) < length:
        return None
    header, sizes = json.loads(data)
    blobs = [source.read(size) for size in sizes]
    if [len(blob) for blob in blobs] != sizes:
        return None
    return header, blobs
