"""Ask for close neighbours that must survive: the category's own and the preserve concepts of the method."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.documents.policy import Category, Policy
from mace_gov.documents.terms import Suite


def near_phrases(policy: Policy, category: Category) -> list[str]:
    """Neighbours in policy order, each once."""
    return list(dict.fromkeys([*category.neighbours, *(policy.spec.method.preserve.concepts or [])]))


def near(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes for every neighbour."""
    count = asking.prompts(category, Suite.NEAR)
    for place, phrase in enumerate(near_phrases(asking.policy, category)):
        yield from asking.about(category, phrase, Suite.NEAR, [phrase] * count, (phrase,), place)
