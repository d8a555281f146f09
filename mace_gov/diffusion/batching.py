"""How many things go through a model at once: found once from what a pass takes, halved when memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from mace_gov.core.errors import IncompleteError
from mace_gov.core.memory import ran_out
from mace_gov.core.resources import asked
from mace_gov.diffusion.pipeline import Pipeline

Made = TypeVar("Made")

MOST = 64
"""In one pass: beyond it nothing gets faster, and an interruption costs more."""
SHARE = 0.8
"""Of the memory that is free: allocators leave gaps, and others may come."""


class BatchSize:
    """A number of things for one pass. Batches move results by rounding alone, so any number will do."""

    def __init__(self, device: torch.device, size: int, *, grows: bool = False, resort: Callable[[], bool] | None = None
                 ) -> None:
        """size: where to begin. grows: measure the first pass, and take as many as there is room for from then on; on
        CUDA alone, for elsewhere more are no faster. resort: what can still be done once a single one does not fit; it
        says whether it did anything.
        """
        self.device, self.size, self.resort = device, size, resort
        self.grows = grows and device.type == "cuda"

    def each(self, count: int, work: Callable[[slice], Made]) -> Iterator[tuple[slice, Made]]:
        """``work`` on every part of ``count`` things, in order, with its part.

        A part for which memory runs out is done anew in halves. Raises IncompleteError when one alone is too much.
        """
        start = 0
        while start < count:
            part = slice(start, min(start + self.size, count))
            done, made = self._attempt(part, work)
            if done:
                yield part, made
                start = part.stop

    def _attempt(self, part: slice, work: Callable[[slice], Made]) -> tuple[bool, Made]:
        size = part.stop - part.start
        if self.grows:
            before = torch.cuda.memory_allocated(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            made = work(part)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            if size == 1 and not (self.resort and self.resort()):
                said = (str(error).splitlines() or [type(error).__name__])[0]
                raise IncompleteError(
                    f"memory of {self.device} ran out with one thing in a pass: {said}",
                    hint="End what else runs there, give --dtype bfloat16, or --device cpu.") from None
            self.size, self.grows = max(1, size // 2), False
        else:
            if self.grows:
                each = (torch.cuda.max_memory_allocated(self.device) - before) / size
                self.size, self.grows = max(self.size, room(self.device, each)), False
            return True, made
        # not before the error is gone: its frames hold all that the pass held
        release(self.device)
        return False, None  # type: ignore[return-value]


def room(device: torch.device, each: float) -> int:
    """How many of ``each`` bytes fit into a CUDA device's free memory: a power of two, so that a little more or less of
    it makes no difference."""
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    count = min(MOST, int(SHARE * free / max(each, 1)))
    return 1 << (max(1, count).bit_length() - 1)


def release(device: torch.device) -> None:
    """Give back what the allocator keeps."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def batch_size_of(
    pipe: Pipeline, what: str, size: int, *, by_user: bool = True, resort: Callable[[], bool] | None = None
) -> BatchSize:
    """The pipeline's own fit for ``what`` that begins with ``size``; it is kept with the pipeline.

    by_user: whether ``--batch`` is about it; then that is taken as it is.
    """
    fits: dict[tuple[str, int], BatchSize] = vars(pipe).setdefault("_mace_gov_fits", {})
    given = asked().batch if by_user else None
    key = what, given or size
    if key not in fits:
        fits[key] = BatchSize(pipe.device, given or size, grows=given is None, resort=resort)
    return fits[key]
