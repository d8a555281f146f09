"""Focal directions answer to a concept's own tokens and not to those around them, and are held while b is trained."""

from __future__ import annotations

import pytest
import torch

from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.text import TextReader
from mace_gov.erase.focal import focal_directions
from mace_gov.erase.lora import train
from mace_gov.erase.lora_file import factors
from mace_gov.erase.training_pictures import training_pictures


@pytest.fixture
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


def directions(pipe, plan):
    reader = TextReader.of(pipe)
    return focal_directions(reader, plan, torch.zeros(reader.width, reader.width, dtype=torch.float64), plan.targets)


def ratio(reader, plan, target, direction) -> float:
    """Mean square answer to the target's own tokens over that to all other tokens of its prompts."""
    own, rest = [], []
    for template in plan.templates:
        prompt = reader.fill(template, target.target)
        answers = (next(iter(reader.states([prompt]))).double() @ direction.T).square().sum(-1)
        mine = torch.zeros(len(answers), dtype=torch.bool)
        mine[prompt.positions] = True
        own.append(answers[mine].mean())
        rest.append(answers[~mine].mean())
    return float(torch.stack(own).mean() / torch.stack(rest).mean())


def test_a_focal_direction_is_far_more_selective_than_a_random_one(pipe, plan_for):
    plan, reader = plan_for(), TextReader.of(pipe)
    chance = torch.Generator().manual_seed(0)
    for target in plan.targets:
        focal = directions(pipe, plan)[target.id]
        assert focal.norm(dim=1).tolist() == pytest.approx([1.0])
        random = [
            ratio(reader, plan, target, torch.randn(1, reader.width, generator=chance, dtype=torch.float64))
            for _ in range(20)
        ]
        assert ratio(reader, plan, target, focal) > max(random)


def test_the_order_of_targets_does_not_matter(pipe, plan_for):
    one, other = directions(pipe, plan_for()), directions(pipe, plan_for(concepts=("dog", "mira", "ship")))
    assert all(torch.equal(one[name], other[name]) for name in ("dog", "mira", "ship"))


def test_the_direction_is_held_while_b_learns(pipe, plan_for):
    plan = plan_for(lora={"steps": 40, "learning_rate": 0.05, "images": 1, "init": "focal"})
    target = plan.targets[0]
    focal = directions(pipe, plan)
    result, = train(pipe, plan, [target], training_pictures(pipe, plan, [target]), focal)
    for b, a in factors(result.weights).values():
        assert torch.equal(a, focal[target.id].float().double())
        assert torch.isfinite(b).all()
    assert sum(result.losses[-10:]) < 0.8 * sum(result.losses[:10])
