"""Stage 1, closed-form refinement: what surrounds a target stops carrying it.

    min over W'   sum |W' e_s - W e_t|^2  +  lambda |W' - W|^2  +  mu sum |W' e_p - W e_p|^2

has the solution W' = W M with M = (C + lambda I + mu P) (A + lambda I + mu P)^-1, A = sum e_s e_s^T, C = sum e_t e_s^T.
M does not depend on W, so one d x d matrix refines every projection of every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from mace_gov.core.errors import NumericalError
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.erasure import Stage
from mace_gov.documents.plan import ClosedForm, ErasurePlan
from mace_gov.erase.second_moments import Pairs, target_moments
from mace_gov.erase.systems import Factored, absolute_ridge

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
    left: float
    """Share of the way from target to anchor that is left, of squares: 0 mapped whole, 1 untouched."""


def refine(
    reader: TextReader, plan: ErasurePlan, preserve: torch.Tensor,
    advance: Callable[[int], None] = lambda _steps: None,
) -> Refinement:
    """Stage 1 for all targets at once. preserve is mu P [d, d].

    Raises NumericalError when the system is ill-conditioned or M is no refinement but noise.
    """
    sums = summed(reader, plan, advance)
    matrix, system = solve(sums.pairs.a, sums.pairs.c, sums.ridge(plan.refine), preserve)
    return Refinement(matrix, system, sums.total, sums.named.left(matrix))


@dataclass(frozen=True)
class TargetSums:
    """Over all of a plan's targets, float64 on the CPU."""

    pairs: Pairs
    """The pairs that stage 1 maps, a target's as often as its weight says."""
    named: Pairs
    """The same with each target once: what is left is told of these."""
    total: torch.Tensor
    """sum A_i [d, d]."""

    def ridge(self, settings: ClosedForm) -> ClosedForm:
        """lambda where targets count unequally: relative to each of them once, so that what counts more does not
        loosen what counts less."""
        return settings if self.pairs is self.named else ClosedForm(ridge=absolute_ridge(settings, self.named.a))


def summed(
    reader: TextReader, plan: ErasurePlan, advance: Callable[[int], None] = lambda _steps: None
) -> TargetSums:
    """What stage 1 is made of. One target's moments are in memory at a time."""
    total = torch.zeros(reader.width, reader.width, dtype=torch.float64)
    named = Pairs(torch.zeros_like(total), torch.zeros_like(total), 0.0)
    more = None
    for target in sorted(plan.targets, key=lambda target: target.id):  # a sum rounds by its order
        moments = target_moments(reader, plan, target)
        own = moments.pairs(plan.refine_tokens or "context")
        named += own
        if target.weight:
            extra = own * (target.weight - 1)
            more = extra if more is None else more + extra
        total += moments.every
        advance(1)
    return TargetSums(named if more is None else named + more, named, total)


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


@contextmanager
def refined_weights(unet: nn.Module, matrix: torch.Tensor) -> Iterator[None]:
    """W' = W M in every projection inside the block, W again after it."""
    layers = projections(unet)
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.weight.data.copy_((before[name].cpu().double() @ matrix).float())
        yield
    finally:
        for name, layer in layers.items():
            layer.weight.data.copy_(before[name])


def check_matrix(matrix: torch.Tensor) -> None:
    """Raise NumericalError when M is not finite, or stretches some direction beyond anything that text states do."""
    if not torch.isfinite(matrix).all():
        raise NumericalError("refine: the refinement matrix is not finite, expected finite numbers")
    if float(torch.linalg.matrix_norm(matrix)) <= AMPLIFICATION_LIMIT:  # Frobenius' norm is never less, and is cheap
        return
    stretch = float(torch.linalg.matrix_norm(matrix, 2))
    if stretch > AMPLIFICATION_LIMIT:
        raise NumericalError(
            f"refine: the refinement matrix stretches a direction {stretch:.3g}-fold, "
            f"expected at most {AMPLIFICATION_LIMIT:.0f}-fold: its output would be noise",
            hint="Raise refine.ridge or refine.relativeRidge, or preserve.scale.",
        )
