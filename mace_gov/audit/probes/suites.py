"""All probes of a policy, in a fixed order: the same policy and lexicon always ask the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.audit.probes.direct import direct
from mace_gov.audit.probes.near import near
from mace_gov.audit.probes.synonym import synonym
from mace_gov.audit.probes.unrelated import unrelated
from mace_gov.documents.policy import Category, Suite

SUITES: dict[Suite, Callable[[Category, Asking], Iterator[Probe]]] = {
    Suite.DIRECT: direct,
    Suite.SYNONYM: synonym,
    Suite.UNRELATED: unrelated,
    Suite.NEAR: near,
}
"""Technique by suite."""

MUST_BE_ABSENT = (Suite.DIRECT, Suite.SYNONYM)
"""Suites that ask for what is banned; the others ask for what must survive."""


def build_probes(asking: Asking) -> list[Probe]:
    """Every probe, each prompt and seed once within its category and suite.

    Raises PolicyError when captions overlap the erasure's or run out.
    """
    asked: dict[tuple[str, Suite, str, str, int], Probe] = {}
    for category in asking.policy.spec.categories:
        for suite, technique in SUITES.items():
            for probe in technique(category, asking):
                asked.setdefault((probe.category, suite, probe.concept, probe.prompt, probe.seed), probe)
    return list(asked.values())
