"""Probabilities over many classes as one score, at a half when a wanted class is the first choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mace_gov.core.errors import DetectorError


def relative_score(probabilities: np.ndarray, wanted: Sequence[int]) -> float:
    """p / (p + q): p of the likeliest wanted class, q of the likeliest other class.

    It is 0.5 or more exactly when a wanted class is the first choice, whatever the number of classes; a threshold on p
    itself would call a picture that two neighbours share absent, which is the unsafe side.

    probabilities: [classes]. Raises DetectorError when they are no probabilities.
    """
    if not np.isfinite(probabilities).all() or probabilities.min() < 0 or probabilities.sum() <= 0:
        raise DetectorError("found probabilities that are negative or not finite, expected 0 to 1")
    others = np.delete(probabilities, list(wanted))
    first, second = float(probabilities[list(wanted)].max()), float(others.max(initial=0.0))
    return first / (first + second) if first + second > 0 else 0.0
