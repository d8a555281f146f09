"""A run in the text format that Prometheus reads from a file. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mace_gov.core.version import __version__

if TYPE_CHECKING:
    from mace_gov.cli.sinks import Run, Task

Sample = tuple[dict[str, str], float]
"""Labels and a value."""


def metrics(run: Run) -> str:
    """Every metric with its help and type. Tasks of one name are added up."""
    return "".join(line + "\n" for line in _lines(run))


def _lines(run: Run) -> Iterator[str]:
    yield from _metric("run_info", "What runs.", [({"command": run.command, "version": __version__}, 1)])
    yield from _metric("run_start_time_seconds", "When the run began, since 1970.", [({}, run.started)])
    yield from _metric("run_duration_seconds", "How long it has taken.", [({}, run.seconds)])
    yield from _metric("run_active", "1 while it runs.", [({}, float(run.code is None))])
    if run.code is not None:
        yield from _metric("run_exit_code", "How it ended, as the exit code.", [({}, run.code)])
    yield from _metric("run_notes", "Lines that it said.", [({}, run.notes)])
    if (peak := peak_so_far()) is not None:
        yield from _metric("run_peak_memory_bytes", "Largest resident memory so far.", [({}, peak)])
    tasks: dict[str, list[Task]] = {}
    for task in run.tasks:
        tasks.setdefault(task.name, []).append(task)
    for name, told, value in (
        ("task_steps", "Steps of a task.", lambda task: task.total),
        ("task_steps_done", "Steps that are done.", lambda task: task.done),
        ("task_duration_seconds", "How long a task has taken.",
         lambda task: (run.seconds if task.ended is None else task.ended) - task.begun),
        ("task_active", "Tasks of this name that are going on.", lambda task: task.ended is None),
    ):
        yield from _metric(name, told, [({"task": task}, sum(map(value, same))) for task, same in tasks.items()])


def _metric(name: str, told: str, samples: list[Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP mace_gov_{name} {told}"
    yield f"# TYPE mace_gov_{name} gauge"
    for labels, value in samples:
        said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"mace_gov_{name}{'{' + said + '}' if said else ''} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def peak_so_far() -> int | None:
    """Bytes of memory that the process held at most; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
