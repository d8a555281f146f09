"""Anchors: the phrases that concepts are mapped to. Those that look doubtful, and those that were chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mace_gov.core.phrases import phrase_key
from mace_gov.documents.document import Location
from mace_gov.documents.policy import Policy


@dataclass(frozen=True)
class ChosenAnchor:
    """An anchor that no person named."""

    phrase: str
    """What the concept is mapped to."""
    similarity: float
    """Cosine of its text state with the concept's, both less what all captions share."""
    runner_up: str | None = None
    """The next best."""

    def note(self, concept: str) -> str:
        """For the plan."""
        other = f", before '{self.runner_up}'" if self.runner_up else ""
        return (f"anchor of {concept}: '{self.phrase}', the nearest harmless superclass in the model's text encoder "
                f"(cosine {self.similarity:.2f}{other})")


def doubtful_anchors(policy: Policy, chosen: Mapping[str, str] | None = None) -> list[tuple[Location, str]]:
    """Anchors that work against the policy, with their places: banned by another name, or preserved.

    chosen: anchors by concept id where the policy names none. An anchor that is itself a banned phrase is an error of
    the policy.
    """
    banned: dict[tuple[str, ...], tuple[str, str]] = {}
    for _, concept in policy.concepts():
        for phrase in (concept.target, *concept.synonyms, *(concept.narrower or [])):
            banned.setdefault(_words(phrase), (phrase, concept.id))
    longest = max(map(len, banned))
    preserved = {phrase_key(phrase) for phrase in policy.spec.method.preserve.concepts or []}
    preserved |= {phrase_key(phrase) for category in policy.spec.categories for phrase in category.neighbours}
    found: list[tuple[Location, str]] = []
    for i, category in enumerate(policy.spec.categories):
        for j, concept in enumerate(category.concepts):
            anchor = concept.anchor or (chosen or {}).get(concept.id)
            if anchor is None:
                continue
            at: Location = ("spec", "categories", i, "concepts", j, "anchor")
            said = f"the anchor '{anchor}' of {concept.id}"
            if held := next((banned[part] for part in _parts(_words(anchor), longest) if part in banned), None):
                found.append((at, f"{said} names the banned '{held[0]}' ({held[1]}), which may come back by it"))
            if phrase_key(anchor) in preserved:
                found.append((at, f"{said} is itself preserved: it keeps its outputs while the concept takes them on"))
    return found


def _words(phrase: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", phrase_key(phrase))) or (phrase,)


def _parts(words: tuple[str, ...], longest: int) -> Iterator[tuple[str, ...]]:
    """Words that stand side by side, in every number up to ``longest``."""
    for start in range(len(words)):
        for end in range(start + 1, min(len(words), start + longest) + 1):
            yield words[start:end]
