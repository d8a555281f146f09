"""A rate of presence without the detector's own errors (Rogan and Gladen, Am. J. Epidemiol. 107 (1978) 71-76).

    corrected = (observed + specificity - 1) / (sensitivity + specificity - 1)

The three rates are measured on different pictures, and each has its own uncertainty. The correction grows with the
observed rate and with specificity and falls with sensitivity, so three one-sided bounds that hold together with the
asked confidence (Bonferroni: each misses with a third of the risk) bound it. That is wider than Lang and Reiczigel's
interval (Prev. Vet. Med. 113 (2014) 13-22) and, unlike it, never covers less than it says.
"""

from __future__ import annotations

from mace_gov.core.proportion import clopper_pearson
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.rate import Corrected, Estimate


def rogan_gladen(observed: float, sensitivity: float, specificity: float) -> float:
    """The corrected rate, not held within 0..1. Raises ZeroDivisionError for a detector that tells nothing apart."""
    return (observed + specificity - 1) / (sensitivity + specificity - 1)


def corrected(observed: Estimate, card: DetectorCard) -> Corrected | None:
    """``observed`` corrected for the errors on ``card``; None where nothing was observed or the errors are unknown.

    A detector whose bounds allow that it tells nothing apart bounds nothing: 0 to 1.
    """
    if card.sensitivity is None or card.specificity is None or observed.n == 0:
        return None
    sensitivity, specificity = card.sensitivity.value, card.specificity.value
    if sensitivity + specificity <= 1:
        return None
    each = 1 - (1 - observed.confidence) / 3
    rate = clopper_pearson(observed.value * observed.effective_n, observed.effective_n, each)
    sure = [clopper_pearson(e.value * e.effective_n, e.effective_n, each) for e in (card.sensitivity, card.specificity)]
    low, high = 0.0, 1.0
    if sure[0][0] + sure[1][0] > 1:
        low = _held(rogan_gladen(rate[0], sure[0][1], sure[1][0]))
        high = _held(rogan_gladen(rate[1], sure[0][0], sure[1][1]))
    value = _held(rogan_gladen(observed.value, sensitivity, specificity))
    return Corrected(value=value, low=min(low, value), high=max(high, value), confidence=observed.confidence,
                     detector=card.name)


def _held(rate: float) -> float:
    return min(max(rate, 0.0), 1.0)
