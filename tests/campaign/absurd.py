"""Values that no honest file holds, and the places of a JSON document to put them."""

from __future__ import annotations

import copy
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

ESCAPES = "\x1b]8;;https://example.org\x07\x1b[2J\x9b31m\u202e\u200b\r\n::error::x ##[add-mask]y"
"""What acts on a terminal or a build server, if it gets there."""

VALUES: dict[str, Any] = {
    "escapes": ESCAPES, "the year 0": "0000-01-01T00:00:00Z", "the year 10000": "10000-01-01T00:00:00Z",
    "after the last day": "9999-12-31T23:59:59-23:59", "before the first day": "0001-01-01T00:00:00+23:59",
    "a time without a zone": "2026-01-01T00:00:00", "5,000 digits": 10**4999, "400 digits": -(10**399),
    "a large number": 1e308, "a million letters": "a" * 1_000_000, "a long digest": "f" * 5000, "half a pair": "\ud800",
    "null byte": "\0", "null": None, "lists": [[[]]] * 3, "a mapping": {"a": {"b": 1}}, "true": True, "a fraction": 0.5,
    "nothing": "", "a path": "../../../etc/passwd", "a template": "{0.__class__}", "markup": "[red]x[/red][/nothing]",
    "a bomb of lists": None, "not a number": float("nan"), "infinity": float("inf"), "a key twice": None,
    "an empty list": [], "a formula": "\uff1dHYPERLINK(1)",
}
"""By name. A bomb and a key given twice are no values: ``spoilt`` writes them into the text."""
_HOLE = "<<hole>>"
_TEXTS = {"a bomb of lists": "[" * 100_000 + "]" * 100_000, "a key twice": '{"a":1,"a":2}'}


def spoilt(good: Any, where: tuple[str | int, ...], name: str) -> bytes:
    """``good`` as JSON with the value ``name`` at a place of it."""
    value = _HOLE if name in _TEXTS else VALUES[name]
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        text = json.dumps(put(good, where, value), separators=(",", ":"))
    finally:
        sys.set_int_max_str_digits(before)
    return text.replace(f'"{_HOLE}"', _TEXTS.get(name, "")).encode()


def put(value: Any, where: tuple[str | int, ...], new: Any) -> Any:
    """``value`` with something else at a place of it."""
    if not where:
        return new
    changed = copy.copy(value)
    changed[where[0]] = put(value[where[0]], where[1:], new)
    return changed


def sample(good: Any, count: int, seed: int) -> list[tuple[tuple[str | int, ...], str]]:
    """``count`` places with a value for each, every value as often as the others."""
    places, draw = list(_places(good, ())), random.Random(seed)
    names = [name for _ in range(count // len(VALUES) + 1) for name in VALUES]
    return [(draw.choice(places), name) for name in names[:count]]


def acts(text: str) -> list[str]:
    """What of a command's output could act: characters that nobody sees, commands to a build server."""
    found = [hex(ord(c)) for c in text if c not in "\n\u00a0" and not c.isprintable()]
    found += [line for line in text.splitlines() if line.lstrip().startswith("::")]
    return found + [mark for mark in ("##[", "##vso[") if mark in text]


def _places(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*at, key))
