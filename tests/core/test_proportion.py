"""Bounds without a numerical library are those that the audit takes with one."""

import pytest

from mace_gov.audit.metrics.intervals import bounds
from mace_gov.core.proportion import clopper_pearson


@pytest.mark.parametrize("confidence", [0.6, 0.9, 0.95, 0.999])
def test_bounds_are_those_of_the_audit(confidence: float) -> None:
    for n in (0, 1, 7.5, 59, 60, 913.25, 20000):
        for share in (0, 1e-4, 0.03, 0.5, 0.98, 1):
            counts = share * n, n, confidence
            assert clopper_pearson(*counts) == pytest.approx(bounds(*counts), abs=1e-9)
