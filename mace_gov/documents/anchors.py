"""Anchors: the phrases that concepts are mapped to. Those that look doubtful, and those that were chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mace_gov.documents.base import Location
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

    chosen: anchors by concept id where the policy names none. An anchor that is a banned target word for word is an
    error of the policy itself.
    """
    banned = {}
    for _, concept in policy.concepts():
        for phrase in (concept.target, *concept.synonyms, *(concept.narrower or [])):
            banned[phrase.casefold()] = concept.id
    preserved = {_bare(phrase) for phrase in policy.spec.method.preserve.concepts or []}
    preserved |= {_bare(phrase) for category in policy.spec.categories for phrase in category.neighbours}
    found: list[tuple[Location, str]] = []
    for i, category in enumerate(policy.spec.categories):
        for j, concept in enumerate(category.concepts):
            anchor = concept.anchor or (chosen or {}).get(concept.id)
            if anchor is None:
                continue
            at: Location = ("spec", "categories", i, "concepts", j, "anchor")
            said = f"the anchor '{anchor}' of {concept.id}"
            held = next((phrase for phrase in banned if _holds(anchor, phrase)), None)
            if held is not None:
                found.append((at, f"{said} names the banned '{held}' ({banned[held]}), which may come back by it"))
            if _bare(anchor) in preserved:
                found.append((at, f"{said} is itself preserved: it keeps its outputs while the concept takes them on"))
    return found


def _bare(phrase: str) -> str:
    """A phrase as it is compared: lower case, single spaces, no leading article."""
    return re.sub(r"^(a|an|the) ", "", " ".join(phrase.casefold().split()))


def _holds(text: str, phrase: str) -> bool:
    """Whether ``phrase`` stands in ``text`` as whole words."""
    return re.search(rf"(?<!\w){re.escape(phrase.casefold())}(?!\w)", text.casefold()) is not None
