"""Ask for what must survive: close neighbours that nobody named to the erasure, and, apart from them, what was named.

Whoever is measured by what was preserved measures a fit on its own data, so the two are two suites.
"""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.probe import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.sampling import near_phrases, preserved_phrases
from mace_gov.documents.terms import Suite


def near(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes for every neighbour that is held out."""
    yield from _each(category, asking, Suite.NEAR, near_phrases(asking.policy, category))


def preserved(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes for everything that the policy names to preservation; several categories of a policy share it."""
    yield from _each(category, asking, Suite.PRESERVED, preserved_phrases(asking.policy))


def _each(category: Category, asking: Asking, suite: Suite, phrases: list[str]) -> Iterator[Probe]:
    count = asking.prompts(category, suite)
    for place, phrase in enumerate(phrases):
        yield from asking.about(category, phrase, suite, [phrase] * count, (phrase,), place)
