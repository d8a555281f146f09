"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mace_gov.core.threads import COUNT
from mace_gov.execute.channel import Message, WorkerLostError, read_frame, write_frame

CARDS = "CUDA_VISIBLE_DEVICES"
_CARDS = Path("/proc/driver/nvidia/gpus")
TAIL = 300
"""Characters of a dead worker's last words."""


class Process:
    """A channel to a process of this machine."""

    near = True

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        self.name = name
        # to a file: who does not read a pipe in time stops the one who writes
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        # It imports from where this process does, and not from the folder that the command happens to run in.
        environment = {**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen([sys.executable, "-P", "-m", "mace_gov.execute.worker"], env=environment,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(self, message: Message) -> Message:
        """See ``Channel.ask``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            write_frame(self._process.stdin, message)  # type: ignore[arg-type]
            answer = read_frame(self._process.stdout)  # type: ignore[arg-type]
        except (OSError, ValueError) as error:  # it is gone, or closed by another thread
            raise WorkerLostError(f"{self.name} {self._end()}") from error
        if answer is None:
            raise WorkerLostError(f"{self.name} {self._end()}")
        return answer

    def close(self) -> None:
        """See ``Channel.close``."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                with suppress(OSError):  # what was to be written has no reader any more
                    pipe.close()

    def _end(self) -> str:
        """How it ended, in words."""
        self._process.kill()
        code, words = self._process.wait(), ""
        with suppress(ValueError):  # closed by another thread
            self._said.seek(0)
            words = self._said.read().decode("utf-8", "replace").strip()[-TAIL:]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{how}: {words}" if words else how


def processes(threads: int | None) -> Callable[[int], Process]:
    """What starts the n-th worker. They take the machine's graphics cards in turn.

    threads: CPU threads of each, 1 by default: results round by it, and shall not depend on how many workers there are.
    """
    visible = os.environ.get(CARDS)
    cards = visible.split(",") if visible is not None else [
        str(n) for n, _ in enumerate(_CARDS.iterdir() if _CARDS.is_dir() else ())]
    package = str(Path(__file__).parents[2])  # a worker must run this very code

    def start(slot: int) -> Process:
        environment = {**os.environ, COUNT: str(threads or 1)}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        if cards:
            environment[CARDS] = cards[slot % len(cards)]
        return Process(f"worker {slot + 1}", environment)

    return start
