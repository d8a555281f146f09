"""Plans, readers and pipelines for the erase stage, all on the tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.method import Window
from mace_gov.documents.plan import (
    ClosedForm,
    ErasurePlan,
    GenerationSettings,
    LoraSettings,
    ModelManifest,
    PreserveSettings,
    Target,
)

CONCEPTS = {"ship": ("ship", "sky"), "mira": ("mira okafor", "a person"), "dog": ("dog", "ground")}
TEMPLATES = ["a photo of {}", "{} in the middle", "a painting of {} on the street"]


def lora_settings(**changes) -> LoraSettings:
    window = Window(start=200, end=400)
    settings = LoraSettings(rank=1, steps=4, learning_rate=1e-2, images=2, sampling="cfis", window=window,
                            masks="attention")
    return settings.model_copy(update=changes)


@pytest.fixture(scope="session")
def manifest(tiny_model: Path) -> ModelManifest:
    return read_manifest(str(tiny_model))


@pytest.fixture(scope="session")
def plan_for(manifest: ModelManifest) -> Callable[..., ErasurePlan]:
    """A plan over CONCEPTS; keywords replace its fields, ``lora`` the LoRA settings, ``concepts`` the targets' ids."""

    def build(*, concepts=tuple(CONCEPTS), lora: dict | None = None, **changes) -> ErasurePlan:
        targets = [
            Target(id=name, category="things", kind="object", target=CONCEPTS[name][0], anchor=CONCEPTS[name][1],
                   lora=lora_settings(**(lora or {})))
            for name in concepts
        ]
        plan = ErasurePlan(
            method="mace", seed=0, policy_digest="0" * 64, base=manifest, targets=targets, templates=TEMPLATES,
            refine=ClosedForm(relative_ridge=1e-3), fuse=ClosedForm(relative_ridge=1e-3),
            preserve=PreserveSettings(prior="general", scale=1e-3, concepts=["cat"], concept_scale=1e-2),
            generation=GenerationSettings(steps=4, guidance=3.0, size=16, batch=4),
        )
        return plan.model_copy(update=changes)

    return build


@pytest.fixture(scope="session")
def base_pipe(tiny_model: Path):
    """The tiny pipeline; tests that change weights load their own."""
    return load_pipeline(tiny_model, device="cpu")


@pytest.fixture(scope="session")
def reader(base_pipe) -> TextReader:
    return TextReader.of(base_pipe)
