"""One YAML document in, one checked model out, or every error at once, each with file, line and field."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.core.files import read_file as read_bytes
from mace_gov.core.terminal import printable
from mace_gov.documents.document import Document, Location
from mace_gov.policy.source import Source, Unclear, read_yaml

D = TypeVar("D", bound=Document)
LONGEST_LINE = 1000
"""Characters of a message; a key or a name in it may be as long as the file."""
Problem = tuple[Location, str]
"""A place in the document and what is wrong there."""


@dataclass(frozen=True)
class File:
    """A YAML file that is a mapping, not checked any further."""

    path: Path
    """Where it lies."""
    data: bytes
    """Its exact bytes."""
    source: Source
    """Its plain value, with places."""

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes."""
        return sha256_bytes(self.data)


@dataclass(frozen=True)
class Loaded(Generic[D]):
    """A checked document together with the file that it came from."""

    document: D
    """The checked document."""
    file: File
    """Its file."""


def read_file(path: Path, what: str) -> File:
    """Read a YAML file; ``what`` names it in messages.

    Raises UsageError when it cannot be read, PolicyError when it is not a mapping in YAML and UTF-8.
    """
    try:
        data = read_bytes(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the {what} {path}: {reason}") from error
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
    return File(path, data, source)


def validate(
    model: type[D], value: Any, check: Callable[[Any], list[Problem]] | None = None, *, partial: bool = False
) -> tuple[D | None, list[Problem]]:
    """The document, or what is wrong with it.

    ``check`` finds in the plain value what contradicts itself, with places, whatever else is wrong with it; so what the
    document says of itself as a whole counts only when that finds nothing. ``partial``: what is missing is no problem.
    """
    found = check(value) if check is not None else []
    document = None
    try:
        # In a file a key has one name, the one that the schema gives it.
        document = model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        details = [d for d in error.errors() if not (partial and d["type"] == "missing")]
        own = [(tuple(detail["loc"]), _message(model, detail)) for detail in details]
        found += [problem for problem in own if problem[0] or not found]
    return (document if not found else None), found


def fail(path: Path, source: Source, problems: Iterable[Problem], elsewhere: Sequence[str] = ()) -> PolicyError:
    """The error that names every problem, in the order of the file, then those ``elsewhere``, in lines of their own."""
    known = list(dict.fromkeys(problems))
    placed = sorted(((source.place(where), f"{dotted(where)}: {message}") for where, message in known),
                    key=lambda each: each[0])
    lines = [_line(f"{path}:{line}:{column}: {said}") for (line, column), said in placed] + list(elsewhere)
    return PolicyError(printable(f"{path}: {len(lines)} {'error' if len(lines) == 1 else 'errors'}"), lines)


def _line(text: str) -> str:
    return printable(text if len(text) <= LONGEST_LINE else text[:LONGEST_LINE - 3] + "...")


def dotted(where: Location) -> str:
    """A place as people write it: ``spec.categories[0].id``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.lstrip(".") or "the document"


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        names = _siblings(model, tuple(detail["loc"])[:-1])
        close = difflib.get_close_matches(key, names, 1)
        guess = f"; did you mean '{close[0]}'?" if close else f"; expected one of: {', '.join(names)}"
        return f"unknown key '{key}'{guess}"
    if kind == "missing":
        return "found nothing, expected a value: this field is required"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind in ("too_short", "too_long"):  # their own words count items in a text, too
        most = kind == "too_long"
        count = context["max_length" if most else "min_length"]
        what = "character" if isinstance(detail["input"], str) else "item"
        return f"found {_short(detail['input'])}, expected at {'most' if most else 'least'} {count} {what}" + (
            "s" if count != 1 else "")
    expected = re.sub(r"^\w+ should (?:be|have) (?:a valid )?", "", detail["msg"])
    expected = expected.replace("String should match pattern", "text that matches")
    if kind == "string_type" and not isinstance(detail["input"], dict | list | None):
        expected += ": put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(detail["input"], Unclear):
        expected += " in plain decimal digits"
    return f"found {_short(detail['input'])}, expected {expected}"


def _short(value: Any) -> str:
    """A value as people write it, shortened."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else (
        value.isoformat() if isinstance(value, date) else repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _siblings(model: Any, parent: Location) -> list[str]:
    """Field names that the document knows at ``parent``, as they are written in YAML."""
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
