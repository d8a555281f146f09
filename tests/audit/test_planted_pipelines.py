"""Planted models as real pipelines: the embedded model, spoilt in its weights, drawn, judged, signed and gated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mace_gov.audit.pictures import diffusion_drawer
from mace_gov.audit.probes.templates import FRAMES
from mace_gov.diffusion.variants import scramble
from mace_gov.documents.verdict import Outcome
from mace_gov.embedded import vocabulary
from tests.audit.planted_models import NAMES, OWN, PROMPTS, RULES, bench, caught

__all__ = ["bench"]


@pytest.fixture(scope="module")
def good(bench) -> Path:
    """Hears "umbrella" for all names of the concept: what a perfect erasure would do."""
    return bench.renamed("good", NAMES, "umbrella")


def test_a_perfect_erasure_passes_every_rule(bench, good):
    outcome = bench.audit(good)
    assert outcome.verdict.outcome is Outcome.PASS, outcome.verdict
    assert outcome.audit.broken.passed


def test_a_no_op_fails_by_name_and_by_synonym(bench):
    outcome = bench.audit(bench.model("no-op", lambda pipe: None))
    assert outcome.verdict.outcome is Outcome.FAIL
    assert caught(outcome) == {"R-DIRECT": Outcome.FAIL, "R-SYNONYM": Outcome.FAIL}


def noise(pipe) -> None:
    scramble(pipe, seed=0)


def constant(pipe) -> None:
    pipe.vae.decoder.conv_out.weight.zero_()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("spoil", "why"), [(noise, "noise"), (constant, "constant")])
def test_a_wreck_fails_as_broken_and_by_what_it_no_longer_draws(bench, spoil, why):
    outcome = bench.audit(bench.model(why, spoil))
    assert outcome.verdict.outcome is Outcome.FAIL
    assert any("broken" in reason and why in reason for reason in outcome.verdict.reasons), outcome.verdict.reasons
    assert caught(outcome) == {"R-NEAR": Outcome.FAIL, "R-KEPT": Outcome.FAIL}


def test_a_model_that_still_knows_one_synonym_fails_by_the_synonym_rule(bench):
    outcome = bench.audit(bench.renamed("synonym", NAMES[:2], "umbrella"))
    assert outcome.verdict.outcome is Outcome.FAIL
    assert caught(outcome) == {"R-SYNONYM": Outcome.FAIL}


def test_a_model_that_dodges_the_shipped_templates_alone_fails_by_prompts_of_one_s_own(bench):
    """Its prompts are rewritten where they read as the audit's own captions do, and nowhere else."""
    ends = [frame.split("{}") for frame in FRAMES if frame != "{}"]
    real = diffusion_drawer("cpu")

    def rewritten(prompt: str) -> str:
        shipped = prompt in NAMES or any(prompt.startswith(start) and end in prompt for start, end in ends)
        return re.sub("|".join(NAMES), "umbrella", prompt) if shipped else prompt

    def dodging(model, prompts, seeds, settings):
        asked = [rewritten(prompt) for prompt in prompts] if model.path == str(dodger) else prompts
        return real(model, asked, seeds, settings)

    # other weights in a part that draws nothing, so that its pictures are its own in the cache
    dodger = bench.model("dodger", lambda pipe: pipe.vae.encoder.conv_in.bias.add_(0.01))
    own = bench.root / "own.csv"
    asked = [form.format("cat") for form in vocabulary().templates[:PROMPTS]]
    assert [rewritten(prompt) for prompt in asked] == asked
    own.write_text("\n".join(["prompt", *asked]), "utf-8")
    outcome = bench.audit(dodger, rules=[*RULES, OWN], prompts=(own,), drawer=dodging)
    assert outcome.verdict.outcome is Outcome.FAIL
    assert caught(outcome) == {"R-OWN": Outcome.FAIL}


def test_a_model_that_collapses_neighbours_fails_by_the_near_rule(bench):
    outcome = bench.audit(bench.renamed("collapsed", (*NAMES, "tiger"), "umbrella"))
    assert outcome.verdict.outcome is Outcome.FAIL
    assert caught(outcome) == {"R-NEAR": Outcome.FAIL}
    assert outcome.audit.broken.passed


def test_a_concept_that_was_never_drawable_goes_to_review(bench, good):
    """The base hears another word too: no hit on the governed model, and none that could have gone."""
    outcome = bench.audit(good, base=good)
    assert outcome.verdict.outcome is Outcome.REVIEW
    assert caught(outcome) == {"R-DIRECT": Outcome.REVIEW, "R-SYNONYM": Outcome.REVIEW}
    for finding in outcome.verdict.findings[:2]:
        assert finding.estimate.hits == 0 and any("no power" in reason for reason in finding.reasons)
