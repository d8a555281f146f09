"""The verb ``load_policy``: one YAML file in, one checked ``Policy`` out, or every error at once with its place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.documents.policy import Location, Policy, inconsistencies
from mace_gov.policy.source import Source, read_yaml


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy together with the file that it came from."""

    policy: Policy
    """The checked document."""
    path: Path
    """Its file."""
    data: bytes
    """The file's exact bytes."""
    source: Source
    """Places, for messages about single fields."""

    @property
    def file_digest(self) -> str:
        """SHA-256 of the file's bytes."""
        return sha256_bytes(self.data)


def load_policy(path: Path) -> LoadedPolicy:
    """Read and check a policy file.

    Raises UsageError when there is no such file, PolicyError with every problem found, each as
    ``file:line:column: field: what was found, what was expected``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the policy {path}: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"{path}:1:1: found a byte that is not UTF-8 at offset {error.start}, expected UTF-8"
        ) from error
    source = read_yaml(text, str(path))
    if not isinstance(source.value, dict):
        found = "an empty file" if source.value is None else type(source.value).__name__
        raise PolicyError(f"{path}:1:1: found {found}, expected a mapping with apiVersion, kind, metadata and spec")
    problems = [*source.problems, *inconsistencies(source.value)]
    policy: Policy | None = None
    try:
        policy = Policy.model_validate(source.value)
    except ValidationError as error:
        details = [d for d in error.errors() if not (d["type"] == "value_error" and not d["loc"])]
        problems += [(_path(d), _message(d, source)) for d in details]
    if problems or policy is None:
        raise PolicyError(_headline(path, len(problems)), _lines(path, source, problems))
    return LoadedPolicy(policy, path, data, source)


def _headline(path: Path, count: int) -> str:
    return f"{path}: {count} {'error' if count == 1 else 'errors'}"


def _lines(path: Path, source: Source, problems: list[tuple[Location, str]]) -> list[str]:
    placed = sorted((source.place(where), where, message) for where, message in _known(problems))
    return [f"{path}:{line}:{column}: {_dotted(where)}: {message}" for (line, column), where, message in placed]


def _known(problems: list[tuple[Location, str]]) -> list[tuple[Location, str]]:
    return list(dict.fromkeys(problems))


def _dotted(where: Location) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.lstrip(".") or "policy"


def _path(detail: ErrorDetails) -> Location:
    return tuple(detail["loc"])


def _message(detail: ErrorDetails, source: Source) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        names = _siblings(_path(detail)[:-1])
        close = difflib.get_close_matches(key, names, 1)
        guess = f"; did you mean '{close[0]}'?" if close else f"; expected one of: {', '.join(names)}"
        return f"unknown key '{key}'{guess}"
    if kind == "missing":
        return "found nothing, expected a value: this field is required"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"found {_short(detail['input'])}, expected {expected}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _siblings(parent: Location) -> list[str]:
    """Field names that the policy knows at ``parent``, as they are written in YAML."""
    model: Any = Policy
    for part in parent:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        model = _model_in(field.annotation) if field else None
        if model is None:
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for arg in getattr(annotation, "__args__", ()) if (model := _model_in(arg))), None)
