"""The interface by which stages report progress; the terminal's is in ``cli.progress``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A stage calls ``start`` with a task's words and its number of steps, then ``advance`` as it goes."""

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """Announce a task; the returned function advances it by n steps."""
        ...

    def note(self, message: str) -> None:
        """Say one line that matters to the user: what is reused, what looks odd."""
        ...

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Show where things stand; the first row names the columns. It takes the place of the table before."""
        ...

    def unit(self, worker: int, name: str, begun: float, ended: float) -> None:
        """A worker, numbered from 1, did a unit of work; between which seconds of ``time.monotonic``."""
        ...


class Silent:
    """Says nothing; for tests and for callers that have no terminal."""

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``Progress.start``."""
        return lambda _steps: None

    def note(self, message: str) -> None:
        """See ``Progress.note``."""

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """See ``Progress.table``."""

    def unit(self, worker: int, name: str, begun: float, ended: float) -> None:
        """See ``Progress.unit``."""


@contextmanager
def working(progress: Progress, task: str) -> Iterator[None]:
    """Announce a task of one step, which the block is."""
    advance = progress.start(task, 1)
    yield
    advance(1)
