"""The interface by which stages hand units of work to other processes; who does them is in ``execute``.

A unit is pure: what comes of it depends on its job and itself alone, so it may be done anywhere, and twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Made = dict[str, bytes]
"""What came of a unit: files by name."""

Work = Callable[[Any, Mapping[str, bytes]], Made]
"""Does a unit, given what it is about and its blobs."""

Place = Callable[[Mapping[str, str]], Path]
"""From the digests of a model's files, by relative path, to a folder on this machine that holds those files."""

Opener = Callable[[Any, Mapping[str, bytes], Place], AbstractContextManager[Work]]
"""What a job's ``opens`` names: gets the job's setup, its blobs, and where its models lie."""


@dataclass(frozen=True)
class Model:
    """A model's files, wherever a worker is: by their place on this machine, and by their content elsewhere."""

    path: str
    """The folder here."""
    files: Mapping[str, str]
    """Digest of each file by relative path."""


@dataclass(frozen=True)
class Job:
    """What a worker opens once and keeps for many units, such as a loaded model."""

    opens: str
    """``module:attr`` of an ``Opener``."""
    setup: Any
    """What it is told, as JSON."""
    models: Sequence[Model] = ()
    """Models that it reads."""
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    """Larger things that it is told."""


@dataclass(frozen=True)
class Unit:
    """One piece of a job's work."""

    about: Any
    """Which, as JSON."""
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    """What it reads beside that."""


class Late(Mapping[str, bytes]):
    """Blobs that are made when they are sent: of ten thousand units no more than those under way are in memory."""

    def __init__(self, makers: Mapping[str, Callable[[], bytes]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> bytes:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Workers(Protocol):
    """Processes that do units, here or on other machines."""

    device: str | None
    """What they draw and train on: cuda, mps or cpu; the best there is by default."""

    def run(self, job: Job, units: Sequence[Unit]) -> Iterator[Made]:
        """What came of each unit, in their order. A unit whose worker dies is done again by another one.

        Raises what a unit raises, and IncompleteError when a unit ends several workers or none can be had.
        """
        ...
