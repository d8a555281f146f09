"""Where a run's events go: JSON lines, a timeline in Chrome's trace format, metrics for Prometheus."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from mace_gov.cli.metrics import metrics
from mace_gov.core.atomic import write_text
from mace_gov.core.files import open_to_write


@dataclass
class Task:
    """A task as it stands."""

    name: str
    """In words."""
    total: int
    """Steps."""
    begun: float
    """Seconds since the run began."""
    done: int = 0
    """Steps done."""
    ended: float | None = None
    """Seconds since the run began."""
    told: float = 0.0
    """When progress was told last."""
    counted: float = 0.0
    """When a part of it was shown last."""


@dataclass
class Run:
    """A run as it stands."""

    command: str
    """Subcommand."""
    started: float = field(default_factory=time.time)
    """Seconds since 1970."""
    begun: float = field(default_factory=time.monotonic)
    """The same moment by the clock that never jumps."""
    tasks: list[Task] = field(default_factory=list)
    """In the order in which they began."""
    notes: int = 0
    """Lines that were said."""
    code: int | None = None
    """Exit code."""

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.begun


class Sink(Protocol):
    """Is told what happens. ``event`` is JSON; ``run`` has it already."""

    def tell(self, run: Run, event: dict[str, Any]) -> None:
        """One event."""
        ...


class JsonLines:
    """Every event as one line of JSON on standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def tell(self, run: Run, event: dict[str, Any]) -> None:
        """See ``Sink``. Units are for timelines."""
        if event["event"] == "unit":
            return
        at = datetime.fromtimestamp(run.started + run.seconds, UTC).isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"time": at.replace("+00:00", "Z"), **event}) + "\n")
        self._stream.flush()


class Trace:
    """Tasks as a timeline that Perfetto and chrome://tracing open. It is written as it goes: a killed run leaves one.

    Without its last bracket the file is one that they open too. Tasks that overlap lie in lanes of their own, their
    units below them; each worker has a lane of a second process.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_to_write(path)
        self._lanes: dict[int, int] = {}
        self._workers = False
        self._file.write("[\n")

    def tell(self, run: Run, event: dict[str, Any]) -> None:
        """See ``Sink``."""
        kind, now = event["event"], run.seconds
        if kind == "run_started":
            self._write({"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"mace-gov {run.command}"}})
        elif kind == "task_started":
            self._lanes[event["id"]] = next(n for n in range(len(self._lanes) + 1) if n not in self._lanes.values())
        elif kind == "task_ended":
            task = run.tasks[event["id"]]
            self._write({"name": task.name, "cat": "task", "ph": "X", "ts": _micro(task.begun),
                         "dur": _micro(now - task.begun), "pid": 1, "tid": self._lanes.pop(event["id"]),
                         "args": {"done": task.done, "total": task.total}})
        elif kind == "unit":
            process, lane = (2, event["worker"]) if "worker" in event else (1, self._lanes[event["task"]])
            if process == 2 and not self._workers:
                self._workers = True
                self._write({"name": "process_name", "ph": "M", "pid": 2, "args": {"name": "workers"}})
            self._write({"name": event["name"], "cat": "unit", "ph": "X", "ts": _micro(event["begun"]),
                         "dur": _micro(event["ended"] - event["begun"]), "pid": process, "tid": lane})
        elif kind in ("note", "log"):
            self._write({"name": event["message"][:200], "cat": kind, "ph": "i", "s": "p", "ts": _micro(now), "pid": 1,
                         "tid": 0})
        elif kind == "run_ended":
            self._file.write(json.dumps({"name": f"exit {run.code}: {event['reason']}", "cat": "exit", "ph": "i",
                                         "s": "g", "ts": _micro(now), "pid": 1, "tid": 0}) + "\n]\n")
            self._file.close()

    def _write(self, event: dict[str, Any]) -> None:
        self._file.write(json.dumps(event) + ",\n")
        self._file.flush()


class Metrics:
    """The run as a file for the textfile collector of Prometheus' node exporter, always whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, run: Run, event: dict[str, Any]) -> None:
        """See ``Sink``."""
        if event["event"] != "unit":
            write_text(self._path, metrics(run))


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)
