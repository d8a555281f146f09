"""Progress on standard error: bars on a terminal; elsewhere lines, few of them and never none."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from mace_gov.cli.metrics import peak_so_far
from mace_gov.cli.observing import Observed, current, logs_json
from mace_gov.cli.streams import is_verbose
from mace_gov.core.clock import wall_clock
from mace_gov.core.console import Console
from mace_gov.core.progress import Progress as Tells
from mace_gov.core.progress import Silent
from mace_gov.core.terminal import guarded

INTERVAL = 30.0
"""Seconds between two lines about one task; of a long one it grows with the time that the task has taken."""
WINDOW = 60.0
"""Seconds that the time left is told from; of a long task, the second half of its time."""


class Pace:
    """How long a task will take, told from its own finished steps alone."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self.begun, self._clock = total, 0, clock(), clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=4096)

    def advance(self, steps: int) -> None:
        """So many steps more are done."""
        self.done += steps
        self._marks.append((self._clock(), self.done))

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return self._clock() - self.begun

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.total

    def left(self) -> float | None:
        """Seconds left; None as long as they cannot be told.

        The time before the first mark is no measure of the others, for it holds what is loaded and compiled. Steps that
        come in bursts, as pictures of a batch do, are measured from the first of one burst to the first of another.
        """
        if len(self._marks) < 2 or self.finished:
            return None
        now = self._marks[-1][0]
        since = now - max(WINDOW, (now - self.begun) / 2)
        marks = [mark for mark in self._marks if mark[0] >= since]
        marks = marks if len(marks) > 1 else [self._marks[-2], self._marks[-1]]
        gaps = [after[0] - before[0] for before, after in pairwise(marks)]
        usual = (sum(gaps) - max(gaps)) / max(1, len(gaps) - 1)  # without the longest, which may be a halt
        bursts = [marks[0], *(mark for mark, gap in zip(marks[1:], gaps, strict=True) if gap >= usual / 2)]
        first, last = bursts[1 if len(bursts) > 2 else 0], bursts[-1]  # the window may begin within a burst
        if last[1] <= first[1]:
            return None
        each = (last[0] - first[0]) / (last[1] - first[1])
        left = each * (self.total - self.done) - (self._clock() - now)
        return left if left > 0 else None


class _Left(ProgressColumn):
    """Time since a task began, and time left where that is known."""

    def render(self, task: Task) -> Text:
        """See ``ProgressColumn``."""
        pace: Pace = task.fields["pace"]
        left = None if task.finished else pace.left()
        return Text(clock(task.finished_time if task.finished else pace.elapsed)
                    + (f", {clock(left)} left" if left is not None else ""))


def clock(seconds: float | None) -> str:
    """Seconds as ``0:07``, ``12:30`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bars:
    """``core.progress.Progress`` on a terminal."""

    def __init__(self, bars: Progress, live: Live) -> None:
        self._bars, self._live = bars, live

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``core.progress.Progress.start``."""
        if total <= 0:
            return lambda _steps: None
        pace = Pace(total)
        handle = self._bars.add_task(task, total=total, pace=pace)

        def advance(steps: int) -> None:
            pace.advance(steps)
            self._bars.update(handle, completed=pace.done)
            if pace.finished and total == 1 and handle in self._bars.task_ids:
                self._bars.remove_task(handle)  # it only told that something goes on

        return advance

    def note(self, message: str) -> None:
        """See ``core.progress.Progress.note``."""
        self._live.console.print(message, markup=False, highlight=False)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """See ``core.progress.Progress.table``."""
        shown = Table(*rows[0], box=None, pad_edge=False)
        for row in rows[1:]:
            shown.add_row(*(Text(cell) for cell in row))
        self._live.update(Group(shown, self._bars))

    def unit(self, worker: int, name: str, begun: float, ended: float) -> None:
        """See ``core.progress.Progress.unit``."""


class Lines:
    """``core.progress.Progress`` for a log: a line when a task starts and when it ends, and now and then between.

    A task that stands still is spoken of too, so that a log tells it from one that hangs.
    """

    def __init__(
        self, console: Console, clock: Callable[[], float] = time.monotonic, *, stamped: bool = False
    ) -> None:
        self._console, self._clock, self._stamped = console, clock, stamped
        self._current: tuple[str, Pace] | None = None
        self._said = clock()
        self._lock = threading.Lock()

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``core.progress.Progress.start``."""
        if total <= 0:
            return lambda _steps: None
        pace = Pace(total, self._clock)
        with self._lock:
            self._current = task, pace
            self._say(f"{task} ...")

        def advance(steps: int) -> None:
            with self._lock:
                before = pace.finished
                pace.advance(steps)
                self._current = None if pace.finished else (task, pace)
                if pace.finished and not before:
                    done = f"{pace.done} of {total} done" if total > 1 else "done"
                    self._say(f"{task}: {done} in {pace.elapsed:.0f} s")
            self.remind()

        return advance

    def remind(self) -> None:
        """Say where the task stands that moved last, if nothing was said for a while."""
        with self._lock:
            if self._current is None:
                return
            task, pace = self._current
            if self._clock() - self._said < max(INTERVAL, pace.elapsed / 20):
                return
            left = pace.left()
            counted = f"{pace.done} of {pace.total}" if pace.total > 1 else "still going"
            self._say(f"{task}: {counted}, {clock(pace.elapsed)}"
                      + (f", {clock(left)} left" if left is not None else ""))

    def note(self, message: str) -> None:
        """See ``core.progress.Progress.note``."""
        with self._lock:
            self._say(message)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """See ``core.progress.Progress.table``."""
        for row in rows[1:]:
            self.note("  ".join(row))

    def unit(self, worker: int, name: str, begun: float, ended: float) -> None:
        """See ``core.progress.Progress.unit``."""

    def _say(self, message: str) -> None:
        self._said = self._clock()
        if self._stamped:
            held = "" if (peak := peak_so_far()) is None else f" {peak / 2**20:.0f} MiB"
            message = f"{wall_clock():%H:%M:%S}{held}  {message}"
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Tells]:
    """The progress display that fits standard error, or what was asked for; an observer of the run is told as well."""
    observer = current()
    with nullcontext(Silent()) if logs_json() else _display() as shown:
        yield Observed(shown, observer) if observer else shown


@contextmanager
def _display() -> Iterator[Bars | Lines]:
    console = Console(stderr=True)
    if is_verbose() or not console.is_terminal:
        lines, ended = Lines(console, stamped=is_verbose()), threading.Event()

        def remind() -> None:
            while not ended.wait(INTERVAL / 2):
                lines.remind()

        threading.Thread(target=remind, daemon=True).start()
        try:
            yield lines
        finally:
            ended.set()
        return
    bars = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _Left(),
        console=console,
    )
    # What is printed while bars are live goes through Rich, which reads escapes: guard that as well.
    with Live(bars, console=console, refresh_per_second=10) as live, guarded():
        yield Bars(bars, live)
