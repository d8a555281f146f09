"""The straightforward way, as a baseline: every projection on its own, sums as the formulas are written, inverses.

``outer_products`` sums W e_t e_s^T and e_s e_s^T token by token, a prompt's at a time, as implementations of closed-
form editing commonly do; ``products`` gathers each concept's tokens into matrices first. Both hold all states at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from mace_gov.erase.second_moments import coexisting_pairs


@dataclass(frozen=True)
class Concept:
    """One concept's states, float32 or float64."""

    id: str
    """Concept id."""
    e_s: list[torch.Tensor]
    """By prompt, the states to be changed [pairs, d]."""
    e_t: list[torch.Tensor]
    """By prompt, what they shall be like [pairs, d]."""
    own: list[torch.Tensor]
    """By prompt, all states [L, d]."""


Sums = Callable[[torch.Tensor, Iterable[torch.Tensor], Iterable[torch.Tensor]], tuple[torch.Tensor, torch.Tensor]]
"""(W [out, d], e_t by prompt, e_s by prompt) -> sum W e_t e_s^T [out, d] and sum e_s e_s^T [d, d]."""


def outer_products(w, e_t, e_s):
    """See ``Sums``; one outer product a token."""
    left, right = torch.zeros_like(w), w.new_zeros(w.shape[1], w.shape[1])
    for wanted, seen in zip(e_t, e_s, strict=True):
        values = wanted @ w.T  # [pairs, out]
        left += (values[:, :, None] * seen[:, None, :]).sum(0)
        right += (seen[:, :, None] * seen[:, None, :]).sum(0)
    return left, right


def products(w, e_t, e_s):
    """See ``Sums``; one matrix product a concept."""
    wanted, seen = torch.cat(list(e_t)), torch.cat(list(e_s))
    return (w @ wanted.T) @ seen, seen.T @ seen


def concepts_of(reader, plan, dtype=torch.float32) -> list[Concept]:
    """All states of all concepts."""
    gathered = []
    for target in plan.targets:
        ones, states = reader.phrase(target.target, plan.templates)
        others, anchors = reader.phrase(target.anchor, plan.templates)
        states, anchors = states.to(dtype), anchors.to(dtype)
        pairs = [coexisting_pairs(one, other) for one, other in zip(ones, others, strict=True)]
        gathered.append(Concept(
            target.id,
            [state[[i for i, _ in found]] for state, found in zip(states, pairs, strict=True)],
            [state[[j for _, j in found]] for state, found in zip(anchors, pairs, strict=True)],
            list(states),
        ))
    return gathered


def by_layer(
    concepts: list[Concept], weights: Mapping[str, torch.Tensor], loras: Mapping, preserve: torch.Tensor,
    ridges: tuple[float, float], sums: Sums, dtype=torch.float32,
) -> dict[str, torch.Tensor]:
    """W* by name, refined and fused, from W by name."""
    kept, identity = preserve.to(dtype), torch.eye(preserve.shape[0], dtype=dtype)
    result = {}
    for name, w in ((name, weight.to(dtype)) for name, weight in weights.items()):
        left, right = w @ kept + ridges[0] * w, kept + ridges[0] * identity
        for c in concepts:
            more, moment = sums(w, c.e_t, c.e_s)
            left, right = left + more, right + moment
        refined = left @ torch.linalg.inv(right)
        left, right = w @ kept + ridges[1] * refined, kept + ridges[1] * identity
        for c in concepts:
            b, a = loras[c.id][name]
            more, moment = sums(refined + (b @ a).to(dtype), c.own, c.own)
            left, right = left + more, right + moment
        result[name] = left @ torch.linalg.inv(right)
    return result
