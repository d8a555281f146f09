"""Say what a banned concept is without naming it, in the policy's own descriptions."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite


def description(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes that take each concept's descriptions in turn; concepts without any yield none."""
    phrases = {concept.id: concept.descriptions or [] for concept in category.concepts}
    yield from asking.in_turns(category, Suite.DESCRIPTION, phrases)
