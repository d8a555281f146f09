"""Progress on standard error: bars on a terminal, one line per task elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn


class Bars:
    """``core.progress.Progress`` on a terminal."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``core.progress.Progress.start``."""
        handle = self._bars.add_task(task, total=total)
        return lambda steps: self._bars.update(handle, advance=steps)

    def note(self, message: str) -> None:
        """See ``core.progress.Progress.note``."""
        self._bars.console.print(message, markup=False, highlight=False)


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


@contextmanager
def progress() -> Iterator[Bars | Lines]:
    """The progress display that fits standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(console)
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console,
    ) as bars:
        yield Bars(bars)
