"""Hands units to workers: one at a time to each, in order, again when a worker dies."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IncompleteError
from mace_gov.core.progress import Progress
from mace_gov.core.resources import asked
from mace_gov.core.workers import Job, Made, Unit
from mace_gov.execute import calls
from mace_gov.execute.bench import code
from mace_gov.execute.channel import Channel, WorkerLostError

LIVES = 3
"""Workers that one unit, or one start, may end before it is given up."""
AHEAD = 4
"""Units for each worker that may be done before the first that is not: what is held in memory, and lost by a kill."""
PAUSE = 1.0
"""Seconds before a worker is started again; twice as many before the third."""
PATIENCE = 900.0
"""Seconds without any worker: a cluster that grows takes minutes to."""
GRACE = 10.0
"""Seconds for a worker's thread to see that its worker was ended."""
INTERVAL = 30.0
"""Seconds between two tables of the workers; of a long run, a twentieth of its time."""


@dataclass
class _Run:
    """One job's units, and how far they are."""

    job: Job
    units: Sequence[Unit]
    about: dict[str, Any]
    """The message that opens the job."""
    key: str
    """Of that message."""
    todo: list[int]
    """Units that nobody has, in order."""
    taken: int = 0
    """Units whose outcome was handed on."""
    made: dict[int, Made] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    error: Exception | None = None

    def due(self, window: int) -> bool:
        """Whether there is a unit to hand out that is not too far ahead."""
        return self.error is None and bool(self.todo) and self.todo[0] < self.taken + window


@dataclass
class _Slot:
    """One worker's place. Those who follow a worker that died sit in the same place."""

    number: int
    channel: Channel | None = None
    starting: Channel | None = None
    """A worker that has not answered yet: on a cluster it may wait for room."""
    where: str = ""
    open: str | None = None
    """Key of the job that its worker has open."""
    unit: int | None = None
    done: int = 0
    failures: int = 0
    """Starts in a row that came to nothing."""
    error: Exception | None = None
    """Why no worker is started here any more."""


