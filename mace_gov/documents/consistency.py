"""What contradicts itself in a policy. Reads plain data, for a policy may be wrong in other ways too."""

from __future__ import annotations

from typing import Any

from mace_gov.documents.base import Location


def inconsistencies(data: Any) -> list[tuple[Location, str]]:
    """What contradicts itself in a policy's plain data, each with its place. Tolerates data that is wrong otherwise."""
    found: list[tuple[Location, str]] = []
    spec = _get(data, "spec")
    seen: dict[tuple[str, str], Location] = {}
    targets: set[str] = set()

    def claim(what: str, value: Any, where: Location) -> None:
        if isinstance(value, str) and seen.setdefault((what, value.casefold()), where) != where:
            found.append((where, f"found '{value}' a second time, expected a {what} that is unique in the policy"))

    concepts = []
    kept = [(("spec", "method", "preserve", "concepts", i), phrase)
            for i, phrase in enumerate(_list(_get(_get(_get(spec, "method"), "preserve"), "concepts")))]
    for i, category in enumerate(_list(_get(spec, "categories"))):
        at: Location = ("spec", "categories", i)
        claim("category id", _get(category, "id"), (*at, "id"))
        for j, rule in enumerate(_list(_get(category, "rules"))):
            claim("rule id", _get(rule, "id"), (*at, "rules", j, "id"))
        for j, concept in enumerate(_list(_get(category, "concepts"))):
            claim("concept id", _get(concept, "id"), (*at, "concepts", j, "id"))
            claim("target", _get(concept, "target"), (*at, "concepts", j, "target"))
            concepts.append(((*at, "concepts", j, "anchor"), _get(concept, "anchor")))
            if isinstance(target := _get(concept, "target"), str):
                targets.add(target.casefold())
        kept += [((*at, "neighbours", j), phrase) for j, phrase in enumerate(_list(_get(category, "neighbours")))]
    for where, phrase in kept:
        if isinstance(phrase, str) and phrase.casefold() in targets:
            found.append((where, f"'{phrase}' is banned and preserved at once; expected it in one of the two"))
    for where, anchor in concepts:
        if isinstance(anchor, str) and anchor.casefold() in targets:
            found.append((where, f"the anchor '{anchor}' is itself banned; expected a harmless concept"))
    return found


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def _list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []
