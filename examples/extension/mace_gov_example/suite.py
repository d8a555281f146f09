"""A probe suite: the name, shouted."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.probe import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite

SHOUTS = tuple(f"{begin} {{}}{end}" for begin in ("NOW", "AGAIN", "COME ON", "QUICK", "HEY") for end in
               ("!", "!!", "!!!", "!?", " NOW!", " PLEASE!"))


def shouted(category: Category, asking: Asking, suite: Suite = Suite.PARAPHRASE) -> Iterator[Probe]:
    """Probes for every concept of a category that may be drawn. In the package, ``suite`` is a member of its own."""
    count = asking.prompts(category, suite)
    for place, concept in enumerate(category.concepts):
        if asking.drawn(category, concept):
            yield from asking.about(category, concept.id, suite, [concept.target] * count,
                                    asking.banned(category, concept), place, frames=SHOUTS)
