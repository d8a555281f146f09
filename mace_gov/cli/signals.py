"""Signals that ask a command to end: it unwinds as it does after an error, so that nothing half-written stays."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

ASKED = ("SIGINT", "SIGTERM", "SIGHUP")
UNWINDING = 10
"""Seconds in which a second signal is let pass: shells, `make` and CI runners send theirs twice."""


class Interrupted(BaseException):
    """The command was asked to end. No ``Exception``: nothing that carries on after errors shall carry on after it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


@contextmanager
def raise_interrupted() -> Iterator[None]:
    """Inside the block these signals raise ``Interrupted``, but for those that the caller ignores, as `nohup` does."""
    first: float | None = None

    def stop(number: int, _frame: object) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None or now - first > UNWINDING:
            first = now
            raise Interrupted(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ASKED if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
