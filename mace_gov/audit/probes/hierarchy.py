"""Ask for a banned concept by wider terms that it may stand for, and by kinds of it."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite


def hierarchy(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes that take each concept's broader and narrower terms in turn; concepts without any yield none."""
    phrases = {c.id: [*(c.narrower or ()), *(c.broader or ())] for c in category.concepts}
    yield from asking.in_turns(category, Suite.HIERARCHY, phrases)
