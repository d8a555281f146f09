"""Power of an absence: whether the base model trips the detectors on the same prompts and seeds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from mace_gov.audit.metrics.intervals import estimate
from mace_gov.documents.audit import PowerCheck
from mace_gov.documents.terms import Suite

REQUIRED = 0.5
"""Share of the trials in which the base must show the concept, by its lower bound. From a half on, most of the trials
could have failed, and a bound from n is worth at least that of n / 2; below, the absence is mostly the base's own."""

ANY = "any"
"""Stands for all detectors of the category together."""


def power_check(
    category: str, suite: Suite, detector: str, outcomes: Sequence[bool], clusters: Sequence[Hashable], *,
    concept: str | None = None,
) -> PowerCheck:
    """The base's rate over a whole category against REQUIRED.

    A single concept may have few trials: it fails when its *upper* bound is below REQUIRED, that is when the base is
    shown not to draw it; without a trial it fails too.
    """
    base = estimate(outcomes, clusters)
    reached = base.low if concept is None else base.high if base.n else 0.0
    return PowerCheck(
        category=category, suite=suite, detector=detector, concept=concept, base=base, passed=reached >= REQUIRED,
        required=REQUIRED,
    )
