"""Prompts that are never drawn with any model, and the policies that are refused for them.

Two rules, each named as reports and refusals name it. Such concepts are erase-only: no training picture, no probe, no
thumbnail, and the report says that nobody looked. Both are broad on purpose: a probe that is left out costs a review.
docs/audit.md says what they read, and what they cannot know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mace_gov.core.errors import UsageError
from mace_gov.documents import minor_words as minors
from mace_gov.documents.ages import says_age
from mace_gov.documents.document import Location
from mace_gov.documents.explicit_words import SEXUAL_PHRASES, SEXUAL_STEMS, SEXUAL_WORDS
from mace_gov.documents.glance import Glance
from mace_gov.documents.people import names_person
from mace_gov.documents.policy import Category, Concept, Policy
from mace_gov.documents.spoken import Phrases, Reading, Words, read
from mace_gov.documents.terms import Kind

MINOR_WORDS = minors.MINOR_WORDS

MINORS = "never-draw/minors"
"""Somebody under age, with sexual or violent content."""
NAMED_PERSON = "never-draw/named-person"
"""A named person, with sexual or violent content."""

_YOUNG = Words(
    stems=minors.STEMS, prefixes=minors.PREFIXES, words=minors.WORDS, phrases=minors.PHRASES,
    foreign=minors.OTHER_SCRIPTS, exact=minors.OTHER_EXACT, harmless=minors.HARMLESS,
    split=(*minors.MINOR_WORDS, *minors.STEMS, "schoolchildren", "grandchild", "grandchildren", "babygirl"),
)
_GERMAN_CHILD, _HARMLESS = re.compile(minors.GERMAN_CHILD), re.compile(minors.HARMLESS_PHRASES)
_SEXUAL = Words(stems=SEXUAL_STEMS, words=SEXUAL_WORDS, phrases=SEXUAL_PHRASES, split=SEXUAL_STEMS)
_MINOR = Glance(_YOUNG, hints=(*minors.HARMLESS_WORDS, *minors.GERMAN_CHILD_WORDS), harmless=_HARMLESS, ages=True)
_HARM = Glance(_SEXUAL)


@dataclass(frozen=True)
class Ban:
    """What a policy adds to the words that everybody has: who is a person, and what its explicit categories ban."""

    people: frozenset[str] = frozenset()
    """Phrases of its celebrities."""
    others: frozenset[str] = frozenset()
    """People that it keeps: celebrities' neighbours, and names among preserved concepts and the audit's subjects."""
    explicit: frozenset[str] = frozenset()
    """Targets and synonyms of its explicit categories."""

    @cached_property
    def lists(self) -> tuple[Phrases, Phrases, Phrases]:
        """The three, to look for."""
        return Phrases(self.people), Phrases(self.others), Phrases(self.explicit)

    @cached_property
    def names(self) -> frozenset[str]:
        """Words that begin the name of somebody: a text without any of them names none of these people."""
        people, others, _ = self.lists
        return people.beginnings | others.beginnings

    @cached_property
    def harms(self) -> frozenset[str]:
        """Words that begin a phrase of the explicit categories."""
        return self.lists[2].beginnings


NOBODY = Ban()


def ban_of(policy: Policy) -> Ban:
    """The people and the explicit phrases of a policy."""
    named: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for category, concept in policy.concepts():
        named[category.kind].update((concept.target, *concept.synonyms, *(concept.narrower or ())))
    others = {phrase for each in policy.spec.categories if each.kind is Kind.CELEBRITY for phrase in each.neighbours}
    kept = (*(policy.spec.method.preserve.concepts or ()), *(policy.spec.audit.subjects or ()))
    others |= {phrase for phrase in kept if names_person(phrase)}
    return _ban(frozenset(named[Kind.CELEBRITY]), frozenset(others), frozenset(named[Kind.EXPLICIT]))


_ban = lru_cache(maxsize=64)(Ban)


def forbidden(kind: Kind, prompt: str, ban: Ban = NOBODY) -> str | None:
    """The rule by which no picture of ``prompt`` may be made for a concept of ``kind``, or None. ban: the policy's."""
    return _forbidden(kind is Kind.EXPLICIT, prompt, ban)


@lru_cache(maxsize=65_536)
def _forbidden(explicit: bool, prompt: str, ban: Ban) -> str | None:
    if not explicit and _HARM.holds(prompt, ban.harms, apart=bool(ban.names)) is False:
        return None
    if explicit or not ban.names:
        young = _MINOR.holds(prompt, ban.names if explicit else frozenset())
        if young is False:
            return None
        if young and explicit:
            return MINORS
    said = _read(prompt)
    if names_minor(prompt, said) and (explicit or _SEXUAL.found(prompt, said.words)):
        return MINORS
    people, others, words = ban.lists
    for view in said.words if ban.people or ban.others else ():
        rest = people.without(view)
        bare = others.without(rest)
        harm = bare != view and (_SEXUAL.found(prompt, [bare]) or words.without(bare) != bare)
        if harm or (explicit and rest != view):
            return NAMED_PERSON
    return None


def may_draw(kind: Kind, prompt: str, ban: Ban = NOBODY) -> bool:
    """Whether a picture of ``prompt`` may be made for a concept of ``kind``."""
    return forbidden(kind, prompt, ban) is None


def refuse(prompts: Iterable[str]) -> None:
    """Raise UsageError, which names every prompt that nobody may draw with any model, whatever its policy."""
    found = [(n, rule) for n, prompt in enumerate(prompts, start=1) if (rule := forbidden(Kind.OBJECT, prompt))]
    if found:
        told = ", ".join(f"{n} ({rule})" for n, rule in found)
        raise UsageError(f"prompt {told}: no such picture may be made, whatever the model",
                         hint="Leave these prompts out. docs/audit.md says what the rules read.")


def names_minor(text: str, said: Reading | None = None) -> bool:
    """Whether a text names somebody under age, in whichever spelling. said: its reading, where it is known."""
    said = said or _read(text)
    return _YOUNG.found(text, said.words) or any(map(says_age, said.numbers)) or any(
        _GERMAN_CHILD.search(view) for view in said.words if any(part in view for part in minors.GERMAN_CHILD_HINTS))


def _read(text: str) -> Reading:
    lower = text.lower()
    return read(text, _HARMLESS if any(part in lower for part in minors.HARMLESS_HINTS) else None)


def erase_only_rule(category: Category, concept: Concept, ban: Ban = NOBODY) -> str | None:
    """The rule by which a concept must be erased without ever being drawn, by its target or any of its other phrases.

    ban: its policy's, see ``ban_of``; without it, whom other categories ban is not known.
    """
    for phrase in concept.phrases:
        if rule := forbidden(category.kind, phrase, ban):
            return rule
        if category.kind is Kind.EXPLICIT and names_person(phrase):
            return NAMED_PERSON
    return None


def erase_only(category: Category, concept: Concept, ban: Ban = NOBODY) -> bool:
    """Whether ``erase_only_rule`` knows a rule."""
    return erase_only_rule(category, concept, ban) is not None


def never_drawn(policy: Policy) -> list[tuple[Location, Category, Concept, str]]:
    """Every erase-only concept of a policy with its place and rule."""
    ban = ban_of(policy)
    return [
        (("spec", "categories", i, "concepts", j), category, concept, rule)
        for i, category in enumerate(policy.spec.categories) for j, concept in enumerate(category.concepts)
        if (rule := erase_only_rule(category, concept, ban))
    ]
