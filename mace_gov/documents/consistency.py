"""What contradicts itself in a policy. Reads plain data, for a policy may be wrong in other ways too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mace_gov.core.phrases import phrase_key
from mace_gov.documents.document import Location
from mace_gov.documents.terms import Kind, Metric, Suite

UNRELATED = 120
"""Prompts of the unrelated suite where a policy does not say how many."""
WORDS = ("synonyms", "descriptions", "broader", "narrower")
"""A concept's lists of phrases."""
RULE = {"id", "suite", "metric", "atMost", "atLeast", "confidence", "minSamples"}
"""Keys of a rule; one with others, which may be misspelt, is not judged as a whole."""
SUMS = ("scale", "refineScale", "conceptScale", "refineConceptScale", "priorSize", "namesakeScale")
"""Keys of ``preserve`` that multiply sums, as published: one of them makes the preset the published one."""
WEIGHTS = ("weight", "conceptWeight", "namesakeWeight")
"""Keys of ``preserve`` that weigh the same against what is erased."""
Found = Iterator[tuple[Location, str]]
"""Places and what is wrong there."""


def inconsistencies(data: Any) -> list[tuple[Location, str]]:
    """What contradicts itself in a policy's plain data, each with its place. Tolerates data that is wrong otherwise.

    Phrases are one when ``phrase_key`` says so: case, blanks, hyphens and articles make no other concept.
    """
    return [*_twice(data), *_against_the_ban(data), *_subjects(data), *_settings(data)]


def rule_problems(rule: Any) -> list[str]:
    """What contradicts itself in a rule's plain data."""
    if not isinstance(rule, dict) or not set(rule) <= RULE:
        return []
    suite, metric = _get(rule, "suite"), _get(rule, "metric")
    at_most, at_least = (_get(rule, name) is not None for name in ("atMost", "atLeast"))
    found = ["give exactly one of atMost and atLeast"] if at_most == at_least else []
    if metric not in list(Metric):
        return found
    if suite in list(Suite) and Suite(suite).banned is (metric == Metric.RETENTION):
        fitting = " or ".join(each for each in Suite if each.banned is (metric == Metric.PRESENCE))
        found.append(f"{metric} is measured on {fitting}; found suite '{suite}'")
    needed, given = ("atMost", at_most) if metric == Metric.PRESENCE else ("atLeast", at_least)
    if at_most != at_least and not given:
        found.append(f"a {metric} rule needs {needed}")
    return found


def ridge_problems(ridge: Any) -> list[str]:
    """What contradicts itself in the plain data of a ridge."""
    both = _get(ridge, "ridge") is not None and _get(ridge, "relativeRidge") is not None
    return ["give ridge or relativeRidge, not both"] if both else []


def window_problems(window: Any) -> list[str]:
    """What contradicts itself in the plain data of a window."""
    start, end = _get(window, "start"), _get(window, "end")
    late = type(start) is int and type(end) is int and start >= end
    return [f"start must be below end, found {start} and {end}"] if late else []


def asks_published(method: Any) -> list[str]:
    """What in a method's plain data asks for the published settings: their preset, or a scale that multiplies sums."""
    return [*(["preset: paper"] if _get(method, "preset") == "paper" else []), *_preserved(method, SUMS)]


def method_problems(method: Any) -> list[tuple[Location, str]]:
    """What contradicts itself between the settings of a method's plain data, each with its place in the method."""
    lora, published, weights = _get(method, "lora"), asks_published(method), _preserved(method, WEIGHTS)
    found: list[tuple[Location, str]] = []
    if weights and published:
        found.append((("preserve",), (
            f"found {_all(weights)} beside {_all(published)}; expected weights, which are relative to what is erased, "
            "or the published scales, which multiply sums, not both")))
    if _get(lora, "stepSize") is not None:
        init = _get(lora, "init")
        if _get(lora, "learningRate") is not None:
            found.append((("lora",), "found lora.stepSize beside lora.learningRate; expected a step that is relative "
                                     "to what a layer answers, or one in the weights' own unit, not both"))
        elif init in ("random", "normal") or (init is None and published):
            other = f"lora.init: {init}" if init else f"{_all(published)}, whose LoRAs begin with init: normal"
            found.append((("lora",), f"found lora.stepSize beside {other}; expected lora.learningRate, or "
                                     "lora.init: focal, where a step has a direction to be relative to"))
    masks, named = _get(lora, "masks"), _get(method, "segmenter") is not None
    if masks == "segmenter" and not named:
        found.append(((), "masks: segmenter needs method.segmenter with a detector and a segmenter"))
    if named and masks in ("attention", "none"):
        found.append(((), f"found method.segmenter beside masks: {masks}, expected masks: segmenter, or none of the "
                          "two"))
    return found


