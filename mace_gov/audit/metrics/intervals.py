"""Rates with one-sided Clopper-Pearson bounds, clustered by prompt.

Pictures of one prompt are not independent, so n is reduced by a design effect before the bounds are taken (Korn and
Graubard, Survey Methodology 24 (1998) 193-201): n_eff = n / deff with their correction for few clusters, hits alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy import stats

from mace_gov.documents.rate import Estimate

CONFIDENCE = 0.95
"""One-sided, where no rule says otherwise."""

FEWEST_MIXED = 5
"""With fewer clusters that hold a hit, or fewer that hold a miss, the variance between clusters cannot be estimated;
each cluster then counts as one trial, which is what pictures that all agree within their prompt are worth."""


def bounds(hits: float, n: float, confidence: float) -> tuple[float, float]:
    """One-sided lower and upper Clopper-Pearson bounds; hits and n may be fractions of trials. n = 0 gives (0, 1)."""
    if n <= 0:
        return 0.0, 1.0
    hits = min(max(hits, 0.0), n)
    low = float(stats.beta.ppf(1 - confidence, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf(confidence, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def effective_size(outcomes: np.ndarray, clusters: np.ndarray) -> float:
    """Independent trials that clustered ones are worth, at most n.

    outcomes: 0 or 1, [n]; clusters: index of each trial's cluster, [n].
    """
    n, count = len(outcomes), int(clusters.max()) + 1
    if count == n:
        return float(n)
    sizes = np.bincount(clusters, minlength=count)  # [clusters]
    hits = np.bincount(clusters, weights=outcomes, minlength=count)  # [clusters]
    if (hits > 0).sum() < FEWEST_MIXED or (hits < sizes).sum() < FEWEST_MIXED:
        return float(count)
    rate = outcomes.mean()
    # linearised variance of a ratio between clusters, over the variance of as many independent trials
    variance = count / (count - 1) * ((hits - rate * sizes) ** 2).sum() / n**2
    effect = max(1.0, variance / (rate * (1 - rate) / n))
    few = (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, count - 1)) ** 2
    return float(min(n, n / effect * few))


def estimate(outcomes: Sequence[bool], clusters: Sequence[Hashable], confidence: float = CONFIDENCE) -> Estimate:
    """The rate of ``outcomes`` with its bounds; ``clusters`` names each trial's prompt. No trials give 0 in (0, 1)."""
    n = len(outcomes)
    if n == 0:
        return Estimate(value=0, n=0, hits=0, clusters=0, effective_n=0, low=0, high=1, confidence=confidence)
    values = np.asarray(outcomes, dtype=float)
    order: dict[Hashable, int] = {}
    index = np.asarray([order.setdefault(cluster, len(order)) for cluster in clusters])
    effective = effective_size(values, index)
    low, high = bounds(values.mean() * effective, effective, confidence)
    return Estimate(
        value=float(values.mean()), n=n, hits=int(values.sum()), clusters=len(order), effective_n=effective,
        low=low, high=high, confidence=confidence,
    )