class Pool:
    """``core.workers.Workers`` over channels. One thread speaks with each worker; all else is the caller's thread."""

    def __init__(
        self, hire: Callable[[int], Channel], count: int, progress: Progress, device: str | None = None
    ) -> None:
        """hire: starts a worker for a place."""
        self._hire, self._progress, self.device = hire, progress, device
        self._slots = [_Slot(number) for number in range(count)]
        self._changed = threading.Condition()
        self._run: _Run | None = None
        self._notes: list[str] = []
        self._done_units: list[tuple[int, str, float, float]] = []
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._name = secrets.token_hex(8)
        self._code = code()

    def run(self, job: Job, units: Sequence[Unit]) -> Iterator[Made]:
        """See ``core.workers.Workers.run``."""
        if not units:
            return
        precision = asked().precision
        about = {"do": "open", "opens": job.opens, "setup": job.setup, "blobs": list(job.blobs),
                 "models": [{"path": model.path, "files": dict(model.files)} for model in job.models],
                 "batch": asked().batch, "precision": None if precision is None else str(precision)}
        key = digest_of([about, [sha256_bytes(blob) for blob in job.blobs.values()]])
        run = _Run(job, units, about, key, list(range(len(units))))
        with self._changed:
            self._run = run
            self._changed.notify_all()
        if not self._threads:
            self._threads = [threading.Thread(target=self._serve, args=(slot,), daemon=True) for slot in self._slots]
            for thread in self._threads:
                thread.start()
        try:
            yield from self._taken(run)
        finally:
            with self._changed:
                self._run = None
                self._changed.notify_all()
            self._tell()

    def close(self) -> None:
        """End all workers. What was sent to other machines is removed there."""
        with self._changed:
            self._closed = True
            idle = [slot.channel for slot in self._slots if slot.channel and slot.unit is None]
            every = [each for slot in self._slots for each in (slot.channel, slot.starting) if each]
            self._changed.notify_all()
        for channel in every:
            if channel in idle and not channel.near:
                calls.quietly(calls.forget, channel)
            calls.quietly(channel.close)
        for thread in self._threads:
            thread.join(GRACE)

    def _taken(self, run: _Run) -> Iterator[Made]:
        """The outcomes in order, as they come."""
        began = told = alive = time.monotonic()
        for index in range(len(run.units)):
            while True:
                with self._changed:
                    if index not in run.made and run.error is None:
                        self._changed.wait(0.5)
                    now, made, error, none = time.monotonic(), run.made.pop(index, None), run.error, self._without()
                    if any(slot.channel for slot in self._slots):
                        alive = now
                    if made is not None:
                        run.taken = index + 1
                        self._changed.notify_all()
                self._tell()
                if none is not None:
                    raise none
                if made is not None:
                    break
                if error is not None:
                    raise error
                if now - alive > PATIENCE:
                    raise IncompleteError(f"no worker came within {PATIENCE:.0f} s, expected some",
                                          hint="Look at the cluster, or run without workers.")
                if now - told > max(INTERVAL, (now - began) / 20):
                    told = now
                    self._progress.table(self._standing())
            yield made

    def _without(self) -> Exception | None:
        """Why there will be no worker; of one that has other code than this machine, whatever the others do."""
        given_up = [slot.error for slot in self._slots if slot.error is not None]
        wrong = next((error for error in given_up if not isinstance(error, WorkerLostError)), None)
        return wrong or (given_up[-1] if len(given_up) == len(self._slots) else None)

    def _tell(self) -> None:
        """Say what the workers' threads found out; only the caller's thread speaks."""
        with self._changed:
            notes, self._notes = self._notes, []
            units, self._done_units = self._done_units, []
        for note in notes:
            self._progress.note(note)
        for unit in units:
            self._progress.unit(*unit)

    def _standing(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("worker", "where", "units done", "now")]
        for slot in self._slots:
            doing = "starting" if not slot.where else "idle" if slot.unit is None else f"unit {slot.unit + 1}"
            rows.append((str(slot.number + 1), slot.where, str(slot.done), doing))
        return rows

    def _serve(self, slot: _Slot) -> None:
        """One worker's thread."""
        while True:
            with self._changed:
                window = AHEAD * len(self._slots)
                while not self._closed and not (self._run and self._run.due(window)):
                    self._changed.wait()
                if self._closed:
                    return
            if not self._ready(slot):
                return
            with self._changed:
                run = self._run
                if self._closed or run is None or not run.due(window):
                    continue
                slot.unit = index = run.todo.pop(0)
            begun = time.monotonic()
            try:
                made = self._done(slot, run, index)
            except WorkerLostError as error:
                self._lost(slot, run, index, error)
            except Exception as error:
                with self._changed:
                    run.error, slot.unit = run.error or error, None
                    self._changed.notify_all()
            else:
                with self._changed:
                    run.made[index], slot.unit = made, None
                    slot.done += 1
                    name = run.job.opens.rpartition(":open_")[2]
                    self._done_units.append((slot.number + 1, f"{name} {index + 1}", begun, time.monotonic()))
                    self._changed.notify_all()

    def _ready(self, slot: _Slot) -> bool:
        """Whether the place has a worker that runs this code, after starting one if need be."""
        while slot.channel is None and slot.error is None and not self._closed:
            channel: Channel | None = None
            try:
                slot.starting = channel = self._hire(slot.number)
                seen = calls.greet(channel, self._name)
                self._compare(seen, channel.name)
            except Exception as error:
                if channel is not None:
                    calls.quietly(channel.close)
                with self._changed:
                    slot.starting = None
                    slot.failures += 1
                    if slot.failures == LIVES or not isinstance(error, WorkerLostError):
                        slot.error, slot.where = error, "given up"
                    self._notes.append(str(error))
                    self._changed.notify_all()
                    self._changed.wait(PAUSE * slot.failures if slot.error is None else 0)
                continue
            with self._changed:
                slot.channel, slot.starting, slot.open, slot.failures = channel, None, None, 0
                slot.where = f"{seen['host']}, process {seen['pid']}"
        if self._closed and slot.channel is not None:
            calls.quietly(slot.channel.close)
        return slot.channel is not None and not self._closed

    def _compare(self, seen: Mapping[str, Any], name: str) -> None:
        """Raises IncompleteError for a worker with other code: what it makes is not what this machine would."""
        if odd := [what for what, here in self._code.items() if seen["code"].get(what) != here]:
            raise IncompleteError(
                f"{name} on {seen['host']} has other versions than this machine: " + ", ".join(
                    f"{what} {seen['code'].get(what)}, expected {self._code[what]}" for what in odd),
                hint="Install the same mace-gov and constraints.txt on every machine.")

    def _done(self, slot: _Slot, run: _Run, index: int) -> Made:
        """What a worker makes of a unit, with the job opened before."""
        assert slot.channel is not None
        if slot.open != run.key:
            slot.open = None
            calls.open_job(slot.channel, run.about, run.job)
            slot.open = run.key
        return calls.do(slot.channel, run.units[index])

    def _lost(self, slot: _Slot, run: _Run, index: int, error: WorkerLostError) -> None:
        """A worker died: its unit goes back, unless it has ended several."""
        channel = slot.channel
        if channel is not None:
            calls.quietly(channel.close)
        with self._changed:
            slot.channel, slot.open, slot.unit, slot.where = None, None, None, ""
            if self._closed:
                return
            run.deaths[index] = deaths = run.deaths.get(index, 0) + 1
            if deaths >= LIVES:
                run.error = run.error or IncompleteError(
                    f"one unit of work ended {deaths} workers; the last: {error.message}",
                    hint="If memory ran out, give fewer --workers or a smaller --batch. What was done is kept: run "
                         "the command again.")
            else:
                run.todo = sorted([*run.todo, index])
                self._notes.append(f"{error.message}; what it was doing is done again")
            self._changed.notify_all()
