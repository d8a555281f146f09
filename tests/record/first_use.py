"""A command's use of a registry, in a process of its own: what it does may be killed, and MLflow is imported once."""

from __future__ import annotations

import multiprocessing
from multiprocessing.process import BaseProcess
from pathlib import Path

from mace_gov.record.store import open_store

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store", "mlflow.tracking", "mace_gov.record.store"])


def first_use(registry: Path) -> BaseProcess:
    """A process that opens a registry, and makes its tables if it has none, as MLflow makes them."""
    process = CONTEXT.Process(target=_open, args=(str(registry),))
    process.start()
    return process


def _open(registry: str) -> None:
    with open_store(Path(registry)) as client:
        found = [each.name for each in client.search_experiments()]
    if found != ["Default"]:
        raise SystemExit(f"found the experiments {found}, expected those of a new registry")
