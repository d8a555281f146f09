"""Where a LoRA may listen: the direction that a concept's own tokens have and nothing else does.

A random a_i answers to every token a little, so that suppressing a concept's tokens suppresses others too. Here a_i is
the leading generalised eigenvector of (A_own, S), S = mu P + sum of the other tokens' moments + lambda I: it answers as
loudly as can be to the concept's own tokens and as quietly as can be to what must stay and to the tokens around it,
which after the refinement carry the anchor. a_i is held and b_i alone is trained, as in LoRA-FA (arXiv 2308.03303).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.erase.second_moments import target_moments

RIDGE = 0.01
"""lambda, as a multiple of the mean eigenvalue of the rest of S."""


def focal_directions(
    reader: TextReader, plan: ErasurePlan, preserve: torch.Tensor, targets: Sequence[Target]
) -> dict[str, torch.Tensor]:
    """a [rank, d] with rows of unit length for every one of ``targets``, float64; preserve is mu P [d, d].

    The moments around a concept are summed over all of the plan's targets, so the order of targets does not matter.
    A concept's own states are read again for its direction, so that one concept's are in memory.
    """
    around = torch.zeros_like(preserve)
    for target in sorted(plan.targets, key=lambda target: target.id):  # a sum rounds by its order
        around += target_moments(reader, plan, target).around
    system = preserve + around
    system.diagonal().add_(RIDGE * float(system.diagonal().mean()))
    factor = torch.linalg.cholesky(system)  # S = L L^T
    return {target.id: _leading(factor, target_moments(reader, plan, target).own, target.lora.rank)
            for target in targets}


def _leading(factor: torch.Tensor, own: torch.Tensor, rank: int) -> torch.Tensor:
    """The ``rank`` leading generalised eigenvectors of (own^T own, L L^T), as rows of unit length."""
    whitened = torch.linalg.solve_triangular(factor, own.T, upper=False)  # [d, n own]
    vectors = torch.linalg.svd(whitened, full_matrices=False).U[:, :rank]
    rows: torch.Tensor = torch.linalg.solve_triangular(factor.T, vectors, upper=True).T  # [rank, d]
    lengths: torch.Tensor = rows.norm(dim=1, keepdim=True)
    return rows / lengths
