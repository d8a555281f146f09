"""Workers that are actors on a Ray cluster."""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.lazy import require
from mace_gov.execute.bench import Bench
from mace_gov.execute.channel import Message, WorkerLostError

SHARE = 10_000
"""Ray counts cards in so many parts."""
REACHED = 10.0
"""Seconds for a cluster to answer."""


class Actor:
    """A channel to an actor. It is never restarted by Ray: the pool hires another one, for it knows what was open."""

    near = False

    def __init__(self, ray: Any, name: str, options: dict[str, Any]) -> None:
        self.name, self._ray = name, ray
        if not ray.is_initialized():  # Ray would join a cluster by itself, even when this run is ending
            raise WorkerLostError(f"{name} cannot be started: this run has left the cluster")
        self._actor = ray.remote(Bench).options(max_restarts=0, scheduling_strategy="SPREAD", **options).remote()

    def ask(self, message: Message) -> Message:
        """See ``Channel.ask``."""
        try:
            answer: Message = self._ray.get(self._actor.answer.remote(*message))
        except self._ray.exceptions.RayError as error:
            said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise WorkerLostError(f"{self.name} is gone: {said.strip()}") from error
        return answer

    def close(self) -> None:
        """See ``Channel.close``."""
        self._ray.kill(self._actor)


@contextmanager
def actors(address: str, count: int | None, threads: int | None) -> Iterator[tuple[Callable[[int], Actor], int]]:
    """What starts the n-th worker on the cluster at ``address``, and how many there are to be.

    Without count: one for each graphics card, or for each ``threads`` processors of a cluster without cards. More
    workers than cards share them evenly. Raises MissingExtraError, and UsageError when no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", "ray")
    joined = not ray.is_initialized()
    if joined:
        with _own_signals():
            try:
                _reach(address)
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            except (OSError, ValueError, RuntimeError) as error:
                raise UsageError(f"--ray {address}: found no cluster that answers: {str(error).splitlines()[0]}",
                                 hint="Start one with `ray start --head`, or give its HOST:PORT.") from error
    try:
        room = ray.cluster_resources()
        cards, cpus = int(room.get("GPU", 0)), int(room.get("CPU", 0))
        found = count or cards or cpus // (threads or 1)
        if found < 1:
            raise IncompleteError(f"--ray {address}: found {cpus} processors and {cards} graphics cards, expected some",
                                  hint="Wait until its nodes are up, or give --workers.")
        options: dict[str, Any] = {"num_cpus": threads or 1}
        if cards:
            options["num_gpus"] = math.floor(SHARE / math.ceil(found / cards)) / SHARE
        yield lambda slot: Actor(ray, f"worker {slot + 1}", options), found
    finally:
        if joined:
            ray.shutdown()


def _reach(address: str) -> None:
    """Raises OSError or ValueError for an address at which nobody answers: Ray tries it for minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), REACHED).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; a command's own handlers, which clear up, are put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
