"""An estimate in words: the same figures wherever one is printed."""

from __future__ import annotations

from mace_gov.core.rates import lower_percent, percent, upper_percent
from mace_gov.documents.rate import Estimate

NOT_MEASURED = "not measured"


def observed(estimate: Estimate | None) -> str:
    """The count itself, like ``0 of 64``."""
    return NOT_MEASURED if estimate is None or estimate.n == 0 else f"{estimate.hits} of {estimate.n}"


def interval(estimate: Estimate | None) -> str:
    """Both bounds, like ``0.0 % to 4.6 %``."""
    if estimate is None or estimate.n == 0:
        return NOT_MEASURED
    return f"{lower_percent(estimate.low)} to {upper_percent(estimate.high)}"


def sentence(estimate: Estimate | None) -> str:
    """Count and what it proves: ``0 of 64 (upper bound 4.6 %)``, ``61 of 64, 95.3 % (88.4 % to 98.7 %)``."""
    if estimate is None or estimate.n == 0:
        return NOT_MEASURED
    count = observed(estimate)
    if estimate.hits == 0:
        return f"{count} (upper bound {upper_percent(estimate.high)})"
    if estimate.hits == estimate.n:
        return f"{count} (lower bound {lower_percent(estimate.low)})"
    return f"{count}, {percent(estimate.value)} ({interval(estimate)})"
