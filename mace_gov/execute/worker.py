"""``python -m mace_gov.execute.worker``: a local worker, asked on standard input, answers on standard output."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from contextlib import suppress

from mace_gov.execute.bench import Bench
from mace_gov.execute.channel import Message, read_frame, write_frame


def main() -> None:
    """Answer until the pool is gone: then end at once, in the middle of a unit if need be."""
    for name in ("SIGINT", "SIGHUP"):  # a terminal's signals reach the pool too, which ends its workers
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    source = sys.stdin.buffer
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    asked: queue.Queue[Message] = queue.Queue()

    def listen() -> None:
        while (message := read_frame(source)) is not None:
            asked.put(message)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    bench = Bench()
    with suppress(BrokenPipeError):
        while True:
            write_frame(out, bench.answer(*asked.get()))


if __name__ == "__main__":
    main()
