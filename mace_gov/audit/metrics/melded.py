"""Bounds of H from those of its accuracies: melded confidence intervals.

Each accuracy is drawn from the distribution whose quantiles are its Clopper-Pearson bounds: the lower ones for the
lower bound of H, the upper ones for the upper, since H rises with each of its terms (Fay, Proschan and Brittain,
Biometrics 71 (2015) 146-156). Percentiles of a bootstrap or a posterior lie below the truth too often.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

DRAWS = 20_000
"""Draws from each accuracy's distribution."""


def harmonic_bounds(terms: Sequence[tuple[float, float]], confidence: float) -> tuple[float, float]:
    """One-sided lower and upper bounds of the harmonic mean of independent rates.

    terms: (hits, n) of each rate, fractions of trials allowed. The draws are the same at every call.
    """
    rng = np.random.default_rng(0)
    low = stats.hmean(np.stack([_beta(rng, hits, n - hits + 1) for hits, n in terms]))
    high = stats.hmean(np.stack([_beta(rng, hits + 1, n - hits) for hits, n in terms]))
    return float(np.quantile(low, 1 - confidence)), float(np.quantile(high, confidence))


def _beta(rng: np.random.Generator, first: float, second: float) -> np.ndarray:
    """Draws [DRAWS]; a shape of 0 leaves all of the weight on one end."""
    if first <= 0 or second <= 0:
        return np.full(DRAWS, 0.0 if first <= 0 else 1.0)
    return rng.beta(first, second, DRAWS)
