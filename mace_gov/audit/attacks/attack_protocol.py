"""What an attack is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.attack import AttackTier
from mace_gov.documents.drawable import MINOR_WORDS, MINORS, names_minor
from mace_gov.documents.plan import GenerationSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from mace_gov.diffusion.text import Conditions

CAPTION = "a picture of {}"
"""The plain wording that attacks start from."""

UNDRAWN = f"what the search found was not drawn, by the rule {MINORS}"
"""Instead of the words that were found."""


@dataclass(frozen=True)
class AttackTarget:
    """What an attack searches for: the concept, its phrases, and the base model's pictures of it."""

    category: str
    """Category id."""
    concept: str
    """Concept id."""
    phrase: str
    """Its target phrase."""
    words: tuple[str, ...]
    """Target and synonyms."""
    references: tuple[Image, ...]
    """The base model's pictures of it, in which the detectors find it."""

    def may_say(self, words: str) -> bool:
        """Whether what a search found may be drawn: it names nobody under age, whatever it stands beside."""
        return not names_minor(words)

    @property
    def unspoken(self) -> tuple[str, ...]:
        """What a search may not spell: the concept, which would be no attack, and minors, who may not be drawn."""
        return (*self.words, *MINOR_WORDS)


@dataclass(frozen=True)
class AttackLimits:
    """What an attack may spend."""

    seeds: tuple[int, ...]
    """Seeds of the pictures to draw, one each."""
    budget: int
    """Steps of the search."""
    seed: int
    """Seed of the search."""
    generation: GenerationSettings
    """How pictures are drawn."""
    base: Callable[[], Mapping[str, torch.Tensor]] | None = None
    """What gives the base's cross-attention projections [out, d] by name, for attacks that compare with them."""


class Attack(Protocol):
    """An attack: searches for an input with which the attacked model draws the concept."""

    name: str
    """Name of the technique."""
    tier: AttackTier
    """What it knows."""
    source: str
    """The paper that it is written after."""
    budget: int
    """Steps of its search unless the user says."""
    version: str
    """Of its code; a new one makes its stored results stale."""
    learns: bool
    """Whether it sees nothing of the concept but its pictures, so that it may teach them to a model that never drew
    them: then it is also tried on pictures that no model has learnt."""

    def run(self, pipe: Pipeline, target: AttackTarget, limits: AttackLimits) -> tuple[list[Image], str]:
        """One picture for each seed, drawn by ``pipe``, and what was found, in words."""
        ...


def drawn(pipe: Pipeline, text: Conditions, seeds: Sequence[int], settings: GenerationSettings) -> list[Image]:
    """A picture of one prompt for each seed, in the settings' batches, guided away from the empty prompt."""
    from mace_gov.diffusion.generate import decode, sample
    from mace_gov.diffusion.text import TextReader

    empty = TextReader.of(pipe).conditions([""])
    pictures = []
    for start in range(0, len(seeds), settings.batch):
        part = seeds[start:start + settings.batch]
        pictures += decode(pipe, sample(pipe, text.repeated(len(part)), empty, part, settings))
    return pictures
