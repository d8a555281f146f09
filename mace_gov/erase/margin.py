"""A linear machine of largest margin for each of several classes: what tells a name's text states from all others.

    min over w, b   lambda/2 |w|^2 + 1/2 sum_i c_i max(0, 1 - y_i (w x_i + b))^2,     y_i = 1 for the class, else -1

by Newton's method on the states within the margin (Chapelle, Neural Computation 19 (2007) 1155-1178): where the same
states stay within it the step is exact, so that a few steps end at the one minimum there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

STEPS = 40
"""Newton steps at most."""
ENOUGH = 1e-8
"""Decrease that Newton promises, as a share of the objective, at which it ends."""


def largest_margin(
    own: Sequence[torch.Tensor], others: torch.Tensor, *, ridge: float, weight: float,
    advance: Callable[[int], None] = lambda _n: None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """w [n, d] and b [n] for n classes, with states ``own`` [m, d] each; ``others`` [k, d] are of none.

    States of a class count ``weight`` together, every other state, also one of another class, counts 1. ``ridge`` is
    lambda.
    """
    everything = torch.cat([others, *own])
    ones = everything.new_ones(len(everything), 1)
    inputs = torch.cat([everything, ones], 1)  # [k + ..., d + 1]
    found, first = [], len(others)
    for states in own:
        signs, counts = -ones[:, 0], ones[:, 0].clone()
        mine = slice(first, first + len(states))
        signs[mine], counts[mine] = 1.0, weight / len(states)
        found.append(_newton(inputs, signs, counts, ridge))
        first += len(states)
        advance(1)
    solved = torch.stack(found)
    return solved[:, :-1], solved[:, -1]


def _newton(inputs: torch.Tensor, signs: torch.Tensor, counts: torch.Tensor, ridge: float) -> torch.Tensor:
    """The minimum [d + 1] for inputs [k, d + 1] whose last column is 1; b has no ridge."""
    at = inputs.new_zeros(inputs.shape[1])
    at[-1] = -1.0  # all others on their margin
    penalty = torch.full_like(at, ridge)
    penalty[-1] = 1e-9 * ridge
    answers = inputs @ at

    def cost(point: torch.Tensor, given: torch.Tensor) -> float:
        return float((penalty * point.square()).sum() + (counts * (1 - signs * given).clamp_min(0).square()).sum()) / 2

    now = cost(at, answers)
    for _ in range(STEPS):
        inside = (signs * answers < 1).nonzero()[:, 0]
        rows, c = inputs[inside], counts[inside]
        gradient = penalty * at - rows.T @ (c * (signs - answers)[inside])
        hessian = rows.T @ (c[:, None] * rows) + penalty.diag()
        step = -torch.linalg.solve(hessian, gradient)
        promised, change = -float(gradient @ step) / 2, inputs @ step
        if promised <= ENOUGH * now:
            break
        size = 1.0
        while (after := cost(at + size * step, answers + size * change)) > now - 0.1 * size * promised and size > 1e-4:
            size /= 2
        at, answers, now = at + size * step, answers + size * change, after
    return at
