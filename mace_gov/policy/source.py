"""YAML with places: plain values, and the line and column that each came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from mace_gov.core.errors import PolicyError
from mace_gov.documents.base import Location

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_BITS = 64
"""Of a whole number."""
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass
class Source:
    """A YAML document's plain value with the place of every key and item."""

    value: Any
    """Mappings, lists and scalars."""
    places: dict[Location, tuple[int, int]] = field(default_factory=dict)
    """(line, column), both from 1, by path."""
    problems: list[tuple[Location, str]] = field(default_factory=list)
    """What YAML itself allows but a policy does not, such as a key given twice."""

    def place(self, where: Location) -> tuple[int, int]:
        """Line and column of a path, or of its nearest ancestor that the file holds."""
        while where and where not in self.places:
            where = where[:-1]
        return self.places.get(where, (1, 1))


def read_yaml(text: str, name: str) -> Source:
    """Parse YAML text with the safe loader. Raises PolicyError, naming file and line, when it is not YAML."""
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise PolicyError(f"{name}:1:1: found {len(text.encode('utf-8'))} bytes, expected at most {MAX_BYTES}")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise PolicyError(
            f"{name}:{line}:{column}: found the character U+{ord(text[error.position]):04X}, which YAML forbids"
        ) from error
    try:
        node = loader.get_single_node()
        source = Source(value=None)
        budget = [MAX_NODES]
        if node is not None:
            source.value = _convert(loader, node, (), source, budget, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise PolicyError(f"{name}:{where}: not readable as YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PolicyError(f"{name}:1:1: not readable as YAML: {error}") from error
    finally:
        loader.dispose()
    return source


def _convert(
    loader: yaml.SafeLoader, node: yaml.Node, path: Location, source: Source, budget: list[int], open_: tuple[int, ...]
) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError(f"found more than {MAX_NODES} values once aliases are followed")
    if id(node) in open_:
        raise ValueError("an alias that contains itself")
    if isinstance(node, yaml.CollectionNode) and node.tag not in PLAIN_TAGS:
        raise yaml.constructor.ConstructorError(
            None, None, f"found the tag {node.tag}, expected plain values", node.start_mark
        )
    source.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            where = (*path, key)
            if key in mapping:
                line = key_node.start_mark.line + 1
                source.problems.append((where, f"the key '{key}' is given twice (again on line {line}), expected once"))
            source.places[where] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            mapping[key] = _convert(loader, value_node, where, source, budget, (*open_, id(node)))
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _convert(loader, item, (*path, i), source, budget, (*open_, id(node))) for i, item in enumerate(node.value)
        ]
    return _scalar(loader, node)


def _scalar(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    """A scalar's value; YAMLError with its place for one that is none of its kind."""
    try:
        value = loader.construct_object(node, deep=True)
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        kind = node.tag.rpartition(":")[2]
        found = f"found '{str(node.value)[:40]}', which is no {kind}"
        raise yaml.constructor.ConstructorError(None, None, found, node.start_mark) from error
    if isinstance(value, int) and value.bit_length() > MAX_BITS:  # Python would refuse to print one of 4,300 digits
        found = f"found a number of {value.bit_length()} bits, expected at most {MAX_BITS}"
        raise yaml.constructor.ConstructorError(None, None, found, node.start_mark)
    return value
