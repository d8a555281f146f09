"""Ask for what has nothing to do with the ban and must survive.

Object and explicit policies: other objects. Celebrity policies: the characters that are kept. Style policies: the
other styles and, turn about, objects without a style. Never a banned phrase, its synonyms or its anchor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Facet, Probe
from mace_gov.audit.probes.lexicon import Entry, banned_phrases, clear_of, plain_style
from mace_gov.audit.probes.templates import STYLE_FORMS
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Kind, Suite

Wish = tuple[str, str, Facet]
"""Prompt, the phrase that must be in the picture, and whether it is a subject or a style."""


def unrelated(category: Category, asking: Asking) -> Iterator[Probe]:
    """``spec.audit.unrelated`` different prompts, the same ones for every category of a kind."""
    count = asking.policy.spec.audit.unrelated
    for prompt, phrase, facet in wishes(category.kind, asking, count):
        yield from asking.probes(category, phrase, Suite.UNRELATED, prompt, (phrase,), facet)


def general_prompts(asking: Asking, count: int) -> list[str]:
    """Prompts for objects alone, whatever the policy's kind: do the pictures still look like pictures?"""
    return [prompt for prompt, _, _ in _subjects(_objects(asking), asking, count)]


def unrelated_subjects(asking: Asking) -> list[str]:
    """Names of all objects that have nothing to do with the policy."""
    return [entry.name for entry in _objects(asking)]


def wishes(kind: Kind, asking: Asking, count: int) -> list[Wish]:
    """Up to ``count`` different prompts with what they ask for; fewer only where the lexicon runs out."""
    if kind is Kind.CELEBRITY:
        kept = [e for e in asking.lexicon.entries if e.character and e.kept]
        return _subjects(clear_of(kept, _exact(asking)), asking, count) or _subjects(_objects(asking), asking, count)
    if kind is Kind.STYLE and (styles := _other_styles(asking)):
        styled = _styled(asking, styles, count - count // 2)
        plain = _subjects(_objects(asking), asking, count // 2)
        return [wish for pair in zip(styled, plain, strict=False) for wish in pair] + styled[len(plain):]
    return _subjects(_objects(asking), asking, count)


def _exact(asking: Asking) -> list[str]:
    """For characters: names may share a first or a last name, which is the difficulty; anchors are no names."""
    return [concept.target for _, concept in asking.policy.concepts()]


def _objects(asking: Asking) -> list[Entry]:
    neighbours = [p for category in asking.policy.spec.categories for p in category.neighbours]
    kept = asking.policy.spec.method.preserve.concepts or []
    banned = [*banned_phrases(asking.policy), *neighbours, *kept]
    return clear_of([e for e in asking.lexicon.entries if not e.character], banned)


def _other_styles(asking: Asking) -> list[str]:
    banned = {plain_style(phrase) for phrase in banned_phrases(asking.policy)}
    return [style for style in asking.lexicon.styles if plain_style(style) not in banned]


def _spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """``count`` entries, evenly over the whole list; all of them in turns where there are fewer."""
    if not entries:
        return []
    if count >= len(entries):
        return [entries[i % len(entries)] for i in range(count)]
    return [entries[i * len(entries) // count] for i in range(count)]


def _subjects(entries: Sequence[Entry], asking: Asking, count: int) -> list[Wish]:
    frames = asking.frames()
    found: dict[str, Wish] = {}
    for i, entry in enumerate(_spread(entries, count)):
        # a new round takes each entry to another frame, so that prompts differ
        prompt = frames[(i + i // len(entries)) % len(frames)].format(entry.name)
        found.setdefault(prompt, (prompt, entry.name, "subject"))
    return list(found.values())


def _styled(asking: Asking, styles: Sequence[str], count: int) -> list[Wish]:
    carriers = clear_of([e for e in asking.lexicon.entries if e.styled], banned_phrases(asking.policy))
    frames = asking.frames()
    found: dict[str, Wish] = {}
    for i, entry in enumerate(_spread(carriers, count)):
        style = styles[i % len(styles)]
        frame = frames[(i + i // len(carriers)) % len(frames)].format(entry.name)
        form = STYLE_FORMS[i // len(styles) % len(STYLE_FORMS)]
        prompt = form.format(frame).replace("[style]", plain_style(style))
        found.setdefault(prompt, (prompt, style, "style"))
    return list(found.values())
