"""Jobs whose units do what a test needs: answer, sleep, break, or end their worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mace_gov.core.canonical import canonical_json
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import NumericalError
from mace_gov.core.workers import Job, Place, Unit, Work


def job(folder: Path, **setup: Any) -> Job:
    """Marks of what was done go into ``folder``."""
    return Job("tests.execute.units:open_units", {"folder": str(folder), **setup}, blobs={"word": b"ship"})


def listed(*abouts: Any) -> list[Unit]:
    return list(map(Unit, abouts))


@contextmanager
def open_units(setup: Any, blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """A unit is a number, or a word that says how it goes wrong."""
    folder = Path(setup["folder"])
    (folder / f"opened-{os.getpid()}").touch()

    def work(unit: Any, _own: Mapping[str, bytes]) -> dict[str, bytes]:
        mark = folder / f"{unit}-{os.getpid()}"
        time.sleep(setup.get("pause", 0))
        with mark.open("a") as out:
            out.write("x")
        if unit == "breaks":
            raise NumericalError("the weight is nan", hint="Lower it.")
        if unit == "bug":
            raise KeyError("a bug")
        if unit == "kills" or (unit == "kills once" and len(list(folder.glob("kills once-*"))) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if unit == "hungry" or (unit == "hungry once" and mark.read_text() == "x"):
            raise MemoryError(f"Unable to allocate 4 TiB for {unit}")
        if unit == "files":
            return {"made": canonical_json(folder_files(place(setup["files"])))}
        if unit == "sleeps":
            time.sleep(60)
        return {"made": blobs["word"] + str(unit).encode()}

    yield work
