"""Symmetric linear systems: float64, one Cholesky factorisation, refused when the answer could not be trusted."""

from __future__ import annotations

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.documents.erasure import Stage, SystemRecord
from mace_gov.documents.plan import ClosedForm

CONDITION_LIMIT = 1e11
"""Largest condition number accepted: float64 leaves five digits there, and text states have no more to give."""

CONDITION_WARNING = 1e9
"""From here on the solution is worth a word."""


def absolute_ridge(settings: ClosedForm, matrix: torch.Tensor) -> float:
    """lambda: as given, or relative to the mean eigenvalue of ``matrix``, which is without ridge and preserve term."""
    if settings.ridge is not None:
        return settings.ridge
    return (settings.relative_ridge or 0.0) * float(matrix.diagonal().mean())


class Factored:
    """S = matrix + lambda I + mu P, factored once. Raises NumericalError when S is not finite or ill-conditioned."""

    def __init__(self, stage: Stage, matrix: torch.Tensor, settings: ClosedForm, preserve: torch.Tensor) -> None:
        self.ridge = absolute_ridge(settings, matrix)
        system = matrix + preserve
        system.diagonal().add_(self.ridge)
        if not torch.isfinite(system).all():
            raise NumericalError(f"{stage}: the matrix to be factored is not finite, expected finite text states")
        system = (system + system.T) / 2
        eigenvalues = torch.linalg.eigvalsh(system)  # ascending
        low, high = float(eigenvalues[0]), float(eigenvalues[-1])
        self.condition = high / low if low > 0 else float("inf")
        if self.condition > CONDITION_LIMIT:
            raise NumericalError(
                f"{stage}: condition number {self.condition:.3g} with lambda {self.ridge:.3g}, "
                f"expected at most {CONDITION_LIMIT:.0e}",
                hint="Raise {0}.ridge or {0}.relativeRidge, or preserve.scale.".format(
                    "fuse" if stage == "fuse" else "refine"),
            )
        self.stage = stage
        self._factor = torch.linalg.cholesky(system)

    def divide(self, right: torch.Tensor) -> torch.Tensor:
        """S^-1 right, for right [d, k]."""
        return torch.cholesky_solve(right, self._factor)

    def divide_from_right(self, left: torch.Tensor) -> torch.Tensor:
        """left S^-1, for left [k, d]; S is symmetric."""
        return self.divide(left.T).T

    @property
    def record(self) -> SystemRecord:
        """What was solved, for the erasure's record."""
        return SystemRecord(stage=self.stage, ridge=self.ridge, condition=self.condition)
