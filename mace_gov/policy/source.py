"""YAML with places: plain values, and the line and column that each came from.

Scalars mean what YAML 1.2 and JSON take them for, numbers in decimal alone. What YAML's versions read differently (yes,
010, 1:00, 1_000) is nobody's value: it stays ``Unclear``, which no field takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import yaml

from mace_gov.core.errors import PolicyError
from mace_gov.core.terminal import printable
from mace_gov.documents.document import Location, control

MAX_BYTES = 10_000_000
MAX_NODES = 500_000
MAX_DEPTH = 64
LONGEST_NUMBER = 40
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:str")
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNCLEAR = re.compile(
    r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"  # sexagesimal
    r"|[-+]?0[xX][0-9a-fA-F_]+|[-+]?0[bB][01_]+|[-+]?0o[0-7_]+"
    r"|[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"  # octal, underscores
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}\S*(?:[ \t]*\S+)?)?"
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Unclear:
    """A bare word or number that readers of YAML take for different things, or that is no finite number or real day."""

    text: str
    """As it is written."""

    def __repr__(self) -> str:
        return self.text


@dataclass
class Source:
    """A YAML document's plain value with the place of every key and item."""

    value: Any
    """Mappings, lists and scalars; a date where one is written, ``Unclear`` where nobody can say."""
    places: dict[Location, tuple[int, int]] = field(default_factory=dict)
    """(line, column), both from 1, by path."""
    problems: list[tuple[Location, str]] = field(default_factory=list)
    """What YAML itself allows but a policy does not, such as a key given twice."""

    def place(self, where: Location) -> tuple[int, int]:
        """Line and column of a path, or of its nearest ancestor that the file holds."""
        while where and where not in self.places:
            where = where[:-1]
        return self.places.get(where, (1, 1))


class _Node(NamedTuple):
    """A value as it stands in the text; of a mapping, keys and values in turn."""

    kind: str
    content: Any
    line: int
    column: int


class _NotPlainError(Exception):
    """What YAML allows and a policy does not."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.place = f"{line}:{column}"


def read_yaml(text: str, name: str) -> Source:
    """Parse YAML text; nothing in it is run. Raises PolicyError, naming file and line, when it is not plain YAML."""
    if (size := len(text.encode("utf-8"))) > MAX_BYTES:
        raise PolicyError(f"{name}:1:1: found {size} bytes, expected at most {MAX_BYTES}")
    source = Source(value=None)
    try:
        root = _compose(yaml.parse(text, Loader=_LOADER))
        if root is not None:
            source.value = _plain(root, (), source, [MAX_NODES])
    except yaml.reader.ReaderError as error:
        line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
        raise PolicyError(
            f"{name}:{line}:{column}: found the character U+{ord(text[error.position]):04X}, which YAML forbids"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise PolicyError(f"{name}:{where}: not readable as YAML: {error.problem or error.context}") from error
    except _NotPlainError as error:
        raise PolicyError(f"{name}:{error.place}: not readable as YAML: {error}") from error
    except (yaml.YAMLError, ValueError) as error:  # a character that is none, written as an escape
        raise PolicyError(f"{name}:1:1: not readable as YAML: {error}") from error
    return source


def scalar(text: str) -> Any:
    """What a bare word or number means: text, a number, true or false, nothing, a date, or ``Unclear``."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "-+.0123456789yYnNoO":
        return text
    if len(text) <= LONGEST_NUMBER and _NUMBER.fullmatch(text):
        number = int(text) if _INTEGER.fullmatch(text) else float(text)
        return number if math.isfinite(number) else Unclear(text)
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return Unclear(text)
    return Unclear(text) if _UNCLEAR.fullmatch(text) else text


def _compose(events: Iterator[Any]) -> _Node | None:
    """The one document's root, aliases resolved to the very nodes that they name; without recursion."""
    root: list[_Node] = []
    open_: list[tuple[list[_Node], _Node | None, str | None]] = [(root, None, None)]
    anchors: dict[str, _Node | None] = {}
    documents = 0
    for event in events:
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _at(mark, "found a second document, expected one")
        elif isinstance(event, yaml.CollectionEndEvent):
            _, node, anchor = open_.pop()
            if anchor is not None:
                anchors[anchor] = node
        elif isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if (known := anchors.get(name)) is None:
                unknown = "an alias that contains itself" if name in anchors else "an alias of nothing"
                raise _at(mark, f"found *{_short(name)}, {unknown}")
            open_[-1][0].append(known._replace(line=mark.line + 1, column=mark.column + 1))
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag is not None and event.tag not in PLAIN_TAGS:
                raise _at(mark, f"found the tag {_short(event.tag)}, expected plain values")
            node = _node(event)
            open_[-1][0].append(node)
            if isinstance(event, yaml.CollectionStartEvent):
                if len(open_) > MAX_DEPTH:
                    raise _at(mark, f"found more than {MAX_DEPTH} levels, expected fewer")
                open_.append((node.content, node, event.anchor))
            if event.anchor is not None:
                anchors[event.anchor] = None if isinstance(event, yaml.CollectionStartEvent) else node
    return root[0] if root else None


def _node(event: Any) -> _Node:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    if isinstance(event, yaml.ScalarEvent):
        if not event.value.isascii() and any("\ud800" <= char <= "\udfff" for char in event.value):
            raise _at(event.start_mark, "found half of a surrogate pair, expected a character")
        value = scalar(event.value) if event.implicit[0] else event.value
        return _Node("scalar", (event.value, value), line, column)
    kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
    return _Node(kind, [], line, column)


def _plain(node: _Node, path: Location, source: Source, budget: list[int]) -> Any:
    """The node's value; writes places and problems down. ``budget``: how many values are left, aliases followed."""
    budget[0] -= 1
    if budget[0] < 0:
        raise _NotPlainError(node.line, node.column, f"found more than {MAX_NODES} values once aliases are followed")
    if len(path) > MAX_DEPTH:
        raise _NotPlainError(node.line, node.column, f"found more than {MAX_DEPTH} levels once aliases are followed")
    source.places.setdefault(path, (node.line, node.column))
    if node.kind == "map":
        return _mapping(node, path, source, budget)
    if node.kind == "list":
        return [_plain(item, (*path, i), source, budget) for i, item in enumerate(node.content)]
    _refuse_controls(node.content[0], path, source)
    return node.content[1]


def _mapping(node: _Node, path: Location, source: Source, budget: list[int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in zip(node.content[::2], node.content[1::2], strict=True):
        key = key_node.content[0] if key_node.kind == "scalar" else "?"
        where = (*path, key)
        if key in mapping:
            again = f"(again on line {key_node.line})"
            source.problems.append((where, f"the key '{key}' is given twice {again}, expected once"))
        source.places[where] = (key_node.line, key_node.column)
        _refuse_controls(key, where, source)
        mapping[key] = _plain(value_node, where, source, budget)
    return mapping


def _refuse_controls(text: str, where: Location, source: Source) -> None:
    if not text.isprintable() and (problem := control(text)):
        source.problems.append((where, problem))


def _short(name: str) -> str:
    return printable(name if len(name) <= 60 else name[:57] + "...")


def _at(mark: Any, message: str) -> _NotPlainError:
    return _NotPlainError(mark.line + 1, mark.column + 1, message)
