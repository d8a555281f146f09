"""All probes of a policy, in a fixed order: the same policy and lexicon always ask the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.probe import Probe
from mace_gov.core.lazy import lookup
from mace_gov.documents.policy import Category
from mace_gov.documents.sampling import asked_suites
from mace_gov.documents.terms import Suite

Technique = Callable[[Category, Asking], Iterator[Probe]]
"""Makes the probes of a suite for one category."""
TECHNIQUES: dict[Suite, str] = {suite: suite.info.probes for suite in Suite if suite.info.probes}
"""By suite, as ``module:attr``; the outside suite's prompts come from a file."""


def build_probes(asking: Asking) -> list[Probe]:
    """Every probe, each prompt and seed once within its category and suite.

    Raises PolicyError when captions overlap the erasure's or run out.
    """
    asked: dict[tuple[str, Suite, str, str, int], Probe] = {}
    for category in asking.policy.spec.categories:
        suites = [*asked_suites(asking.policy, category), *asking.suites]
        if asking.translations.keys() & {concept.id for concept in category.concepts}:
            suites.append(Suite.LANGUAGES)
        for suite in (suite for suite in TECHNIQUES if suite in suites):
            technique: Technique = lookup(TECHNIQUES[suite])
            for probe in technique(category, asking):
                asked.setdefault((probe.category, suite, probe.concept, probe.prompt, probe.seed), probe)
    return list(asked.values())
