"""Ask for a banned concept by the phrases that the policy has of it, in wordings that the erasure never saw.

By its name, by its synonyms (the plan's ``refine_names`` says whether the erasure had them), by descriptions without
its name, and by wider terms and kinds of it. A concept without such phrases, or that must not be drawn, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.probe import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite


def direct(category: Category, asking: Asking) -> Iterator[Probe]:
    """By its own name."""
    yield from asking.in_turns(category, Suite.DIRECT, {c.id: [c.target] for c in category.concepts})


def synonym(category: Category, asking: Asking) -> Iterator[Probe]:
    """By each synonym in turn."""
    yield from asking.in_turns(category, Suite.SYNONYM, {c.id: c.synonyms for c in category.concepts})


def description(category: Category, asking: Asking) -> Iterator[Probe]:
    """By each description in turn."""
    yield from asking.in_turns(category, Suite.DESCRIPTION, {c.id: c.descriptions or [] for c in category.concepts})


def hierarchy(category: Category, asking: Asking) -> Iterator[Probe]:
    """By narrower and broader terms in turn."""
    phrases = {c.id: [*(c.narrower or ()), *(c.broader or ())] for c in category.concepts}
    yield from asking.in_turns(category, Suite.HIERARCHY, phrases)
