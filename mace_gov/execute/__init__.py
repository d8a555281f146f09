"""Units of work on several processes, here or on a Ray cluster: ``hired`` gives the ``core.workers.Workers``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Progress
from mace_gov.core.workers import Workers


@contextmanager
def hired(
    count: int | None = None, ray: str | None = None, *, threads: int | None = None, device: str | None = None,
    progress: Progress,
) -> Iterator[Workers | None]:
    """``count`` workers for the block: processes here, or actors on the Ray cluster at ``ray`` (auto, or HOST:PORT).

    threads: CPU threads of each, 1 by default. device: what they draw and train on. Without count, as many as the
    cluster has room for; without both, None: the caller does the work itself. All have ended when the block ends,
    however it does. Raises UsageError for a cluster that does not answer, MissingExtraError without Ray.
    """
    if count is None and ray is None:
        yield None
        return
    if count is not None and count < 1:
        raise UsageError(f"--workers: found {count}, expected 1 or more")
    from mace_gov.execute.pool import Pool

    if ray is None:
        from mace_gov.execute.processes import processes

        assert count is not None
        pool = Pool(processes(threads), count, progress, device)
        try:
            yield pool
        finally:
            pool.close()
        return
    from mace_gov.execute.actors import actors

    with actors(ray, count, threads) as (hire, found):
        progress.note(f"{found} workers on the Ray cluster at {ray}")
        pool = Pool(hire, found, progress, device)
        try:
            yield pool
        finally:
            pool.close()
