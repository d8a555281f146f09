"""What a pool says to a worker, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mace_gov.core import errors
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.workers import Job, Made, Unit
from mace_gov.execute.channel import Channel, Message, WorkerLostError

CHUNK = 2**26
"""Bytes of a model's file that are sent at once."""


def greet(channel: Channel, run: str) -> dict[str, Any]:
    """A worker's first call: what code it runs, and where. run: names the folder for what is sent to its machine."""
    return _answer(channel, {"do": "hello", "run": run})[0]


def open_job(channel: Channel, about: dict[str, Any], job: Job) -> None:
    """Have a worker open a job. A machine that lacks files of its models, by content, is sent those."""
    if not channel.near:
        _send_models(channel, about["models"])
    _answer(channel, about, list(job.blobs.values()))


def do(channel: Channel, unit: Unit) -> Made:
    """What a worker makes of a unit. Raises WorkerLostError when other bytes arrive than it made."""
    asked = {"do": "work", "unit": unit.about, "blobs": list(unit.blobs)}
    header, blobs = _answer(channel, asked, list(unit.blobs.values()))
    made: dict[str, str] = header["made"]
    if [sha256_bytes(blob) for blob in blobs] != list(made.values()):
        raise WorkerLostError(f"{channel.name} sent other bytes than it made")
    return dict(zip(made, blobs, strict=True))


def forget(channel: Channel) -> None:
    """Have a worker remove what was sent to its machine."""
    _answer(channel, {"do": "forget"})


def quietly(act: Callable[..., Any], *given: Any) -> None:
    """Call ``act``; whatever it raises is dropped."""
    try:
        act(*given)
    except Exception:
        return


def _send_models(channel: Channel, models: Sequence[Mapping[str, Any]]) -> None:
    lacking: list[str] = _answer(channel, {"do": "lacks", "models": models})[0]["lacks"]
    places = {digest: Path(model["path"], name) for model in models for name, digest in model["files"].items()}
    for digest in lacking:
        with places[digest].open("rb") as data:
            chunk, first = data.read(CHUNK), True
            while first or chunk:
                following = data.read(CHUNK)
                _answer(channel, {"do": "keep", "digest": digest, "first": first, "last": not following}, [chunk])
                chunk, first = following, False
    if lacking and (still := _answer(channel, {"do": "lacks", "models": models})[0]["lacks"]):
        raise errors.ModelError(f"a file of {models[0]['path']} arrived at {channel.name} as another one: {still[0]}",
                                hint="Run the command again when nobody writes to the model.")


def _answer(channel: Channel, header: dict[str, Any], blobs: Sequence[bytes] = ()) -> Message:
    answer, made = channel.ask((header, list(blobs)))
    if "lost" in answer:
        raise WorkerLostError(f"{channel.name} {answer['lost']}")
    if "error" in answer:
        _raise(answer, channel.name)
    return answer, made


def _raise(answer: Mapping[str, Any], name: str) -> NoReturn:
    """A worker's error as the caller would have had it; one of another kind as what it is, a bug."""
    kind = getattr(errors, answer["error"] or "-", None)
    if isinstance(kind, type) and issubclass(kind, errors.MaceGovError) and kind is not errors.NotReleasedError:
        raise kind(answer["message"], hint=answer["hint"])
    raise RuntimeError(f"{name}: {answer['message']}\n{answer.get('trace', '')}")
