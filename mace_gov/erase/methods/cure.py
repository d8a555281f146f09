"""CURE's spectral eraser (Das Biswas et al., NeurIPS 2025, arXiv 2505.12677): a projection of text states.

    W* = W (I - P_f + P_f P_r),     P = U diag(f(r)) U^T,     f(r) = alpha r / ((alpha - 1) r + 1)

U holds the left singular vectors of text states, r the squares of their singular values as shares of their sum: f
expands the spectrum, from r itself at alpha 1 to a plain projector as alpha grows. P_f is of the targets' own tokens
and all that follows them, P_r of what is kept: the anchors and the preserve set. Directions that both share stay. It is
one d x d matrix for all projections.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_moments
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import check_matrix
from mace_gov.erase.texts import kept_reader


def cure(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts. See ``EraseMethod``."""
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("preserve"):
            preserve = preserve_term(reader, plan, cache, progress)
        with clock.stage("refine"):
            pairs = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
            matrix = spectral_eraser(pairs.a, pairs.anchors + preserve, plan.expansion or 1.0)
    return Erasure(ErasureDelta(matrix, about=about(plan, "none")), [], [], clock.seconds, [])


def spectral_eraser(forget: torch.Tensor, retain: torch.Tensor, expansion: float) -> torch.Tensor:
    """I - P_f + P_f P_r [d, d] from the second moments of what is erased and of what is kept, [d, d] float64 each.

    Raises NumericalError when it is not finite.
    """
    of_forgotten, of_kept = spectral_projector(forget, expansion), spectral_projector(retain, expansion)
    matrix = torch.eye(len(forget), dtype=forget.dtype) - of_forgotten + of_forgotten @ of_kept
    check_matrix(matrix)
    return matrix


def spectral_projector(moment: torch.Tensor, expansion: float) -> torch.Tensor:
    """P [d, d] from sum e e^T [d, d]: its eigenvalues are the squared singular values of the states. 0 for a zero one.
    """
    energies, vectors = torch.linalg.eigh(moment)
    energies = energies.clamp_min(0)
    if not energies.sum() > 0:
        return torch.zeros_like(moment)
    shares = energies / energies.sum()
    projector: torch.Tensor = (vectors * (expansion * shares / ((expansion - 1) * shares + 1))) @ vectors.T
    return projector
