"""Stage 1, closed-form refinement: what surrounds a target stops carrying it.

    min over W'   sum |W' e_s - W e_t|^2  +  lambda |W' - W|^2  +  mu sum |W' e_p - W e_p|^2

has the solution W' = W M with M = (C + lambda I + mu P) (A + lambda I + mu P)^-1, A = sum e_s e_s^T, C = sum e_t e_s^T.
M does not depend on W, so one d x d matrix refines every projection of every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.diffusion.text import TextReader, Tokens
from mace_gov.documents.erasure import Stage
from mace_gov.documents.plan import ClosedForm, ErasurePlan, Target
from mace_gov.erase.systems import Factored

AMPLIFICATION_LIMIT = 1e3
"""Largest singular value of M accepted: text states of a kind have like norms, so a larger one extrapolates noise."""


@dataclass(frozen=True)
class Refinement:
    """What stage 1 found, all float64 on the CPU."""

    matrix: torch.Tensor
    """M [d, d]."""
    system: Factored
    """The factored left-hand side."""
    total: torch.Tensor
    """sum A_i [d, d] with A_i = E_i E_i^T over all positions of concept i's prompts: stage 3 needs it."""


def coexisting_pairs(source: Tokens, target: Tokens) -> list[tuple[int, int]]:
    """Positions of the target prompt and of the anchor prompt that stand for the same thing.

    Longest common prefix with prefix, longest common suffix with suffix, neither reaching into the own tokens of
    target or anchor; then on from the last used position on either side into the padding, one by one, until the
    longer prompt reaches the encoder's length.
    """
    if source.own is None or target.own is None:
        raise ValueError("both prompts must know the concept's own tokens")
    left, right = source.ids[:source.used], target.ids[:target.used]
    prefix = _common(left[:source.own[0]], right[:target.own[0]])
    suffix = _common(left[source.own[1]:][::-1], right[target.own[1]:][::-1])
    pairs = [(i, i) for i in range(prefix)]
    pairs += [(source.used - k, target.used - k) for k in range(suffix, 0, -1)]
    padding = len(source.ids) - max(source.used, target.used)
    return pairs + [(source.used + j, target.used + j) for j in range(padding)]


def _common(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    count = 0
    while count < min(len(left), len(right)) and left[count] == right[count]:
        count += 1
    return count


def moments(
    reader: TextReader, plan: ErasurePlan, advance: Callable[[int], None] = lambda _steps: None
) -> Iterator[tuple[Target, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """For each target: (target, its share of A, its share of C, its A_i), each [d, d] float64.

    One concept's states are held at a time. Anchors are encoded once each.
    """
    anchors: dict[str, tuple[list[Tokens], torch.Tensor]] = {}
    targets = sorted(plan.targets, key=lambda target: target.id)  # a sum rounds by its order
    uses = [target.anchor for target in targets]
    for index, target in enumerate(targets):
        if target.anchor not in anchors:
            anchors[target.anchor] = reader.phrase(target.anchor, plan.templates)
        prompts, states = reader.phrase(target.target, plan.templates)  # [n, L, d]
        anchor_prompts, anchor_states = anchors[target.anchor]
        pairs = [coexisting_pairs(s, t) for s, t in zip(prompts, anchor_prompts, strict=True)]
        e_s = torch.cat([states[n, [i for i, _ in p]] for n, p in enumerate(pairs)])  # [pairs, d]
        e_t = torch.cat([anchor_states[n, [j for _, j in p]] for n, p in enumerate(pairs)])  # [pairs, d]
        every = states.flatten(0, 1)  # [n L, d]
        yield target, e_s.T @ e_s, e_t.T @ e_s, every.T @ every
        if target.anchor not in uses[index + 1:]:
            del anchors[target.anchor]
        advance(1)


def refine(
    reader: TextReader, plan: ErasurePlan, preserve: torch.Tensor,
    advance: Callable[[int], None] = lambda _steps: None,
) -> Refinement:
    """Stage 1 for all targets at once. preserve is mu P [d, d].

    Raises NumericalError when the system is ill-conditioned or M is no refinement but noise.
    """
    a = torch.zeros(reader.width, reader.width, dtype=torch.float64)  # A
    c = torch.zeros_like(a)  # C
    total = torch.zeros_like(a)
    for _, share_a, share_c, moment in moments(reader, plan, advance):
        a += share_a
        c += share_c
        total += moment
    matrix, system = solve(a, c, plan.refine, preserve)
    return Refinement(matrix, system, total)


def solve(
    a: torch.Tensor, c: torch.Tensor, settings: ClosedForm, preserve: torch.Tensor, stage: Stage = "refine"
) -> tuple[torch.Tensor, Factored]:
    """M [d, d] from A, C and mu P, all [d, d] float64, and the factored system."""
    system = Factored(stage, a, settings, preserve)
    right = c + preserve
    right.diagonal().add_(system.ridge)
    matrix = system.divide_from_right(right)
    check_matrix(matrix)
    return matrix, system


def check_matrix(matrix: torch.Tensor) -> None:
    """Raise NumericalError when M is not finite, or stretches some direction beyond anything that text states do."""
    if not torch.isfinite(matrix).all():
        raise NumericalError("refine: the refinement matrix is not finite, expected finite numbers")
    stretch = float(torch.linalg.matrix_norm(matrix, 2))
    if stretch > AMPLIFICATION_LIMIT:
        raise NumericalError(
            f"refine: the refinement matrix stretches a direction {stretch:.3g}-fold, "
            f"expected at most {AMPLIFICATION_LIMIT:.0f}-fold: its output would be noise",
            hint="Raise refine.ridge or refine.relativeRidge, or preserve.scale.",
        )
