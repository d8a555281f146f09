"""Ask for what has nothing to do with the ban and must survive.

Object and explicit policies: other objects, of those one in five, which the erasure is not told to keep either
(``PreserveSettings.held_out``). Celebrity policies: the characters that are kept and were not named to it. Style
policies: the other styles and, turn about, objects without a style. Never a banned phrase, its synonyms or its anchor.
A policy that names subjects of its own (``Audit.subjects``) is asked for all of these instead, and styles keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import Entry, Lexicon, banned_phrases, clear_of, plain_style
from mace_gov.audit.probes.probe import Facet, Probe
from mace_gov.audit.probes.templates import STYLE_FORMS
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.drawable import may_draw
from mace_gov.documents.policy import Category, Policy
from mace_gov.documents.sampling import near_phrases, preserved_phrases
from mace_gov.documents.terms import Kind, Suite

ONE_IN = 5
"""Of so many objects one is held out. Which ones their names say, so that one concept more moves no other."""

Wish = tuple[str, str, Facet]
"""Prompt, the phrase that must be in the picture, and whether it is a subject or a style."""


def unrelated(category: Category, asking: Asking) -> Iterator[Probe]:
    """``spec.audit.unrelated`` different prompts, the same ones for every category of a kind."""
    count = asking.policy.spec.audit.unrelated
    for prompt, phrase, facet in _wishes(category.kind, asking, count):
        yield from asking.probes(category, phrase, Suite.UNRELATED, prompt, (phrase,), facet)


def held_out(policy: Policy, lexicon: Lexicon) -> list[str]:
    """Every phrase for what the audit asks for as what must survive, but for what the policy names to the erasure.

    No caption of what is preserved may hold one, or the audit would measure how well its own questions were learnt.
    """
    asking = Asking(policy, lexicon)
    count = policy.spec.audit.unrelated
    asked = {phrase: None for category in policy.spec.categories for phrase in (
        *near_phrases(policy, category),
        *(plain_style(phrase) if facet == "style" else phrase
          for _, phrase, facet in _wishes(category.kind, asking, count)))}
    words = {entry.name: entry.synonyms for entry in lexicon.entries}
    named = {phrase_key(phrase) for phrase in [*preserved_phrases(policy), *banned_phrases(policy)]}
    every = dict.fromkeys(each for phrase in asked for each in (phrase, *words.get(phrase, ())))
    return [phrase for phrase in every if phrase_key(phrase) not in named]


def general_prompts(asking: Asking, count: int) -> list[str]:
    """Prompts for objects alone, whatever the policy's kind: do the pictures still look like pictures?"""
    kinds = {category.kind for category in asking.policy.spec.categories}
    return [prompt for prompt, _, _ in _subjects(_objects(asking), asking, count)
            if all(may_draw(kind, prompt, asking.ban) for kind in kinds)]


def unrelated_subjects(asking: Asking) -> list[str]:
    """Names of all objects that have nothing to do with the policy."""
    return [entry.name for entry in _objects(asking)]


def _wishes(kind: Kind, asking: Asking, count: int) -> list[Wish]:
    """Up to ``count`` different prompts with what they ask for; fewer only where the lexicon runs out."""
    if kind is Kind.CELEBRITY and not _own(asking):
        kept = [e for e in asking.lexicon.entries if e.character and e.kept]
        named = {phrase_key(phrase) for phrase in preserved_phrases(asking.policy)}
        free = [entry for entry in clear_of(kept, _exact(asking)) if phrase_key(entry.name) not in named]
        return _subjects(free, asking, count) or _subjects(_untold(asking), asking, count)
    if kind is Kind.STYLE and (styles := _other_styles(asking)):
        styled = _styled(asking, styles, count - count // 2)
        plain = _subjects(_untold(asking), asking, count // 2)
        return [wish for pair in zip(styled, plain, strict=False) for wish in pair] + styled[len(plain):]
    return _subjects(_untold(asking), asking, count)


def _untold(asking: Asking) -> list[Entry]:
    """The policy's own subjects, or objects that are held out of preservation: all where a lexicon holds none out."""
    if own := _own(asking):
        return own
    objects = _objects(asking)
    found = [entry for entry in objects if int(sha256_bytes(phrase_key(entry.name).encode())[:8], 16) % ONE_IN == 0]
    return found or objects


def _own(asking: Asking) -> list[Entry]:
    """Subjects that the policy names itself, and names nowhere else."""
    return [Entry(subject) for subject in asking.policy.spec.audit.subjects or ()]


def _exact(asking: Asking) -> list[str]:
    """For characters: names may share a first or a last name, which is the difficulty; anchors are no names."""
    return [concept.target for _, concept in asking.policy.concepts()]


def _objects(asking: Asking) -> list[Entry]:
    neighbours = [p for category in asking.policy.spec.categories for p in category.neighbours]
    kept = asking.policy.spec.method.preserve.concepts or []
    banned = [*banned_phrases(asking.policy), *neighbours, *kept]
    return _own(asking) or clear_of([e for e in asking.lexicon.entries if not e.character], banned)


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
        turn = i + i // len(entries)
        prompts = (frame.format(entry.name) for frame in (*frames[turn % len(frames):], *frames[:turn % len(frames)]))
        if (prompt := next((each for each in prompts if each not in found), None)) is not None:
            found[prompt] = (prompt, entry.name, "subject")
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
