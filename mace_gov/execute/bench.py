"""A worker's own side, the same in a local process and in an actor: it answers one question after the other."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mace_gov
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.environment import source_digest, version_of
from mace_gov.core.errors import MaceGovError, ModelError
from mace_gov.core.lazy import lookup
from mace_gov.core.memory import ran_out
from mace_gov.core.resources import Dtype, using
from mace_gov.core.threads import settle_threads
from mace_gov.core.workers import Model, Opener, Work
from mace_gov.execute.channel import Message

PACKAGES = ("torch", "diffusers", "transformers", "peft", "safetensors", "numpy", "pillow")
"""What the bytes that a worker makes depend on, beside this package."""


def code() -> dict[str, str | None]:
    """What a worker and its pool must have alike: the sources of this package, and the versions of what they call."""
    return {"mace-gov": mace_gov.__version__, "its sources": source_digest(),
            **{name: version_of(name) for name in PACKAGES}}


class Bench:
    """What a worker has open: one job at a time, and the files of models that were sent to it."""

    def __init__(self) -> None:
        self._home = Path(tempfile.gettempdir())
        self._known: dict[str, Path] = {}
        self._models: list[Model] = []
        self._stack = ExitStack()
        self._work: Work | None = None
        self._batch: int | None = None
        self._precision: Dtype | None = None

    def answer(self, header: dict[str, Any], blobs: list[bytes]) -> Message:
        """The answer to one message of a pool; an error is one, too."""
        try:
            match header["do"]:
                case "hello":
                    return self._hello(header["run"]), []
                case "lacks":
                    return {"lacks": self._lacks([Model(**each) for each in header["models"]])}, []
                case "keep":
                    return self._keep(header["digest"], blobs[0], first=header["first"], last=header["last"]), []
                case "open":
                    return self._open(header, blobs), []
                case "forget":
                    self._stack.close()
                    shutil.rmtree(self._home, ignore_errors=True)
                    return {}, []
            assert self._work is not None
            named = dict(zip(header["blobs"], blobs, strict=True))
            with using(batch=self._batch, precision=self._precision):
                made = self._work(header["unit"], named)
            return {"made": {name: sha256_bytes(data) for name, data in made.items()}}, list(made.values())
        except MaceGovError as error:
            return {"error": type(error).__name__, "message": error.message, "hint": error.hint}, []
        except Exception as error:
            if ran_out(error):  # a worker that begins anew, or another one, may have room
                return {"lost": f"ran out of memory: {(str(error).splitlines() or [type(error).__name__])[0]}"}, []
            return {"error": "", "message": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}, []

    def _hello(self, run: str) -> dict[str, Any]:
        self._home = Path(tempfile.gettempdir(), f"mace-gov-sent-{run}")
        settle_threads()
        return {"code": code(), "host": socket.gethostname(), "pid": os.getpid()}

    def _lacks(self, models: list[Model]) -> list[str]:
        """Digests of files that this machine has neither at their own place nor among those that were sent."""
        lacking: list[str] = []
        for model in models:
            for name, digest in model.files.items():
                places = (Path(model.path, name), self._home / digest)
                found = next((place for place in places if place.is_file() and sha256_file(place) == digest), None)
                if found is not None:
                    self._known[digest] = found
                elif digest not in self._known:
                    lacking.append(digest)
        return list(dict.fromkeys(lacking))

    def _keep(self, digest: str, chunk: bytes, *, first: bool, last: bool) -> dict[str, Any]:
        """A part of a model's file. What is loaded is hashed then: a wrong byte here is an error there."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        if self._home.stat().st_uid != os.getuid() or self._home.is_symlink():
            raise ModelError(f"{self._home} is not this user's own folder, expected one for models that are sent",
                             hint="Set TMPDIR to a folder of your own on that machine.")
        scratch = self._home / f".{digest}.{os.getpid()}"
        with scratch.open("wb" if first else "ab") as out:
            out.write(chunk)
        if last:
            scratch.replace(self._home / digest)
        return {}

    def _open(self, header: dict[str, Any], blobs: list[bytes]) -> dict[str, Any]:
        self._work = None
        self._stack.close()  # the job before: two models are never in memory together
        gc.collect()
        self._stack = ExitStack()
        opener: Opener = lookup(header["opens"])
        self._models = [Model(**each) for each in header["models"]]
        self._batch, self._precision = header["batch"], Dtype(header["precision"]) if header["precision"] else None
        named = dict(zip(header["blobs"], blobs, strict=True))
        with using(batch=self._batch, precision=self._precision):
            self._work = self._stack.enter_context(opener(header["setup"], named, self._place))
        return {}

    def _place(self, files: Mapping[str, str]) -> Path:
        """A folder that holds a model's files: its own, or one of links to where they lie here."""
        model = next(each for each in self._models if each.files == files)
        here = {name: self._known.get(digest, Path(model.path, name)) for name, digest in files.items()}
        if all(place == Path(model.path, name) for name, place in here.items()):
            return Path(model.path)
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mace-gov-")))
        for name, place in here.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(place)
        return folder
