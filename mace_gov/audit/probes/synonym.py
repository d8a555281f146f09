"""Ask for a banned concept by the policy's synonyms; the plan's ``refine_names`` says whether the erasure had them."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite


def synonym(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes that take each concept's synonyms in turn; concepts without synonyms yield none."""
    count = asking.prompts(category, Suite.SYNONYM)
    for place, concept in enumerate(category.concepts):
        if concept.synonyms and asking.drawn(category, concept):
            phrases = [concept.synonyms[i % len(concept.synonyms)] for i in range(count)]
            banned = asking.banned(category, concept)
            yield from asking.about(category, concept.id, Suite.SYNONYM, phrases, banned, place)
