"""A run as programs see it: observed from ``begin`` to ``finish``, whatever command it is and however it ends.

Every sink is told the same events. What a sink cannot write ends the run before the work, at ``begin``, never later.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mace_gov.cli.sinks import JsonLines, Metrics, Run, Sink, Task, Trace
from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Progress
from mace_gov.core.redact import redact

INTERVAL = 10.0
"""Seconds between two words about a task that goes on."""
SHORTEST = 0.01
"""Seconds of a task's part that a timeline shows; shorter ones are shown together."""
REASONS = {0: "passed", 1: "violated", 2: "usage", 3: "incomplete", 4: "integrity", 5: "review"}
"""Why a run ended, by exit code; anything from 128 on is a signal."""


class Observer:
    """Tells the sinks, one event at a time."""

    def __init__(self, command: str, sinks: Sequence[Sink]) -> None:
        self.run, self._sinks, self._lock, self._over = Run(command), sinks, threading.RLock(), threading.Event()
        self.to_stderr = any(isinstance(sink, JsonLines) for sink in sinks)
        self.tell({"event": "run_started", "command": command}, first=True)
        threading.Thread(target=self._tick, daemon=True).start()

    def tell(self, event: dict[str, Any], *, first: bool = False) -> None:
        """One event to every sink. A disk that fills up in mid-run costs the record, not the run."""
        with self._lock:
            for sink in self._sinks:
                with contextlib.suppress(*(() if first else (OSError, ValueError))):
                    sink.tell(self.run, event)

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """A task began; the returned function advances it."""
        with self._lock:
            number, made = len(self.run.tasks), Task(task, total, self.run.seconds)
            self.run.tasks.append(made)
            made.told = made.counted = made.begun
            self.tell({"event": "task_started", "id": number, "task": task, "total": total})

        def advance(steps: int) -> None:
            with self._lock:
                made.done += steps
                if made.ended is None and self.run.seconds - made.counted >= SHORTEST:
                    self.unit(f"to {made.done} of {total}", made.counted, self.run.seconds, task=number)
                    made.counted = self.run.seconds
                if made.done >= total and made.ended is None:
                    self._end(number)
                elif self.run.seconds - made.told >= INTERVAL:
                    self._progress(number)

        return advance

    def unit(self, name: str, begun: float, ended: float, **whose: int) -> None:
        """A part of the work was done, of a ``task`` or by a ``worker``, between which seconds of the run."""
        self.tell({"event": "unit", "name": name, "begun": begun, "ended": ended, **whose})

    def note(self, kind: str, message: str, **more: str) -> None:
        """Something was said."""
        with self._lock:
            self.run.notes += 1
            self.tell({"event": kind, "message": message, **more})

    def finish(self, code: int, message: str, hint: str) -> None:
        """The run ended; so do the tasks that were going on."""
        self._over.set()
        with self._lock:
            for number, task in enumerate(self.run.tasks):
                if task.ended is None:
                    self._end(number)
            self.run.code = code
            reason = "interrupted" if code >= 128 else REASONS.get(code, "incomplete")
            said = {"message": message, "hint": hint} if message else {}
            self.tell({"event": "run_ended", "exit_code": code, "reason": reason,
                       "seconds": round(self.run.seconds, 3), **said})

    def _end(self, number: int) -> None:
        task = self.run.tasks[number]
        task.ended = self.run.seconds
        self.tell({"event": "task_ended", "id": number, "task": task.name, "done": task.done, "total": task.total,
                   "seconds": round(task.ended - task.begun, 3)})

    def _progress(self, number: int) -> None:
        task = self.run.tasks[number]
        task.told = self.run.seconds
        self.tell({"event": "task_progress", "id": number, "task": task.name, "done": task.done, "total": task.total,
                   "seconds": round(task.told - task.begun, 3)})

    def _tick(self) -> None:
        """A task that stands still is told of too: it is not over."""
        while not self._over.wait(INTERVAL / 2):
            with self._lock:
                for number, task in enumerate(self.run.tasks):
                    if task.ended is None and self.run.seconds - task.told >= INTERVAL and not self._over.is_set():
                        self._progress(number)


class Observed:
    """``core.progress.Progress`` that shows as another one does, and tells an observer."""

    def __init__(self, shown: Progress, observer: Observer) -> None:
        self._shown, self._observer = shown, observer

    def start(self, task: str, total: int) -> Callable[[int], None]:
        """See ``core.progress.Progress.start``."""
        show = self._shown.start(task, total)
        if total <= 0:
            return show
        tell = self._observer.start(task, total)

        def advance(steps: int) -> None:
            show(steps)
            tell(steps)

        return advance

    def note(self, message: str) -> None:
        """See ``core.progress.Progress.note``."""
        self._shown.note(message)
        self._observer.note("note", message)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """See ``core.progress.Progress.table``."""
        self._shown.table(rows)
        self._observer.tell({"event": "table", "rows": [list(row) for row in rows]})

    def unit(self, worker: int, name: str, begun: float, ended: float) -> None:
        """See ``core.progress.Progress.unit``."""
        since = self._observer.run.begun
        self._observer.unit(name, begun - since, ended - since, worker=worker)


class _Logged(logging.Handler):
    """What the package logs, as events."""

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        if _current is not None:
            _current.note("log", redact(record.getMessage()), level=record.levelname.lower())


_current: Observer | None = None
_handler = _Logged()


def begin(command: str, *, as_json: bool, trace: Path | None, metrics_file: Path | None) -> None:
    """Observe this run. Raises UsageError for a file that cannot be written."""
    global _current
    sinks: list[Sink] = [JsonLines(sys.stderr)] if as_json else []
    try:
        sinks += [Trace(trace)] if trace else []
        sinks += [Metrics(metrics_file)] if metrics_file else []
        _current = Observer(command, sinks) if sinks else None
    except OSError as error:
        raise UsageError(f"{error.filename or trace or metrics_file} cannot be written: {error.strerror}",
                         hint="Give another path for --trace or --metrics.") from error
    if as_json:
        logging.getLogger("mace_gov").addHandler(_handler)


def current() -> Observer | None:
    """The observer of this run, if anything is to be told."""
    return _current


def logs_json() -> bool:
    """Whether events go to standard error, where text would be in their way."""
    return _current is not None and _current.to_stderr


def finish(code: int, message: str = "", hint: str = "") -> None:
    """Tell that the run ended, and observe no more."""
    global _current
    observer, _current = _current, None
    logging.getLogger("mace_gov").removeHandler(_handler)
    if observer:
        observer.finish(code, redact(message), redact(hint))
