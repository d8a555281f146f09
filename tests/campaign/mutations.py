"""Malformed documents, made from a good one and its JSON Schema: each differs from the good one in one place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
MISSING = object()


@dataclass(frozen=True)
class Mutation:
    """One way to spoil a document."""

    what: str
    """What was done."""
    where: Path
    """Where."""
    good: Any
    """The good document."""
    put: Any
    """What is put there."""

    @property
    def value(self) -> Any:
        """The spoilt document, made when it is asked for: most of a campaign's cases are another worker's."""
        return _replaced(self.good, self.where, self.put)

    @property
    def name(self) -> str:
        """For a test's id."""
        return f"{'.'.join(map(str, self.where))}: {self.what}"


def mutations(good: Any, schema: dict[str, Any]) -> Iterator[Mutation]:
    """Every mutation of ``good`` that its schema forbids."""
    for where, value in _nodes(good, ()):
        for what, below, spoilt in _spoil(value, _rules(schema, where)):
            yield Mutation(what, (*where, *below), good, spoilt)


def _nodes(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _nodes(item, (*at, key))


def _spoil(value: Any, rules: dict[str, Any]) -> Iterator[tuple[str, Path, Any]]:
    """What to do, where below the node, and what to put there."""
    if isinstance(value, dict):
        if rules.get("additionalProperties") is False:
            yield "unknown key", ("xyzzy",), 1
        for key in rules.get("required", ()):
            yield "missing", (key,), MISSING
            yield "null", (key,), None
        yield "list for mapping", (), [1]
        if not rules.get("orText"):
            yield "text for mapping", (), "text"
        return
    if isinstance(value, list):
        yield "mapping for list", (), {"a": 1}
        yield "number for list", (), 7
        yield "item of a wrong type", (len(value),), [[]]
        if rules.get("minItems"):
            yield "empty", (), []
        return
    yield "mapping for scalar", (), {"a": 1}
    yield "list for scalar", (), ["a"]
    if "const" in rules or "enum" in rules:
        yield "not one of the choices", (), "xyzzy"
    if isinstance(value, str):
        if "pattern" in rules:
            yield "breaks the pattern", (), "{ \n"
        if "maxLength" in rules:
            yield "too long", (), "a" * (rules["maxLength"] + 1)
        if rules.get("minLength"):
            yield "empty text", (), ""
        yield "number for text", (), 1.5
        if rules.get("format") == "date":
            yield "no date", (), "2026-13-45"
    elif not isinstance(value, bool):
        yield "text for number", (), "many"
        yield "not a number", (), float("nan")
        for key, beyond in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0)):
            if key in rules:
                yield f"beyond its {key}", (), rules[key] + beyond
        if rules.get("type") == "integer":
            yield "fraction for whole number", (), value + 0.5


def _replaced(good: Any, where: Path, value: Any) -> Any:
    if not where:
        return value
    spoilt = copy.deepcopy(good)
    place = spoilt
    for part in where[:-1]:
        place = place[part]
    if value is MISSING:
        del place[where[-1]]
    elif isinstance(place, list) and where[-1] == len(place):
        place.append(value)
    else:
        place[where[-1]] = value
    return spoilt


def _rules(schema: dict[str, Any], where: Path) -> dict[str, Any]:
    """The schema of a place, its references and alternatives resolved (of several the first that is no null)."""
    rules = _resolved(schema, schema)
    for part in where:
        if isinstance(part, int):
            below = rules.get("items", {})
        else:
            below = rules.get("properties", {}).get(part) or rules.get("additionalProperties") or {}
        rules = _resolved(below if isinstance(below, dict) else {}, schema)
    return rules


def _resolved(rules: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in rules:
            rules = schema["$defs"][rules["$ref"].rpartition("/")[2]]
        elif "anyOf" in rules:
            choices = [each for each in rules["anyOf"] if each.get("type") != "null"]
            objects = [each for each in choices if "$ref" in each]
            rules = (objects or choices)[0]
            if objects and {"type": "string"} in choices:
                return {**_resolved(rules, schema), "orText": True}
        else:
            return rules
