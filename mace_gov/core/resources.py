"""Batch, precision, threads and workers of a run. They change results by rounding alone: the plan has none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from mace_gov.core.threads import limit_threads
from mace_gov.core.workers import Workers


class Dtype(StrEnum):
    """What the U-Net multiplies in, by torch's names."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclass(frozen=True)
class Resources:
    """What a user asked for; None leaves it to the machine."""

    batch: int | None = None
    """Pictures, or LoRAs, in one pass; halved when memory runs out all the same."""
    precision: Dtype | None = None
    """What the U-Net multiplies in."""
    workers: Workers | None = None
    """Processes that draw, train and look; without them this one does."""


_ASKED: ContextVar[Resources | None] = ContextVar("resources", default=None)


def asked() -> Resources:
    """What the user asked for, of the ``using`` that is around."""
    return _ASKED.get() or Resources()


@contextmanager
def using(
    *, batch: int | None = None, precision: Dtype | None = None, threads: int | None = None,
    workers: Workers | None = None,
) -> Iterator[None]:
    """Within the block the work keeps to these. threads holds for the process, and beyond the block."""
    if threads is not None:
        limit_threads(threads)
    token = _ASKED.set(Resources(batch, precision, workers))
    try:
        yield
    finally:
        _ASKED.reset(token)
