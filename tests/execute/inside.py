"""Workers of this process: what they are asked and answer goes through a frame, as it does to those of another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from mace_gov.core.progress import Progress, Silent
from mace_gov.core.resources import using
from mace_gov.execute.bench import Bench
from mace_gov.execute.channel import Message, read_frame, write_frame
from mace_gov.execute.pool import Pool


class Inside:
    """A channel to a bench in this process, which a test may spoil."""

    near = True

    def __init__(self, name: str = "worker 1") -> None:
        self.name, self.bench, self.closed = name, Bench(), False

    def ask(self, message: Message) -> Message:
        return _sent(self.bench.answer(*_sent(message)))

    def close(self) -> None:
        self.closed = True
        self.bench.answer({"do": "forget"}, [])


def _sent(message: Message) -> Message:
    frame = BytesIO()
    write_frame(frame, message)
    frame.seek(0)
    arrived = read_frame(frame)
    assert arrived is not None
    return arrived


@contextmanager
def crew(progress: Progress | None = None) -> Iterator[Pool]:
    """One worker for the block: models do not load in two threads at once."""
    pool = Pool(lambda _n: Inside(), 1, progress or Silent(), "cpu")
    try:
        with using(workers=pool):
            yield pool
    finally:
        pool.close()
