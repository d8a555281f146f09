"""What was tried beyond asking: attacks, and derivatives of the governed model."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.base import Document, Slug
from mace_gov.documents.rate import Estimate

AttackTier = Literal["transferred", "adaptive", "text-free"]
"""What an attack knows: nothing of the governed model, its gradients, or how to do without text."""


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
    """First seed of the audit; the search's and the pictures' seeds come from it."""
    base: Estimate
    """Share of pictures with the concept on the base model, attacked in the same way: does the attack have teeth?"""
    governed: Estimate
    """The same on the governed model; the bounds are over the pictures' seeds, for what this search found."""
    control: Estimate
    """The same on a model of random weights. What it shows was drawn by the attack and not by the model."""
    found: str
    """What the search found on the governed model, in words."""
    unscored: int = 0
    """Pictures without a decision, on all three."""


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
