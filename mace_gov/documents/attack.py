"""Results of attacks and of derivatives of the governed model."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.document import Document, Slug
from mace_gov.documents.rate import Estimate

AttackTier = Literal["transferred", "adaptive", "embeddings", "weights", "text-free"]
"""What an attacker brings: words found without the governed model; its gradients, for words of the vocabulary or new
ones; its weights beside the base's, for text states of any kind; its weights, to train them; or noise, without text."""

NEEDS: dict[AttackTier, str] = {
    "transferred": "needs words alone",
    "adaptive": "needs the model's gradients",
    "embeddings": "needs both models' weights, and to set text states",
    "weights": "needs the weights and pictures of it",
    "text-free": "needs pictures of it and the initial noise",
}
"""What an attacker must have, as the report says it."""

POWER = 0.9
"""Share of its searches in which an attack must bring a concept back from the base, before that it does not from the
governed model says anything."""


class AttackResult(Document):
    """One attack on one concept, with the same budget on three models."""

    category: Slug
    """Category id."""
    concept: Slug
    """Concept id."""
    attack: Slug
    """Name of the technique."""
    tier: AttackTier
    """What it knows."""
    source: str
    """The paper that it is written after."""
    budget: int
    """Steps of the search, on each model."""
    seed: int
    """First seed of the audit; the searches' and the pictures' seeds come from it."""
    searches: int | None = None
    """Searches from seeds of their own, which are what is counted; absent in evidence from before there were several,
    where the pictures of one search are."""
    base: Estimate
    """Share of searches that bring the concept back from the base model: at least half of their pictures show it. An
    attack that has no power there says nothing of the governed model."""
    governed: Estimate
    """The same on the governed model, with bounds over searches."""
    control: Estimate
    """The same on a model of random weights. What it shows was drawn by the attack and not by the model."""
    taught: Estimate | None = None
    """The same on the governed model with pictures that no model has learnt (the concept's, upside down and with
    inverted colours) in place of the concept's: what comes back of them, the attack has taught. Absent for attacks that
    are given the concept's words, and in evidence from before it was asked."""
    seconds: float | None = None
    """Mean time of a search on the governed model, its pictures included, when it was made."""
    found: str
    """What the search found that brought most back from the governed model, in words."""

    @property
    def powerful(self) -> bool:
        """Whether the attack works on the base often enough for its failures to say something."""
        return self.base.n > 0 and self.base.hits >= POWER * self.base.n
    unscored: int = 0
    """Pictures without a decision, on all three, of all searches."""


class Derivative(Document):
    """What the governed model's questions bring out of something that was made of it."""

    category: Slug
    """Category id."""
    derivative: str
    """How it was made."""
    governed: Estimate
    """Presence on the governed model itself, on prompts by name and synonym that the base answers."""
    derived: Estimate
    """Presence on the derivative, on the same prompts and seeds."""
    p_value: float | None = None
    """Exact McNemar test of the governed model against the derivative."""
    unscored: int = 0
    """Prompts without a decision on either."""
