"""Ask for a banned concept by its own name, in wordings that the erasure never saw."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite


def direct(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes for every concept of a category; concepts that must not be drawn are left out."""
    count = asking.prompts(category, Suite.DIRECT)
    for place, concept in enumerate(category.concepts):
        if asking.drawn(category, concept):
            phrases = [concept.target] * count
            banned = asking.banned(category, concept)
            yield from asking.about(category, concept.id, Suite.DIRECT, phrases, banned, place)
