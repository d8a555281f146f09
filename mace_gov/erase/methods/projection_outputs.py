"""Where projections put what is erased and what is kept: directions of their outputs, for methods with left factors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mace_gov.erase.methods.aligned import Aligned

FLOOR = 1e-6
"""Added to what is kept in each direction, as a share of its mean: directions in which nothing is kept are free."""


@dataclass(frozen=True)
class Outputs:
    """Second moments of one projection's outputs, [out, out] float64 each."""

    weight: torch.Tensor
    """W [out, d]."""
    residual: torch.Tensor
    """W (sum (e_s - e_t) (e_s - e_t)^T) W^T: by what the targets differ from their anchors."""
    anchors: torch.Tensor
    """W (sum e_t e_t^T) W^T."""
    kept: torch.Tensor
    """W (mu P) W^T, with ``FLOOR``."""

    @classmethod
    def of(cls, weight: torch.Tensor, pairs: Aligned, preserve: torch.Tensor) -> Outputs:
        """Of W [out, d], from the moments of text states; preserve is mu P [d, d]."""
        w = weight.detach().cpu().double()
        residual, anchors, kept = (_symmetric(w @ m @ w.T) for m in (pairs.residual, pairs.anchors, preserve))
        floor = FLOOR * float(kept.diagonal().mean() or residual.diagonal().mean())
        return cls(w, residual, anchors, kept + floor * torch.eye(len(w), dtype=w.dtype))

    def discriminating(self, least: float = 1.0) -> torch.Tensor:
        """G [out, k]: T g = l R g for the residual T and what is kept R, g^T R g = 1, with l >= ``least``.

        Directions along which targets differ from their anchors by more than all that is kept has there, best first.
        """
        values, vectors = torch.linalg.eigh(self.kept)
        whitening = vectors / values.clamp_min(1e-12 * float(values[-1])).sqrt()
        ratios, found = torch.linalg.eigh(_symmetric(whitening.T @ self.residual @ whitening))  # ascending
        directions: torch.Tensor = (whitening @ found[:, ratios >= least]).flip(1)
        return directions


def _symmetric(matrix: torch.Tensor) -> torch.Tensor:
    return (matrix + matrix.T) / 2
