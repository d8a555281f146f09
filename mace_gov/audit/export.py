"""Write what an audit would ask as a CSV file, so that somebody else can draw it and send the pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.core.atomic import write_bytes
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Policy

COLUMNS = ("file", "prompt", "seed", "category", "concept", "expected", "suite")


def write_probes(path: Path, policy: Policy, base: ModelManifest, trained_on: Collection[str]) -> int:
    """One row a probe of the policy; returns how many. ``file`` is where its picture is looked for later.

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
