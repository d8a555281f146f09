"""Pairs of a concept's own tokens with its anchor's, for the methods that edit the concept itself.

The refinement of MACE pairs what surrounds a concept; here the concept's own tokens go to the anchor's, aligned at the
last of them ("the last subject token"), and so does everything after them, through end of text and padding, since a
causal text encoder has told those what the concept is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import torch

from mace_gov.diffusion.text import TextReader, Tokens
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.second_moments import names_of, own_pairs


@dataclass(frozen=True)
class Aligned:
    """Moments over the aligned pairs (e_s, e_t) of all targets with their anchors, each [d, d] float64."""

    a: torch.Tensor
    """sum e_s e_s^T."""
    c: torch.Tensor
    """sum e_t e_s^T."""
    anchors: torch.Tensor
    """sum e_t e_t^T."""

    @property
    def residual(self) -> torch.Tensor:
        """sum (e_s - e_t) (e_s - e_t)^T [d, d]: what sets the targets apart from their anchors."""
        return self.a - self.c - self.c.T + self.anchors


def aligned_pairs(source: Tokens, target: Tokens) -> list[tuple[int, int]]:
    """Positions of the target prompt and of the anchor prompt, from the concept's first own token to the end.

    Where the target has more tokens than the anchor, its first ones all go to the anchor's first.
    """
    own = own_pairs(source, target)
    shift = target.found[1] - source.found[1]
    return own + [(i, i + shift) for i in range(source.found[1], min(len(source.ids), len(target.ids) - shift))]


def aligned_moments(
    reader: TextReader, plan: ErasurePlan, advance: Callable[[int], None] = lambda _steps: None
) -> Aligned:
    """The moments of a plan's targets.

    A target that is erased by several names counts as much as one that is erased by one.
    """
    a, c, b = (torch.zeros(reader.width, reader.width, dtype=torch.float64) for _ in range(3))
    # an order of its own, since a sum rounds by its order; anchors together, so that each is encoded once
    for anchor, targets in groupby(sorted(plan.targets, key=lambda t: (t.anchor, t.id)), key=lambda t: t.anchor):
        others, anchor_states = reader.phrase(anchor, plan.templates)
        for target in targets:
            names = names_of(plan, target)
            for name in names:
                ones, states = reader.phrase(name, plan.templates)
                for n, (one, other) in enumerate(zip(ones, others, strict=True)):
                    pairs = aligned_pairs(one, other)
                    e_s, e_t = states[n, [i for i, _ in pairs]], anchor_states[n, [j for _, j in pairs]]  # [pairs, d]
                    a.addmm_(e_s.T, e_s, alpha=1 / len(names))
                    c.addmm_(e_t.T, e_s, alpha=1 / len(names))
                    b.addmm_(e_t.T, e_t, alpha=1 / len(names))
            advance(1)
    return Aligned(a, c, b)

