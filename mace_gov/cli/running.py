"""The block in which a command draws or trains: progress, the workers that were asked for, and how much at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mace_gov.cli.progress import progress
from mace_gov.core.progress import Progress
from mace_gov.core.resources import Dtype, using
from mace_gov.execute import hired


@contextmanager
def running(
    *, batch: int | None, dtype: Dtype | None, threads: int | None, workers: int | None, ray: str | None,
    device: str | None,
) -> Iterator[Progress]:
    """Where progress is told inside the block; the options are those of ``cli.options``. See ``execute.hired``."""
    with (progress() as shown, hired(workers, ray, threads=threads, device=device, progress=shown) as crew,
          using(batch=batch, precision=dtype, threads=threads, workers=crew)):
        yield shown
