"""Orthogonal Concept Erasure (Sun et al., ICML 2026, arXiv 2605.28902): projections are turned, W* = P W.

P [out, out] is orthogonal, one for each projection, so that lengths and angles of what it answers stay. Derived here
from the paper's idea, a subspace of the targets' outputs goes into a subspace of their anchors' while what is kept
stays where it is; the paper's own code was not read:

    max over orthogonal P   sum_i t_i v_i^T P u_i  +  tr(P R)     =>     P = X Y^T,   X S Y^T = sum_i t_i v_i u_i^T + R

u_i is an orthonormal basis of the directions that tell the targets from their anchors (``outputs``), t_i what the
targets have there, v_i its principal vectors (Jordan, Bjorck and Golub) in the anchors' outputs, R = W mu P W^T of what
is kept: the orthogonal Procrustes problem (Schonemann, Psychometrika 31 (1966) 1-10). The anchors' subspace holds
``ENERGY`` of their outputs and bounds how many directions can go there. P is solved within the span of all u and v and
is 1 beyond it, so that P W - W is stored as thin factors.
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
from mace_gov.erase.methods.projection_outputs import Outputs
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.texts import kept_reader

ENERGY = 0.99
"""Share of the anchors' outputs that their subspace holds."""


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
                outputs = Outputs.of(layer.weight, pairs, preserve)
                basis, turn = turned(outputs)
                if len(turn):
                    left[name] = basis @ (turn - torch.eye(len(turn), dtype=turn.dtype))
                    right[name] = basis.T @ outputs.weight
    if not left:
        raise NumericalError("oce: no direction tells the targets more than it holds of what is kept",
                             hint="Lower preserve.weight.")
    identity = torch.eye(len(preserve), dtype=torch.float64)
    return Erasure(ErasureDelta(identity, left, right, about(plan, "none")), [], [], clock.seconds, [])


def turned(outputs: Outputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Q [out, m] and T [m, m], orthogonal, with P = 1 + Q (T - 1) Q^T; m is 0 where nothing tells the targets apart."""
    anchors = _anchor_subspace(outputs.anchors)
    directions = outputs.discriminating()[:, :anchors.shape[1]]
    if directions.shape[1] == 0:
        return outputs.weight.new_zeros(len(outputs.weight), 0), outputs.weight.new_zeros(0, 0)
    own = torch.linalg.qr(directions).Q  # [out, k]
    x, _, y = torch.linalg.svd(anchors.T @ own, full_matrices=False)
    u, v = own @ y.T, anchors @ x  # principal vectors, [out, k] each
    weights = (u * (outputs.residual @ u)).sum(0)  # t [k]
    spanning, lengths, _ = torch.linalg.svd(torch.cat([own, anchors], 1), full_matrices=False)
    basis = spanning[:, lengths > 1e-6]
    a, _, b = torch.linalg.svd(basis.T @ ((v * weights) @ u.T + outputs.kept) @ basis)
    turn: torch.Tensor = a @ b
    return basis, turn


def _anchor_subspace(anchors: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis [out, m] of the fewest directions that hold ``ENERGY`` of a moment [out, out]."""
    energies, vectors = torch.linalg.eigh(anchors)  # ascending
    before = energies.clamp_min(0).flip(0).cumsum(0) - energies.clamp_min(0).flip(0)
    basis: torch.Tensor = vectors.flip(1)[:, before < ENERGY * float(energies.clamp_min(0).sum())]
    return basis
