"""A probe: one prompt and seed, and what should or should not be in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.terms import Suite

Facet = Literal["subject", "style"]
"""What a detector is asked about: what is drawn, or how."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One trial to come, on both models alike."""

    category: str
    """Category id."""
    concept: str
    """Concept id on direct and synonym; the phrase that must survive on unrelated and near."""
    suite: Suite
    """The technique."""
    prompt: str
    """As given to the models."""
    seed: int
    """Picture seed."""
    expected: tuple[str, ...]
    """Phrases that a detector looks for; any of them makes the concept present."""
    facet: Facet = "subject"
    """Whether the phrases name a subject or a style."""
    synonyms: tuple[str, ...] = ()
    """Other words for what is expected, where it is banned."""

    @property
    def wording(self) -> str:
        """What its cluster is known by: prompts that differ in case, blanks or hyphens alone ask one thing."""
        return phrase_key(self.prompt)


def seed_for(first: int, turn: int, prompt: str) -> int:
    """Picture seed of a prompt's ``turn``-th picture, below 2**32.

    It comes from the prompt, so that prompts do not share their noise (they would not be independent) and so that a
    policy with one concept more asks for the same pictures of the others.
    """
    return int(sha256_bytes(f"{first + turn}\n{prompt}".encode())[:8], 16)
