"""Rates with one-sided Clopper-Pearson bounds, clustered two ways: by prompt and by concept.

Neither the pictures of one prompt nor the prompts about one concept are independent, so n is reduced by a design effect
before the bounds are taken (Korn and Graubard, Survey Methodology 24 (1998) 193-201): n_eff = n / deff, hits alike.
Prompts are a sample of all wordings: few of them are corrected for. Concepts are all that the policy names, so that
only the agreement within them counts that is seen.
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


def effective_size(outcomes: np.ndarray, prompts: np.ndarray, concepts: np.ndarray | None = None) -> float:
    """Independent trials that clustered ones are worth, at most n.

    outcomes: 0 or 1, [n]; prompts, concepts: index of each trial's prompt and of its concept, [n].
    """
    n, rate = len(outcomes), float(outcomes.mean())
    effective = _worth_of_prompts(outcomes, prompts)
    if concepts is None or not 0 < rate < 1:
        return effective
    effect = two_way_variance(outcomes, prompts, concepts) / (rate * (1 - rate) / (n - 1))
    return min(effective, n / max(1.0, round(effect, 9)))  # without agreement it is 1 but for rounding


def two_way_variance(outcomes: np.ndarray, prompts: np.ndarray, concepts: np.ndarray) -> float:
    """Variance of the rate, V_prompt + V_concept - V_both, and no less than either (Cameron, Gelbach and Miller,
    J. Bus. Econ. Stat. 29 (2011) 238-249). Where each prompt is about one concept, that is V_concept.

    Arguments as in ``effective_size``.
    """
    both = prompts * (int(concepts.max()) + 1) + concepts
    by_prompt, by_concept, by_both = (_variance(outcomes, each) for each in (prompts, concepts, both))
    return max(by_prompt, by_concept, by_prompt + by_concept - by_both)


def _variance(outcomes: np.ndarray, clusters: np.ndarray) -> float:
    """Linearised variance of the rate between clusters; 0 for a single cluster, which shows none."""
    _, index = np.unique(clusters, return_inverse=True)
    count, n = int(index.max()) + 1, len(outcomes)
    if count == 1:
        return 0.0
    residuals = np.bincount(index, weights=outcomes - outcomes.mean())  # [clusters]
    return float(count / (count - 1) * (residuals**2).sum() / n**2)


def _worth_of_prompts(outcomes: np.ndarray, clusters: np.ndarray) -> float:
    n, count = len(outcomes), int(clusters.max()) + 1
    if count == n:
        return float(n)
    sizes = np.bincount(clusters, minlength=count)  # [clusters]
    hits = np.bincount(clusters, weights=outcomes, minlength=count)  # [clusters]
    if (hits > 0).sum() < FEWEST_MIXED or (hits < sizes).sum() < FEWEST_MIXED:
        return float(count)
    rate = outcomes.mean()
    effect = max(1.0, _variance(outcomes, clusters) / (rate * (1 - rate) / n))
    few = (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, count - 1)) ** 2
    return float(min(n, n / effect * few))


def estimate(
    outcomes: Sequence[bool], prompts: Sequence[Hashable], confidence: float = CONFIDENCE, *,
    concepts: Sequence[Hashable] | None = None,
) -> Estimate:
    """The rate of ``outcomes`` with its bounds. No trials give 0 in (0, 1).

    prompts, concepts: names of each trial's prompt and of what it asks about; without concepts by prompt alone.
    """
    n = len(outcomes)
    if n == 0:
        return Estimate(value=0, n=0, hits=0, clusters=0, effective_n=0, low=0, high=1, confidence=confidence)
    values = np.asarray(outcomes, dtype=float)
    index = _numbered(prompts)
    effective = effective_size(values, index, None if concepts is None else _numbered(concepts))
    low, high = bounds(values.mean() * effective, effective, confidence)
    return Estimate(
        value=float(values.mean()), n=n, hits=int(values.sum()), clusters=int(index.max()) + 1,
        effective_n=effective, low=low, high=high, confidence=confidence,
    )


def _numbered(names: Sequence[Hashable]) -> np.ndarray:
    """Each name's number, in the order of their first use, [n]."""
    order: dict[Hashable, int] = {}
    return np.asarray([order.setdefault(name, len(order)) for name in names])
