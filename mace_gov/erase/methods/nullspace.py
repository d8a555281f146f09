"""Editing restricted to the null space of what is preserved, after SPEED (ICLR 2026).

    min over D   sum |(W + D Q Q^T) e_s - W e_t|^2  +  lambda |D Q Q^T|^2

Q spans the directions in which the preserve set has next to nothing: whatever D is, preserved outputs hardly move. With
Pi = Q Q^T the solution is W' = W M,

    M = I + (C - A) Pi (Pi A Pi + lambda I)^-1

which is the common solver's (C' + lambda I) (A' + lambda I)^-1 for A' = Pi A Pi and C' = (C - A) Pi + A'.

SPEED's three parts, each over all projections W stacked, so that one M still serves them all:

* prior filtering by influence: of the prior only those states count that an edit without any constraint would move,
  W (C - A) (A + lambda I)^-1 e, further than the mean of them all. What nobody touches needs no room in the null space.
* directed augmentation: each of them counts beside ten of its variations e + Q_min n, n normal with the states' mean
  square, Q_min along the directions in which the projections read next to nothing, so that the outputs are the same.
  They are taken in expectation, ten times sigma^2 Q_min Q_min^T a state, rather than drawn.
* invariant equality: the beginning of text, which every prompt has, and the end of the empty prompt, which guidance
  reads for every picture, stay exactly.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ClosedForm, ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_moments
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about, condition_warnings
from mace_gov.erase.preserve import second_moment_of, weighted_captions
from mace_gov.erase.refine import solve
from mace_gov.erase.systems import Factored, absolute_ridge
from mace_gov.erase.texts import kept_reader

AUGMENTED = 10
"""Variations of a state, as published."""
UNREAD = 0.01
"""Share of what the projections read that lies in the directions of the variations."""
SAME = 1e-4
"""Singular values of the invariant states under this share of the largest are rounding."""


def nullspace(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts. See ``EraseMethod``. Raises NumericalError when nothing is preserved."""
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("refine"):
            pairs = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
            a, c = pairs.a, pairs.c
        with clock.stage("preserve"):
            read = sum((layer.weight.detach().cpu().double().T @ layer.weight.detach().cpu().double()
                        for layer in projections(pipe.unet).values()), torch.zeros_like(a))  # sum W^T W [d, d]
            shift = Factored("refine", a, plan.refine, torch.zeros_like(a)).divide_from_right(c - a)
            term = influenced_term(reader, plan, shift.T @ read @ shift, read, cache, progress)
            free = null_projector(term, plan.preserve.leak or 0.0, invariants(reader))
        with clock.stage("refine"):
            inside = free @ a @ free
            # a relative ridge means what it means elsewhere: a multiple of the whole A's mean eigenvalue
            ridge = ClosedForm(ridge=absolute_ridge(plan.refine, a))
            matrix, system = solve((inside + inside.T) / 2, (c - a) @ free + inside, ridge, torch.zeros_like(a))
    systems = [system.record]
    delta = ErasureDelta(matrix, about=about(plan, "none"))
    return Erasure(delta, systems, [], clock.seconds, condition_warnings(systems))


def influenced_term(
    reader: TextReader, plan: ErasurePlan, influence: torch.Tensor, read: torch.Tensor, cache: Path | None = None,
    progress: Progress | None = None,
) -> torch.Tensor:
    """mu P [d, d] of the prior's states e that e^T influence e finds above its mean, augmented, and of all named ones.

    influence, read: [d, d] float64; read is the second moment of the stacked projections' rows.
    """
    term = torch.zeros_like(read)
    unread = _weakest(read, UNREAD)  # Q_min [d, r]
    named = {each.replace("{}", phrase, 1) for phrase in plan.preserve.concepts for each in plan.templates}
    for weight, captions in weighted_captions(plan, reader.tokenizer):
        whole = second_moment_of(reader, plan.base, captions, cache, progress)
        if named.issuperset(captions):
            term += weight * whole
            continue
        mean = float((influence * whole).sum()) / (len(captions) * reader.length)
        filtered, count = torch.zeros_like(read), 0
        for state in reader.states([reader.tokens(caption) for caption in captions]):
            e = state.cpu().double()  # [L, d]
            e = e[((e @ influence) * e).sum(1) > mean]
            filtered.addmm_(e.T, e)
            count += len(e)
        square = float(filtered.trace()) / max(count * reader.width, 1)
        term += weight * (filtered + AUGMENTED * (filtered + count * square * unread @ unread.T))
    return term


def invariants(reader: TextReader) -> torch.Tensor:
    """States that no edit may move [2, d]: of the beginning of text, and of the end of the empty prompt."""
    return next(iter(reader.states([reader.tokens("")])))[:2].cpu().double()


def null_projector(preserve: torch.Tensor, leak: float, fixed: torch.Tensor | None = None) -> torch.Tensor:
    """Pi [d, d] onto the weakest eigenvectors of mu P [d, d], as many as hold at most the share ``leak`` of its trace.

    fixed: states [n, d] that Pi takes to nothing.
    Raises NumericalError when nothing is preserved, for then every direction is free and the method is another one.
    """
    if not preserve.trace() > 0:
        raise NumericalError("nullspace: nothing is preserved, expected a preserve set to have a null space",
                             hint="Give preserve.prior general, or preserve.concepts, with a scale above 0.")
    basis = _weakest(preserve, leak)  # Q [d, r]
    if fixed is not None:
        _, lengths, across = torch.linalg.svd(fixed @ basis, full_matrices=True)
        basis = basis @ across[int((lengths > SAME * float(fixed.norm())).sum()):].T
    if basis.shape[1] == 0:
        raise NumericalError(f"nullspace: no direction holds as little as {leak:g} of the preserve set",
                             hint="Raise preserve.leak.")
    projector: torch.Tensor = basis @ basis.T
    return projector


def _weakest(moment: torch.Tensor, share: float) -> torch.Tensor:
    """The eigenvectors [d, r] of a moment [d, d] that hold the least of its trace, together at most ``share`` of it."""
    eigenvalues, vectors = torch.linalg.eigh(moment)  # ascending
    held = eigenvalues.clamp_min(0).cumsum(0)
    found: torch.Tensor = vectors[:, held <= share * held[-1]]
    return found
