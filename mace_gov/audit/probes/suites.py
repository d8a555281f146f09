"""All probes of a policy in a fixed order: the same policy and lexicon always ask the same; and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.core.atomic import write_bytes
from mace_gov.core.lazy import lookup
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Category, Policy
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


COLUMNS = ("file", "prompt", "seed", "category", "concept", "expected", "suite")


def write_probes(path: Path, policy: Policy, base: ModelManifest, trained_on: Collection[str]) -> int:
    """Write what an audit would ask, so that somebody else can draw it and send the pictures; returns how many rows.

    ``file`` is where its picture is looked for later.

    trained_on: the erasure's templates, which probes avoid.
    """
    probes = build_probes(Asking(policy, lexicon_for(base), trained_on))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    names: dict[tuple[str, int], str] = {}
    for probe in probes:
        name = names.setdefault((probe.prompt, probe.seed), f"{len(names):05d}.png")
        concept, expected = (probe.concept, "") if probe.suite.banned else ("", probe.concept)
        table.writerow([name, probe.prompt, probe.seed, probe.category, concept, expected, probe.suite])
    write_bytes(path, text.getvalue().encode())
    return len(probes)