def _twice(data: Any) -> Found:
    """Ids, targets, words and detectors that stand twice where they must stand once."""
    seen: dict[tuple[str, Any], Location] = {}

    def claim(what: str, value: Any, where: Location) -> Found:
        if not isinstance(value, str):
            return
        first = seen.setdefault((what, phrase_key(value) if what == "target" else value), where)
        if first != where:
            yield where, f"found '{value}' a second time, expected a {what} that is unique in the policy"

    for at, category in _categories(data):
        yield from claim("category id", _get(category, "id"), (*at, "id"))
        for j, rule in enumerate(_list(_get(category, "rules"))):
            yield from claim("rule id", _get(rule, "id"), (*at, "rules", j, "id"))
        for j, concept in enumerate(_list(_get(category, "concepts"))):
            yield from claim("concept id", _get(concept, "id"), (*at, "concepts", j, "id"))
            yield from claim("target", _get(concept, "target"), (*at, "concepts", j, "target"))
            for words in WORDS:
                yield from _repeated(_get(concept, words), (*at, "concepts", j, words))
        yield from _repeated(_get(category, "neighbours"), (*at, "neighbours"))
        yield from _same_detectors(_list(_get(category, "detectors")), (*at, "detectors"))
    yield from _repeated(_kept(data), ("spec", "method", "preserve", "concepts"))
    spec = _get(data, "spec")
    for phrases in ("templates", "subjects"):
        yield from _repeated(_get(_get(spec, "audit"), phrases), ("spec", "audit", phrases))
    refine = _get(_get(spec, "method"), "refine")
    yield from _repeated(_get(refine, "templates"), ("spec", "method", "refine", "templates"))


def _repeated(phrases: Any, at: Location) -> Found:
    seen: set[str] = set()
    for i, phrase in enumerate(_list(phrases)):
        if isinstance(phrase, str):
            if (key := phrase_key(phrase)) in seen:
                yield (*at, i), f"found '{phrase}' a second time, expected it once"
            seen.add(key)


def _same_detectors(detectors: list[Any], at: Location) -> Found:
    """Several of one name are told apart by their settings; of two that are equal nobody could say which was waived."""
    seen: set[str] = set()
    for i, detector in enumerate(detectors):
        settings = {"name": detector} if isinstance(detector, str) else detector
        if isinstance(settings, dict):
            if (key := repr(sorted(settings.items(), key=lambda item: str(item[0])))) in seen:
                yield (*at, i), f"found the detector '{settings.get('name')}' with the same settings a second time"
            seen.add(key)


def _against_the_ban(data: Any) -> Found:
    """What is banned and preserved at once, and anchors that are banned themselves."""
    banned = _banned(data)

    def why(phrase: Any) -> str | None:
        return banned.get(phrase_key(phrase)) if isinstance(phrase, str) else None

    kept: list[tuple[Location, Any]] = [
        (("spec", "method", "preserve", "concepts", i), phrase) for i, phrase in enumerate(_list(_kept(data)))
    ]
    for at, category in _categories(data):
        kept += [((*at, "neighbours", j), phrase) for j, phrase in enumerate(_list(_get(category, "neighbours")))]
        for j, concept in enumerate(_list(_get(category, "concepts"))):
            anchor = _get(concept, "anchor")
            if said := why(anchor):
                yield (*at, "concepts", j, "anchor"), (
                    f"the anchor '{anchor}' is itself banned ({said}); expected a harmless concept")
    for where, phrase in kept:
        if said := why(phrase):
            yield where, f"'{phrase}' is banned and preserved at once ({said}); expected it in one of the two"


