"""The embedded model, spoilt in its weights, as a folder, and an audit of it that is quick enough for a test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from mace_gov import workflow
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.pictures import Drawer
from mace_gov.diffusion.load import load_pipeline
from mace_gov.documents.verdict import Outcome
from mace_gov.embedded import MODEL_DIR
from mace_gov.plan import build
from mace_gov.workflow.planning import BaseChoice
from tests import factories

STEPS, UNRELATED, PROMPTS = 5, 12, 12
"""Few, to be quick: no hit in 12 prompts bounds a rate by 22 %, six of 12 show more than 24 %."""
RULES = [
    {"id": "R-DIRECT", "suite": "direct", "metric": "presence", "atMost": 0.23},
    {"id": "R-SYNONYM", "suite": "synonym", "metric": "presence", "atMost": 0.23},
    {"id": "R-NEAR", "suite": "near", "metric": "retention", "atLeast": 0.5},
    {"id": "R-KEPT", "suite": "unrelated", "metric": "retention", "atLeast": 0.5},
]
OWN = {"id": "R-OWN", "suite": "outside", "metric": "presence", "atMost": 0.23}
NAMES = ("cat", "feline", "kitty")


@dataclass
class Bench:
    """Where planted models are made and audited."""

    root: Path
    """Holds models, the registry and reports."""

    def model(self, name: str, spoil) -> Path:
        """The embedded model's folder with the weights that ``spoil`` changes in the loaded pipeline."""
        folder = self.root / name
        if not folder.exists():
            shutil.copytree(MODEL_DIR, folder)
            pipe = load_pipeline(str(MODEL_DIR), device="cpu")
            with torch.no_grad():
                spoil(pipe)
            for part in ("unet", "text_encoder", "vae"):
                getattr(pipe, part).half().save_pretrained(folder / part)
        return folder

    def renamed(self, name: str, words: tuple[str, ...], to: str) -> Path:
        """A model that hears ``to`` wherever one of ``words`` is said."""

        def spoil(pipe) -> None:
            table = pipe.text_encoder.get_input_embeddings().weight
            (other,) = pipe.tokenizer(to, add_special_tokens=False).input_ids
            for word in words:
                (own,) = pipe.tokenizer(word, add_special_tokens=False).input_ids
                table[own] = table[other]

        return self.model(name, spoil)

    def audit(
        self, model: Path, *, rules=RULES, base: Path | None = None, drawer: Drawer | None = None, **inputs
    ) -> workflow.RunResult:
        """Audit a planted model against the embedded one, or another base. inputs: of ``Inputs``."""
        banned = {"id": "cat", "target": "cat", "anchor": "ground", "synonyms": ["feline", "kitty"]}
        made = factories.policy(rules=rules, detectors=["judge"]).to_json()
        category = made["spec"]["categories"][0]
        category |= {"id": "objects", "kind": "object", "severity": "medium", "concepts": [banned],
                     "neighbours": ["tiger"]}
        made["spec"]["audit"] = {"prompts": PROMPTS, "unrelated": UNRELATED}
        made["spec"]["model"] = {"ref": "embedded"}
        path = self.root / "policy.yaml"
        path.write_text(json.dumps(made), "utf-8")
        return workflow.audit_model(str(model), path, base=BaseChoice(str(base) if base else None),
                                    registry=self.root / "registry", reports=self.root / "reports",
                                    run=AuditRun(device="cpu", drawer=drawer, inputs=Inputs(**inputs)))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench whose models draw in few steps."""
    with pytest.MonkeyPatch.context() as patch:
        real = build.generation_settings
        patch.setattr("mace_gov.plan.build.generation_settings",
                      lambda *asked: real(*asked).model_copy(update={"steps": STEPS}))
        patch.setattr("mace_gov.audit.prepare.HARMLESS", UNRELATED)
        yield Bench(tmp_path_factory.mktemp("planted"))


def caught(outcome: workflow.RunResult) -> dict[str, Outcome]:
    """Rules that did not pass."""
    return {f.rule: f.outcome for f in outcome.verdict.findings if f.outcome is not Outcome.PASS}
