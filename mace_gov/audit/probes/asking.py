"""How phrases become probes: captions, seeds and what to look for, in one place for all suites."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mace_gov.audit.probes.lexicon import Lexicon
from mace_gov.audit.probes.probe import Facet, Probe, seed_for
from mace_gov.audit.probes.templates import STYLE_FORMS, captions, frames, joined, style_captions
from mace_gov.documents.drawable import Ban, ban_of, erase_only, may_draw
from mace_gov.documents.policy import Category, Concept, Policy
from mace_gov.documents.sampling import prompts_per_concept
from mace_gov.documents.terms import Kind, Suite

EVERYDAY_CARRIERS = ("a house", "a boat", "a tree", "a street", "a horse", "a bridge", "a bowl of fruit", "a mountain",
                     "a city", "a garden", "a chair", "a bird")
"""What a style is asked to draw where the lexicon knows no styled subjects."""


def carriers_in(lexicon: Lexicon) -> list[str]:
    """The subjects that a style is asked for on."""
    return [entry.name for entry in lexicon.entries if entry.styled] or list(EVERYDAY_CARRIERS)


@dataclass(frozen=True)
class Asking:
    """A policy's audit settings joined with what the model is known to draw."""

    policy: Policy
    """What is asked about, how often."""
    lexicon: Lexicon
    """Known subjects and styles."""
    trained_on: Collection[str] = ()
    """Templates of the erasure; probes avoid them."""
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Translations beside the policy's own: by concept id and language code."""
    suites: Collection[Suite] = ()
    """Suites to ask beside those that the policy asks for."""

    @cached_property
    def ban(self) -> Ban:
        """Whom and what the policy bans, for the rules of what is never drawn."""
        return ban_of(self.policy)

    def drawn(self, category: Category, concept: Concept) -> bool:
        """Whether a concept may be drawn at all; one that may not is left out of every suite."""
        return not erase_only(category, concept, self.ban)

    def prompts(self, category: Category, suite: Suite) -> int:
        """Different prompts for each concept of a suite."""
        return prompts_per_concept(self.policy, category, suite)

    def frames(self) -> list[str]:
        """The plain captions, without settings."""
        return frames(given=self.policy.spec.audit.templates, avoid=self.avoided())

    def avoided(self) -> set[str]:
        """Templates that the erasure trains on, as the policy and the caller say."""
        return {*(self.policy.spec.method.refine.templates or []), *self.trained_on}

    def banned(self, category: Category, concept: Concept) -> tuple[str, ...]:
        """What must not be in a picture of ``concept``.

        Explicit categories ban a harm under several words, so any of the category's targets counts, whichever was asked
        for. Elsewhere a concept is its own: another character in the picture is not the one who was asked for.
        """
        if category.kind is Kind.EXPLICIT:
            others = [other.target for other in category.concepts if other is not concept]
            return (concept.target, *others)
        return (concept.target,)

    def about(
        self, category: Category, concept: str, suite: Suite, phrases: Sequence[str], expected: tuple[str, ...],
        place: int, *, frames: Sequence[str] | None = None,
    ) -> Iterator[Probe]:
        """Probes for phrases, each in a caption of its own; ``place`` turns the captions, so that concepts differ.

        frames: captions of a technique's own instead of the audit's; a style is named on a carrier in them.
        """
        if not phrases:
            return
        facet = self.facet(category, phrases[0])
        if frames is None:
            made = self.captions(max(len(phrases), len(self.frames())), facet)
        else:
            made = joined(self._carried(frames) if facet == "style" else frames, len(phrases), self.avoided())
        turn = place % len(made)
        for phrase, caption in zip(phrases, made[turn:] + made[:turn], strict=False):
            yield from self.probes(category, concept, suite, caption.format(phrase), expected, facet)

    def in_turns(
        self, category: Category, suite: Suite, phrases: Mapping[str, Sequence[str]]
    ) -> Iterator[Probe]:
        """Probes that take each concept's phrases in turn, by concept id; without phrases, or erase-only, it has none.
        """
        count = self.prompts(category, suite)
        for place, concept in enumerate(category.concepts):
            words = phrases.get(concept.id)
            if words and self.drawn(category, concept):
                asked = [words[i % len(words)] for i in range(count)]
                yield from self.about(category, concept.id, suite, asked, self.banned(category, concept), place)

    def probes(
        self, category: Category, concept: str, suite: Suite, prompt: str, expected: tuple[str, ...], facet: Facet,
    ) -> Iterator[Probe]:
        """A prompt's probes, one a seed. A prompt that must not be drawn yields none."""
        if not may_draw(category.kind, prompt, self.ban):
            return
        audit = self.policy.spec.audit
        synonyms = tuple(s for c in category.concepts if suite.banned and c.target in expected for s in c.synonyms)
        for turn in range(audit.seeds):
            seed = seed_for(audit.seed, turn, prompt)
            yield Probe(category.id, concept, suite, prompt, seed, expected, facet, synonyms)

    def facet(self, category: Category, phrase: str) -> Facet:
        """Whether a phrase of a category names a subject or a style."""
        if category.kind is not Kind.STYLE:
            return "subject"
        known_subject = any(entry.name == phrase for entry in self.lexicon.entries)
        return "style" if self.lexicon.is_style(phrase) or not known_subject else "subject"

    def captions(self, count: int, facet: Facet) -> list[str]:
        """``count`` captions of the audit for a subject or a style."""
        given = self.policy.spec.audit.templates
        if facet == "subject":
            return captions(count, given=given, avoid=self.avoided())
        return style_captions(count, carriers_in(self.lexicon), given=given, avoid=self.avoided())

    def _carried(self, frames: Sequence[str]) -> list[str]:
        carriers = carriers_in(self.lexicon)
        return [
            frame.format(STYLE_FORMS[i % len(STYLE_FORMS)].format(carriers[i % len(carriers)])).replace("[style]", "{}")
            for i, frame in enumerate(frames)
        ]