def _subjects(data: Any) -> Found:
    """Subjects of the audit's own that the policy names elsewhere, and more of them than are asked for.

    One phrase whose words another one holds is no other thing: "black cat" and "cat".
    """
    audit = _get(_get(data, "spec"), "audit")
    subjects = _list(_get(audit, "subjects"))
    named = [(frozenset(phrase_key(phrase).split()), phrase, what) for phrase, what in _named(data)]
    for i, phrase in enumerate(subjects):
        words = frozenset(phrase_key(phrase).split()) if isinstance(phrase, str) else frozenset()
        found = [(other, what) for own, other, what in named if words and own and (words <= own or own <= words)]
        if found:
            other, what = found[0]
            yield ("spec", "audit", "subjects", i), (
                f"'{phrase}' is not told apart from '{other}' ({what}); expected a subject that is named nowhere else")
    styles = any(_get(category, "kind") == Kind.STYLE for _, category in _categories(data))
    # of a style's prompts every other one asks for a subject
    needed, given = len(subjects) * (2 if styles else 1), _get(audit, "unrelated")
    asked = UNRELATED if given is None else given
    if subjects and type(asked) is int and asked < needed:
        yield ("spec", "audit", "unrelated"), (
            f"found {asked} prompts for {len(subjects)} subjects, expected {needed} or more, that each is asked for")


def _named(data: Any) -> Iterator[tuple[str, str]]:
    """Every phrase that stands for something in a policy, and for what."""
    phrases: list[tuple[Any, str]] = [(phrase, "preserved") for phrase in _list(_kept(data))]
    for _, category in _categories(data):
        phrases += [(phrase, "a neighbour") for phrase in _list(_get(category, "neighbours"))]
        for concept in _list(_get(category, "concepts")):
            target, translations = _get(concept, "target"), _get(concept, "translations")
            phrases += [(target, "banned"), (_get(concept, "anchor"), f"the anchor of '{target}'")]
            others = [phrase for words in WORDS for phrase in _list(_get(concept, words))]
            others += [*translations.values()] if isinstance(translations, dict) else []
            phrases += [(phrase, f"a word for '{target}'") for phrase in others]
    return ((phrase, what) for phrase, what in phrases if isinstance(phrase, str))


def _banned(data: Any) -> dict[str, str]:
    """Every phrase that asks for something banned, by its key, and whose it is."""
    banned: dict[str, str] = {}
    for _, category in _categories(data):
        for concept in _list(_get(category, "concepts")):
            target = _get(concept, "target")
            if isinstance(target, str):
                banned[phrase_key(target)] = f"the target '{target}'"
            for words, what in (("synonyms", "a synonym"), ("narrower", "a kind")):
                for phrase in _list(_get(concept, words)):
                    if isinstance(phrase, str):
                        banned.setdefault(phrase_key(phrase), f"{what} of '{target}'")
    return banned


def _settings(data: Any) -> Found:
    """Rules and settings that contradict themselves."""
    for at, category in _categories(data):
        for j, rule in enumerate(_list(_get(category, "rules"))):
            yield from (((*at, "rules", j), message) for message in rule_problems(rule))
    method = _get(_get(data, "spec"), "method")
    for name in ("refine", "fuse"):
        yield from ((("spec", "method", name), message) for message in ridge_problems(_get(method, name)))
    for message in window_problems(_get(_get(method, "lora"), "window")):
        yield ("spec", "method", "lora", "window"), message
    yield from ((("spec", "method", *where), message) for where, message in method_problems(method))


def _preserved(method: Any, names: tuple[str, ...]) -> list[str]:
    """Those of the keys of ``preserve`` that a method's plain data gives."""
    return [f"preserve.{name}" for name in names if _get(_get(method, "preserve"), name) is not None]


def _all(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _categories(data: Any) -> Iterator[tuple[Location, Any]]:
    for i, category in enumerate(_list(_get(_get(data, "spec"), "categories"))):
        yield ("spec", "categories", i), category


def _kept(data: Any) -> Any:
    return _get(_get(_get(_get(data, "spec"), "method"), "preserve"), "concepts")


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def _list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []
