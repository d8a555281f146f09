"""A rate in percent. Bounds are rounded outward, so that rounding never flatters; every text prints the same figure."""

from __future__ import annotations

import math


def percent(rate: float) -> str:
    """A rate with one decimal, like ``95.3 %``."""
    return f"{100 * rate:.1f} %"


def limit_percent(rate: float) -> str:
    """A threshold as it was written: ``5 %``, ``2.5 %``."""
    return f"{100 * rate:.6g} %"


def lower_percent(bound: float) -> str:
    """A lower bound, rounded down to one decimal."""
    return f"{math.floor(1000 * bound + 1e-6) / 10:.1f} %"


def upper_percent(bound: float) -> str:
    """An upper bound, rounded up to one decimal."""
    return f"{math.ceil(1000 * bound - 1e-6) / 10:.1f} %"
