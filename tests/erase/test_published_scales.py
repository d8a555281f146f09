"""The preset named for the paper on text states of ten people: how far they get to their anchor, and what fusion keeps.

With published weights the refinement leaves about .05 of the distance, and a fusion keeps a good part of a LoRA; how
large a part moves with the number of names that are preserved. With the weight of those multiplied plainly, everything
would stay where it was.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mace_gov.diffusion.load import load_text
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import solve, summed
from mace_gov.erase.second_moments import target_moments
from mace_gov.erase.systems import Factored
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

POLICY = Path(__file__).parents[2] / "policies" / "characters-10.yaml"

pytestmark = pytest.mark.nightly  # reads 2,700 prompts: fewer templates leave the system dimensions to spare


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return load_text(read_manifest("embedded").path)


@pytest.fixture(scope="module")
def plan() -> ErasurePlan:
    policy = load_policy(POLICY).policy
    method = policy.spec.method.model_copy(update={"preset": "paper"})
    policy = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})
    made = make_plan(policy, read_manifest("embedded"))
    assert len(made.targets) == 10 and len(made.templates) == 30
    return made


@pytest.fixture(scope="module")
def left_and_kept(reader, plan, tmp_path_factory):
    """For weights of a stage: the distance left, and the share of a LoRA on a target's own tokens that fusion keeps."""
    cache = tmp_path_factory.mktemp("moments")
    pairs, total = summed(reader, plan)
    moments = [target_moments(reader, plan, target) for target in plan.targets]

    def of(stage: str, asked: ErasurePlan = plan) -> tuple[float, float]:
        term = preserve_term(reader, asked, cache, None, stage)
        left = pairs.left(solve(pairs.a, pairs.c, asked.refine, term)[0])
        system, kept = Factored("fuse", total, asked.fuse, term), []
        for each in moments:
            a = each.own.mean(0, keepdim=True)
            before, after = each.own @ a.T, each.own @ system.divide(each.every @ a.T)
            kept.append(float((after * before).sum() / before.square().sum()))
        return left ** 0.5, sum(kept) / len(kept)

    return of


def test_published_weights_of_the_refinement_erase(left_and_kept):
    distance, kept = left_and_kept("refine")
    assert distance < 0.1 and kept > 0.9


def test_published_weights_of_the_fusion_keep_most_of_a_lora(left_and_kept):
    distance, kept = left_and_kept("fuse")
    assert 0.25 < distance < 0.4 and 0.3 < kept < 0.55  # .33 and .40 with fifty kept names


def test_weights_multiplied_plainly_would_erase_nothing(left_and_kept, plan):
    plainly = plan.preserve.model_copy(update={"concept_scale": 8e4, "refine_concept_scale": None})
    distance, kept = left_and_kept("fuse", plan.model_copy(update={"preserve": plainly}))
    assert distance > 0.9 and kept < 0.01
    assert torch.isfinite(torch.tensor([distance, kept])).all()
