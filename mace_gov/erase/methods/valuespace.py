"""A projection of values, of PARSE's kind: what sets the targets apart is taken out of what projections answer.

    W* = W - sum_k R g_k g_k^T W,     T g_k = l_k R g_k,   g_k^T R g_k = 1,   l_k >= 1

T is the second moment of W (e_s - e_t) over the targets' states and their anchors', R that of what is kept. Of all
edits after which no g_k tells a target from its anchor this one moves the kept outputs least, in R's own metric. The
subspace grows as long as a direction tells targets more than it holds of what is kept. Rank k, stored as thin factors.
Values alone are edited: keys stay, so that the layout of a picture does. PARSE's search for what brings a concept back
is not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import Aligned, aligned_moments
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.texts import kept_reader

VALUES = "to_v"
"""How the names of value projections end."""

FLOOR = 1e-6
"""Added to what is kept in each direction, as a share of its mean: directions in which nothing is kept are free."""


@dataclass(frozen=True)
class Outputs:
    """Second moments of one projection's outputs, [out, out] float64 each."""

    weight: torch.Tensor
    """W [out, d]."""
    residual: torch.Tensor
    """W (sum (e_s - e_t) (e_s - e_t)^T) W^T: by what the targets differ from their anchors."""
    kept: torch.Tensor
    """W (mu P) W^T, with ``FLOOR``."""

    @classmethod
    def of(cls, weight: torch.Tensor, pairs: Aligned, preserve: torch.Tensor) -> Outputs:
        """Of W [out, d], from the moments of text states; preserve is mu P [d, d]."""
        w = weight.detach().cpu().double()
        residual, kept = (_symmetric(w @ m @ w.T) for m in (pairs.residual, preserve))
        floor = FLOOR * float(kept.diagonal().mean() or residual.diagonal().mean())
        return cls(w, residual, kept + floor * torch.eye(len(w), dtype=w.dtype))

    def discriminating(self, least: float = 1.0) -> torch.Tensor:
        """G [out, k]: T g = l R g for the residual T and what is kept R, g^T R g = 1, with l >= ``least``.

        Directions along which targets differ from their anchors by more than all that is kept has there, best first.
        """
        values, vectors = torch.linalg.eigh(self.kept)
        whitening = vectors / values.clamp_min(1e-12 * float(values[-1])).sqrt()
        ratios, found = torch.linalg.eigh(_symmetric(whitening.T @ self.residual @ whitening))  # ascending
        directions: torch.Tensor = (whitening @ found[:, ratios >= least]).flip(1)
        return directions


def valuespace(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts. See ``EraseMethod``. Raises NumericalError when there is nothing to take out."""
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("preserve"):
            preserve = preserve_term(reader, plan, cache, progress)
        with clock.stage("refine"):
            pairs = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
            left, right = {}, {}
            for name, layer in projections(pipe.unet).items():
                if name.endswith(VALUES):
                    b, c = taken_out(Outputs.of(layer.weight, pairs, preserve))
                    if len(c):
                        left[name], right[name] = b, c
    if not left:
        raise NumericalError("valuespace: no direction tells the targets more than it holds of what is kept",
                             hint="Lower preserve.weight.")
    identity = torch.eye(len(preserve), dtype=torch.float64)
    return Erasure(ErasureDelta(identity, left, right, about(plan, "none")), [], [], clock.seconds, [])


def taken_out(outputs: Outputs) -> tuple[torch.Tensor, torch.Tensor]:
    """B [out, k] and C [k, d] with W* = W + B C."""
    directions = outputs.discriminating()
    return -(outputs.kept @ directions), directions.T @ outputs.weight


def _symmetric(matrix: torch.Tensor) -> torch.Tensor:
    return (matrix + matrix.T) / 2
