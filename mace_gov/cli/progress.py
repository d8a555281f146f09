"""Progress on standard error: bars on a terminal, one line per task elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mace_gov.core.console import Console
from mace_gov.core.terminal import guarded


class Bars:
    """``core.progress.Progress`` on a terminal."""

    def __init__(self, bars: Progress, live: Live) -> None:
        self._bars, self._live = bars, live

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``core.progress.Progress.start``."""
        handle = self._bars.add_task(task, total=total)
        return lambda steps: self._bars.update(handle, advance=steps)

    def note(self, message: str) -> None:
        """See ``core.progress.Progress.note``."""
        self._live.console.print(message, markup=False, highlight=False)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """See ``core.progress.Progress.table``."""
        shown = Table(*rows[0], box=None, pad_edge=False)
        for row in rows[1:]:
            shown.add_row(*(Text(cell) for cell in row))
        self._live.update(Group(shown, self._bars))


class Lines:
    """``core.progress.Progress`` for a log: a line when a task starts, one when it ends, one every ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``core.progress.Progress.start``."""
        begun = said = time.monotonic()
        done = 0
        self.note(f"{task} ...")

        def advance(steps: int) -> None:
            nonlocal done, said
            done += steps
            now = time.monotonic()
            if done >= total > done - steps:
                self.note(f"{task}: {done} of {total} done in {now - begun:.0f} s")
            elif now - said >= 10:
                said = now
                self.note(f"{task}: {done} of {total}")

        return advance

    def note(self, message: str) -> None:
        """See ``core.progress.Progress.note``."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """See ``core.progress.Progress.table``."""
        for row in rows[1:]:
            self.note("  ".join(row))


@contextmanager
def progress() -> Iterator[Bars | Lines]:
    """The progress display that fits standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(console)
        return
    bars = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), console=console,
    )
    # What is printed while bars are live goes through Rich, which reads escapes: guard that as well.
    with Live(bars, console=console, refresh_per_second=10) as live, guarded():
        yield Bars(bars, live)
