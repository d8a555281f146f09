"""The machine of largest margin as theorems."""

from __future__ import annotations

import pytest
import torch

from mace_gov.erase.margin import largest_margin


def cloud(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)).double()


def test_two_states_are_told_apart_in_the_middle():
    own, other = torch.tensor([[3.0]]).double(), torch.tensor([[1.0]]).double()
    w, b = largest_margin([own], other, ridge=1e-9, weight=1.0)
    assert float(w) == pytest.approx(1.0, abs=1e-6) and float(b) == pytest.approx(-2.0, abs=1e-6)


@pytest.mark.parametrize("apart", [0.0, 6.0])
def test_no_other_direction_costs_less(apart):
    own, others, ridge, weight = [cloud(9, 5, 1) + apart, cloud(4, 5, 2) - apart], cloud(200, 5, 3), 0.7, 30.0
    w, b = largest_margin(own, others, ridge=ridge, weight=weight)

    def cost(n: int, w: torch.Tensor, b: torch.Tensor) -> float:
        away = torch.cat([others, own[1 - n]]) @ w + b
        gone = (1 - own[n] @ w - b).clamp_min(0).square().mean() * weight
        return float(ridge * w.square().sum() + gone + (1 + away).clamp_min(0).square().sum())

    for n in range(2):
        least = cost(n, w[n], b[n])
        for seed in range(30):
            step = 1e-3 * cloud(1, 6, seed)[0]
            assert cost(n, w[n] + step[:5], b[n] + step[5]) > least
    if apart:
        assert all((own[n] @ w[n] + b[n]).min() > (others @ w[n] + b[n]).max() for n in range(2))


def test_what_a_class_says_does_not_hang_on_how_often_it_says_it():
    own, others = cloud(6, 4, 1) + 2, cloud(50, 4, 2)
    once, twice = (largest_margin([states], others, ridge=1.0, weight=10.0)
                   for states in (own, torch.cat([own, own])))
    assert torch.allclose(once[0], twice[0]) and torch.allclose(once[1], twice[1])
