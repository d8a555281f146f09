"""One-sided Clopper-Pearson bounds without a numerical library, for whoever decides on counts that others took."""

from __future__ import annotations

import math

_SMALLEST = 1e-300


def clopper_pearson(hits: float, n: float, confidence: float) -> tuple[float, float]:
    """One-sided lower and upper bounds; hits and n may be fractions of trials. n = 0 gives (0, 1)."""
    if n <= 0:
        return 0.0, 1.0
    hits = min(max(hits, 0.0), n)
    low = _quantile(1 - confidence, hits, n - hits + 1) if hits > 0 else 0.0
    high = _quantile(confidence, hits + 1, n - hits) if hits < n else 1.0
    return low, high


def _quantile(level: float, a: float, b: float) -> float:
    """Where the distribution function of Beta(a, b) reaches ``level``, by halving down to the last bit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _beta(a, b, middle) < level else (low, middle)
    return high


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for 0 < x < 1."""
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta(b, a, 1.0 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x (Abramowitz and Stegun 26.5.8) by Lentz's method."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1.0 / _away(1.0 + term * d), _away(1.0 + term / c)
            value *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return value


def _away(value: float) -> float:
    """``value``, but never so near to zero that it cannot be divided by."""
    return value if abs(value) > _SMALLEST else _SMALLEST
