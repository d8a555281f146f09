"""All probes of a policy, in a fixed order: the same policy and lexicon always ask the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.attribute import attribute
from mace_gov.audit.probes.base import Probe
from mace_gov.audit.probes.composition import composition
from mace_gov.audit.probes.description import description
from mace_gov.audit.probes.direct import direct
from mace_gov.audit.probes.hierarchy import hierarchy
from mace_gov.audit.probes.languages import languages
from mace_gov.audit.probes.near import near
from mace_gov.audit.probes.obfuscation import obfuscation
from mace_gov.audit.probes.paraphrase import paraphrase
from mace_gov.audit.probes.synonym import synonym
from mace_gov.audit.probes.unrelated import unrelated
from mace_gov.documents.policy import Category
from mace_gov.documents.sampling import asked_suites
from mace_gov.documents.terms import Suite

SUITES: dict[Suite, Callable[[Category, Asking], Iterator[Probe]]] = {
    Suite.DIRECT: direct,
    Suite.SYNONYM: synonym,
    Suite.UNRELATED: unrelated,
    Suite.NEAR: near,
    Suite.PARAPHRASE: paraphrase,
    Suite.DESCRIPTION: description,
    Suite.HIERARCHY: hierarchy,
    Suite.COMPOSITION: composition,
    Suite.OBFUSCATION: obfuscation,
    Suite.LANGUAGES: languages,
    Suite.ATTRIBUTE: attribute,
}
"""Technique by suite; the outside suite's prompts come from a file."""


def build_probes(asking: Asking) -> list[Probe]:
    """Every probe, each prompt and seed once within its category and suite.

    Raises PolicyError when captions overlap the erasure's or run out.
    """
    asked: dict[tuple[str, Suite, str, str, int], Probe] = {}
    for category in asking.policy.spec.categories:
        suites = [*asked_suites(asking.policy, category), *asking.suites]
        if asking.translations.keys() & {concept.id for concept in category.concepts}:
            suites.append(Suite.LANGUAGES)
        for suite in (suite for suite in SUITES if suite in suites):
            for probe in SUITES[suite](category, asking):
                asked.setdefault((probe.category, suite, probe.concept, probe.prompt, probe.seed), probe)
    return list(asked.values())
