"""One apply in a process of its own, beside others; what came of it is printed as one line of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.audit.detectors.by_name import DETECTORS
from mace_gov.audit.inputs import AuditRun
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.workflow.planning import BaseChoice
from tests.audit import planted


def main(policy: str, model: str, registry: str) -> None:
    """Govern the tiny model with planted pictures."""
    base, drawn = read_manifest(model).digest, []

    def drawer(manifest, prompts, seeds, settings):
        draws = planted.faithful if manifest.digest == base else planted.erased
        for prompt, seed in zip(prompts, seeds, strict=True):
            drawn.append(f"{manifest.digest} {prompt} {seed}")
            yield draws(prompt, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DETECTORS, "judge", "tests.workflow.planting:PlantedJudge")
        made = workflow.apply(Path(policy), base=BaseChoice(model), registry=Path(registry),
                              reports=Path(registry).with_suffix(".reports"),
                              run=AuditRun(device="cpu", drawer=drawer, lexicon=planted.LEXICON))
    ridge = json.loads(Path(policy).read_text())["spec"]["method"]["refine"]["relativeRidge"]
    print(json.dumps({"version": made.version, "outcome": made.verdict.outcome, "ridge": ridge, "drawn": drawn,
                      "digest": made.audit.governed_digest}))
