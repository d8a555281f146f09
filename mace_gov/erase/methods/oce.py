"""Orthogonal Concept Erasure (Sun et al., ICML 2026, arXiv 2605.28902): projections are turned, W* = P W.

P [out, out] is orthogonal, one for each projection, so that lengths and angles of what it answers stay. Derived here
from the paper's idea, the targets' outputs go to their anchors' while what is kept stays where it is; the paper's own
code was not read. For text states e_s of the targets, e_t of their anchors, and k of what is kept:

    min over orthogonal P   sum |P W e_s - W e_t|^2  +  mu sum |P W k - W k|^2     =>     P = X Y^T,
    X S Y^T = W (sum e_t e_s^T + mu sum k k^T) W^T

the orthogonal Procrustes problem (Schonemann, Psychometrika 31 (1966) 1-10). P turns planes by angles; those that it
turns least are left as they are, ``TURNED`` of ||P - 1||^2 stays, so that P W - W is stored as thin factors and P is
orthogonal still. Since |P x - P y| = |x - y|, targets keep their distance from one another: many of them cannot all
come to one anchor.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_moments
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.texts import kept_reader

TURNED = 0.999
"""Share of ||P - 1||^2 that is stored."""

HOLD = 1e-9
"""Weight of directions that nothing reaches, as a share of the largest of the moment's singular values."""

SAME = 1e-9
"""Cosines that differ by less are of one plane; a turn of less than that is none."""


def oce(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One turn of each projection for all concepts. See ``EraseMethod``.

    Raises NumericalError when there is nothing to turn.
    """
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("preserve"):
            preserve = preserve_term(reader, plan, cache, progress)
        with clock.stage("refine"):
            pairs = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
            left, right = {}, {}
            for name, layer in projections(pipe.unet).items():
                w = layer.weight.detach().cpu().double()
                basis, turn = planes(turned(w @ (pairs.c + preserve) @ w.T))
                if len(turn):
                    left[name] = basis @ (turn - torch.eye(len(turn), dtype=turn.dtype))
                    right[name] = basis.T @ w
    if not left:
        raise NumericalError("oce: nothing to turn: what is kept holds the targets, or they are their anchors",
                             hint="Lower preserve.weight or choose other anchors.")
    identity = torch.eye(len(preserve), dtype=torch.float64)
    return Erasure(ErasureDelta(identity, left, right, about(plan, "none")), [], [], clock.seconds, [])


def turned(moment: torch.Tensor) -> torch.Tensor:
    """P [out, out], orthogonal, with the largest tr(P^T M) for M [out, out] float64; 1 where M says nothing.

    Directions that M says nothing of stay: each has ``HOLD`` of M's largest singular value.
    """
    hold = HOLD * torch.linalg.matrix_norm(moment, 2) * torch.eye(len(moment), dtype=moment.dtype)
    x, _, y = torch.linalg.svd(moment + hold)
    turn: torch.Tensor = x @ y
    return turn


def planes(turn: torch.Tensor, share: float = TURNED) -> tuple[torch.Tensor, torch.Tensor]:
    """Q [out, m] and T [m, m], orthogonal, for P = 1 + Q (T - 1) Q^T: what P [out, out] turns most.

    A direction of a plane that turns by an angle t adds 2 - 2 cos t to ||P - 1||^2. Those planes are eigenspaces of
    P + P^T, which P maps to themselves.
    """
    cosines, vectors = torch.linalg.eigh((turn + turn.T) / 2)  # ascending: what turns most comes first
    energies = (2 - 2 * cosines).clamp_min(0)
    left = energies.sum() - energies.cumsum(0) + energies  # before each direction
    most = int((left > (1 - share) * energies.sum() + SAME * len(turn)).sum())
    while 0 < most < len(turn) and cosines[most] - cosines[most - 1] < SAME:  # both directions of a plane
        most += 1
    basis = vectors[:, :most]
    return basis, basis.T @ turn @ basis
