"""Join a child policy's plain data onto its parent's: lists go by id, words are added, everything else is replaced."""

from __future__ import annotations

from typing import Any

from mace_gov.core.phrases import phrase_key
from mace_gov.documents.document import Location

KEYS = {"categories": "id", "concepts": "id", "rules": "id", "detectors": "name"}
"""Lists of which the items have a name: an item of the parent's name changes the parent's, another one is added. Of
several detectors of one name the child's first is about the parent's first, its second about the second."""
ADDED = ("synonyms", "descriptions", "broader", "narrower", "neighbours", "concepts", "notWaivable")
"""Lists of words: the child's are added."""

Origins = dict[Location, Location]
"""Where a place of the joined data stands in the child."""


def merge(parent: Any, child: Any) -> tuple[Any, Origins]:
    """The joined data, and for every place that the child speaks about its place in the child."""
    origins: Origins = {}
    return _merge(parent, child, (), (), origins), origins


def _merge(parent: Any, child: Any, at: Location, place: Location, origins: Origins) -> Any:
    origins[at] = place
    if isinstance(parent, dict) and isinstance(child, dict):
        joined = dict(parent)
        for key, value in child.items():
            joined[key] = _merge(parent.get(key), value, (*at, key), (*place, key), origins)
        return joined
    if isinstance(parent, list) and isinstance(child, list) and at and isinstance(at[-1], str):
        if any(isinstance(item, dict) for item in parent) and at[-1] in KEYS:
            return _by_name(parent, child, KEYS[at[-1]], at, place, origins)
        if at[-1] in ADDED:
            return _added(parent, child, at, place, origins)
    _own(child, at, place, origins)
    return child


def _by_name(
    parent: list[Any], child: list[Any], key: str, at: Location, place: Location, origins: Origins
) -> list[Any]:
    joined = list(parent)
    left: dict[Any, list[int]] = {}
    for n, item in enumerate(parent):
        left.setdefault(item.get(key), []).append(n)
    for i, item in enumerate(child):
        value = {key: item} if isinstance(item, str) and key == "name" else item  # a detector's bare name
        name = value.get(key) if isinstance(value, dict) else None
        if isinstance(name, str) and left.get(name):
            n = left[name].pop(0) if key == "name" else left[name][0]  # an id given twice is an error by itself
            joined[n] = _merge(joined[n], value, (*at, n), (*place, i), origins)
        else:
            _own(value, (*at, len(joined)), (*place, i), origins)
            joined.append(value)
    return joined


def _added(parent: list[Any], child: list[Any], at: Location, place: Location, origins: Origins) -> list[Any]:
    joined = list(parent)
    known = {phrase_key(item) for item in parent}
    for i, item in enumerate(child):
        if not isinstance(item, str) or phrase_key(item) not in known:
            _own(item, (*at, len(joined)), (*place, i), origins)
            joined.append(item)
    return joined


def _own(value: Any, at: Location, place: Location, origins: Origins) -> None:
    """All of ``value`` is the child's."""
    origins[at] = place
    if isinstance(value, dict):
        for key, item in value.items():
            _own(item, (*at, key), (*place, key), origins)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _own(item, (*at, i), (*place, i), origins)
