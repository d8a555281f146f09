"""Editing restricted to the null space of what is preserved, after SPEED (ICLR 2026).

    min over D   sum |(W + D Q Q^T) e_s - W e_t|^2  +  lambda |D Q Q^T|^2

Q spans the directions in which the preserve set has next to nothing: whatever D is, preserved outputs hardly move. With
Pi = Q Q^T the solution is W' = W M,

    M = I + (C - A) Pi (Pi A Pi + lambda I)^-1

which is the common solver's (C' + lambda I) (A' + lambda I)^-1 for A' = Pi A Pi and C' = (C - A) Pi + A'.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ClosedForm, ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_moments
from mace_gov.erase.methods.base import Erasure, Stopwatch, about, condition_warnings
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import solve
from mace_gov.erase.systems import absolute_ridge
from mace_gov.erase.texts import kept_reader


def nullspace(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts. See ``EraseMethod``. Raises NumericalError when nothing is preserved."""
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("preserve"):
            free = null_projector(preserve_term(reader, plan, cache, progress), plan.preserve.leak or 0.0)
        with clock.stage("refine"):
            a, c = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
            inside = free @ a @ free
            # a relative ridge means what it means elsewhere: a multiple of the whole A's mean eigenvalue
            ridge = ClosedForm(ridge=absolute_ridge(plan.refine, a))
            matrix, system = solve((inside + inside.T) / 2, (c - a) @ free + inside, ridge, torch.zeros_like(a))
    systems = [system.record]
    delta = ErasureDelta(matrix, about=about(plan, "none"))
    return Erasure(delta, systems, [], clock.seconds, condition_warnings(systems))


def null_projector(preserve: torch.Tensor, leak: float) -> torch.Tensor:
    """Pi [d, d] onto the weakest eigenvectors of mu P [d, d], as many as hold at most the share ``leak`` of its trace.

    Raises NumericalError when nothing is preserved, for then every direction is free and the method is another one.
    """
    eigenvalues, vectors = torch.linalg.eigh(preserve)  # ascending
    held = eigenvalues.clamp_min(0).cumsum(0)
    if not held[-1] > 0:
        raise NumericalError("nullspace: nothing is preserved, expected a preserve set to have a null space",
                             hint="Give preserve.prior general, or preserve.concepts, with a scale above 0.")
    basis = vectors[:, held <= leak * held[-1]]  # Q [d, r]
    if basis.shape[1] == 0:
        raise NumericalError(f"nullspace: no direction holds as little as {leak:g} of the preserve set",
                             hint="Raise preserve.leak.")
    projector: torch.Tensor = basis @ basis.T
    return projector
