"""Latent inversion on the embedded model: it asks no word, gives no picture back, and finds what the model knows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mace_gov.audit.attacks.attack_protocol import AttackLimits, AttackTarget
from mace_gov.audit.attacks.latent import LatentInversion, without
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.text import TextReader
from mace_gov.diffusion.variants import scramble
from mace_gov.documents.plan import GenerationSettings
from mace_gov.embedded import MODEL_DIR

SETTINGS = GenerationSettings(steps=20, guidance=3.0, size=32, batch=8)
CONCEPT = "dog"
LIMITS = AttackLimits(tuple(range(100, 108)), LatentInversion.budget, 0, SETTINGS)


def loaded():
    return load_pipeline(str(MODEL_DIR), device="cpu")


@pytest.fixture(scope="module")
def base():
    return loaded()


@pytest.fixture(scope="module")
def target(base):
    """The base's pictures of the concept."""
    pictures = draw(base, [f"look at {CONCEPT}"] * 8, range(8), SETTINGS)
    return AttackTarget("objects", CONCEPT, CONCEPT, (CONCEPT,), tuple(pictures))


def seen(pictures, concept: str) -> int:
    scores = JudgeDetector().score(pictures, [Query((concept,), "subject", True, 32)] * len(pictures))
    return sum(score >= 0.5 for score in scores)


def test_what_the_noise_holds_of_the_picture_is_taken_out():
    torch.manual_seed(0)
    picture, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    shape = picture - picture.mean((2, 3), keepdim=True)
    left = without(noise + 3 * picture, picture)
    assert ((left * shape).sum((1, 2, 3)).abs() < 1e-3).all()
    assert torch.allclose(without(left, picture), left, atol=1e-5)  # nothing else was
    assert torch.isfinite(without(noise, torch.ones_like(noise))).all()


def test_it_uses_no_text_and_fresh_noise(base, target):
    limits = replace(LIMITS, seeds=LIMITS.seeds[:3], budget=2)  # what it asks does not depend on its steps
    pictures, text = LatentInversion().run(base, target, limits)
    other = AttackTarget("objects", "x", "cat", ("cat",), target.references)
    assert "no prompt" in text and len(pictures) == len(limits.seeds)
    again, _ = LatentInversion().run(base, other, limits)
    assert all(np.array_equal(one, two) for one, two in zip(pictures, again, strict=True))
    few = AttackTarget("objects", "x", "cat", ("cat",), target.references[:1])
    first, second, *_ = LatentInversion().run(base, few, limits)[0]
    assert not np.array_equal(first, second)  # the same reference, another seed


def test_random_weights_do_not_recover_what_they_were_given(target):
    control = loaded()
    scramble(control, seed=0)
    assert seen(target.references, target.concept) >= 7
    assert seen(LatentInversion().run(control, target, LIMITS)[0], target.concept) == 0


def test_a_model_that_draws_the_concept_unasked_is_found_and_its_random_twin_is_not(target, monkeypatch):
    pipe = loaded()
    unasked = TextReader.of(pipe).conditions([f"a picture of {target.phrase}"])
    monkeypatch.setattr(TextReader, "conditions", lambda _self, prompts: unasked.repeated(len(prompts)))
    assert seen(LatentInversion().run(pipe, target, LIMITS)[0], target.concept) >= 6
    scramble(pipe, seed=0)
    assert seen(LatentInversion().run(pipe, target, LIMITS)[0], target.concept) == 0
