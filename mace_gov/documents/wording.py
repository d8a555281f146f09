"""Rates, intervals and rules in words: the same figures wherever one is printed.

Bounds are rounded outward, so that rounding never flatters.
"""

from __future__ import annotations

import math

from mace_gov.documents.policy import Rule
from mace_gov.documents.rate import Estimate
from mace_gov.documents.terms import Metric

NOT_MEASURED = "not measured"


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


def _bound_in_words(rule: Rule) -> str:
    """Where a rule's bound lies, like ``at most 5 %``."""
    return f"{_side(rule)} {limit_percent(rule.limit)}"


def requirement(rule: Rule) -> str:
    """A rule as the gate and the report say it."""
    return f"{rule.metric} {_bound_in_words(rule)} ({limit_percent(rule.confidence)} confidence)"


def requirement_on_suite(rule: Rule) -> str:
    """A rule as a difference between policies says it."""
    return f"{rule.metric} on {rule.suite} {_bound_in_words(rule)}"


def requirement_as_asked(rule: Rule) -> str:
    """A rule as the explanation of a policy says it, with what its suite asks."""
    return (f"{rule.metric} {rule.suite.info.asked} {_side(rule)} {rule.limit:.1%} with {rule.confidence:.0%} "
            "confidence")


def _side(rule: Rule) -> str:
    return "at most" if rule.metric is Metric.PRESENCE else "at least"
