"""Concept-focal importance sampling is the published density."""

from __future__ import annotations

import math

import pytest
import torch

from mace_gov.documents.method import Window
from mace_gov.documents.plan import LoraSettings
from mace_gov.erase.lora_objective import sample_timesteps, timestep_weights


def settings(sampling: str = "cfis") -> LoraSettings:
    return LoraSettings(rank=1, steps=1, learning_rate=1e-4, images=1, sampling=sampling, masks="none",
                        window=Window(start=200, end=400, gamma=0.05))


def test_cfis_is_the_difference_of_two_sigmoids():
    weights = timestep_weights(settings(), 1000)

    def density(t: float) -> float:
        return 1 / (1 + math.exp(-0.05 * (t - 200))) - 1 / (1 + math.exp(-0.05 * (t - 400)))

    total = sum(density(t) for t in range(1000))
    for t in (0, 150, 200, 300, 400, 900):
        assert float(weights[t]) == pytest.approx(density(t) / total, rel=1e-9)
    assert float(weights.sum()) == pytest.approx(1)
    assert int(weights.argmax()) == 300


def test_the_window_scales_with_the_schedule():
    assert int(timestep_weights(settings(), 500).argmax()) == 150


def test_uniform_is_uniform():
    assert torch.equal(timestep_weights(settings("uniform"), 10), torch.full((10,), 0.1, dtype=torch.float64))


def test_draws_follow_the_density_and_the_seed():
    def drawn(seed: int) -> torch.Tensor:
        return sample_timesteps(settings(), 1000, 4000, torch.Generator().manual_seed(seed))

    inside = ((drawn(0) >= 200) & (drawn(0) < 400)).double().mean()
    assert float(inside) == pytest.approx(float(timestep_weights(settings(), 1000)[200:400].sum()), abs=0.03)
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
