"""The three models that nothing was tuned on draw what they are asked for (training/unseen has the recipe)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.plan import GenerationSettings

HERE = Path(__file__).parent / "unseen"
MODELS = {"plain": ("sd1", 256), "wide": ("sd2", 768), "two": ("sdxl", 320)}


@pytest.mark.parametrize("name", MODELS)
def test_each_is_of_its_family_and_draws_what_it_is_asked_for(name):
    base = read_manifest(str(HERE / name))
    assert (base.family, base.text_width, base.image_size) == (*MODELS[name], 32)
    things = json.loads((HERE / "things.json").read_text())[:6]
    settings = GenerationSettings(steps=10, guidance=3.0, size=32, batch=6)
    prompts = [f"a picture of a {thing['name']}" for thing in things]
    pictures = list(draw(load_pipeline(base.path), prompts, range(6), settings))
    judge = JudgeDetector()
    scores = judge.score(pictures, [Query((thing["name"],), "subject", True, 32) for thing in things])
    assert sum(score >= judge.threshold for score in scores) >= 5


def test_their_weights_stay_within_their_room():
    assert sum(file.stat().st_size for file in HERE.rglob("*") if file.is_file()) < 25_000_000
