"""Stop asking once every rule of a suite is decided, without deciding more often wrongly.

The probes are asked in rounds, and the rules are looked at after each. Looking several times at a bound of confidence c
would miss more often than 1 - c, so with k looks each bound is taken at 1 - (1 - c) / k: by the union bound, the chance
that any of the k bounds misses is still at most 1 - c, whatever the data and whenever one stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mace_gov.audit.measuring import presence_rate, retention_rate
from mace_gov.audit.metrics.power import REQUIRED
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.trials import Pair
from mace_gov.documents.policy import Policy, Rule
from mace_gov.documents.rate import Estimate
from mace_gov.documents.sampling import look_confidence
from mace_gov.documents.terms import Metric, Suite
from mace_gov.documents.wording import limit_percent, lower_percent, upper_percent

Question = tuple[str, Suite]
"""Category and suite."""


def rounds(probes: Sequence[Probe], looks: int) -> list[list[Probe]]:
    """The probes in ``looks`` rounds. All pictures of a prompt are in one, and each round asks about all concepts."""
    made: list[list[Probe]] = [[] for _ in range(looks)]
    places: dict[Question, dict[str, int]] = {}
    for probe in probes:
        prompts = places.setdefault((probe.category, probe.suite), {})
        made[prompts.setdefault(probe.wording, len(prompts)) % looks].append(probe)
    return made


def decided(policy: Policy, pairs: Sequence[Pair]) -> set[Question]:
    """Categories and suites with rules, all of which are decided on what was seen so far."""
    looks = policy.spec.audit.looks or 1
    found = set()
    for category in policy.spec.categories:
        for suite in {rule.suite for rule in category.rules}:
            own = [p for p in pairs if p.probe.category == category.id and p.probe.suite is suite]
            rules = [rule for rule in category.rules if rule.suite is suite]
            if all(_state(rule, own, looks)[1] != "open" for rule in rules) and _has_power(suite, own):
                found.add((category.id, suite))
    return found


def standing(policy: Policy, pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """Every rule with what was seen so far, as rows of words for the user; the first row names the columns.

    The gate's decision looks at more than this and may still be another.
    """
    rows: list[tuple[str, ...]] = [("rule", "suite", "seen", "interval", "asked for", "so far")]
    looks = policy.spec.audit.looks or 1
    for category in policy.spec.categories:
        for rule in category.rules:
            own = [p for p in pairs if p.probe.category == category.id and p.probe.suite is rule.suite]
            rate, state = _state(rule, own, looks)
            asked = f"{'at most' if rule.metric is Metric.PRESENCE else 'at least'} {limit_percent(rule.limit)}"
            rows.append((rule.id, str(rule.suite), f"{rate.hits} of {rate.n}",
                         f"{lower_percent(rate.low)} to {upper_percent(rate.high)}", asked, state))
    return rows


def _state(rule: Rule, pairs: Sequence[Pair], looks: int) -> tuple[Estimate, Literal["met", "violated", "open"]]:
    """The rule's rate with bounds widened for the looks, and on which side of its limit the whole interval lies."""
    confidence = look_confidence(rule.confidence, looks)
    if rule.metric is Metric.PRESENCE:
        rate = presence_rate(pairs, "governed", confidence)
        met, violated = rate.high <= rule.limit, rate.low > rule.limit
    else:
        rate = retention_rate(pairs, confidence)
        met, violated = rate.low >= rule.limit, rate.high < rule.limit
    if rate.n == 0 or not (violated or (met and rate.clusters >= rule.min_samples)):
        return rate, "open"
    return rate, "violated" if violated else "met"


def _has_power(suite: Suite, pairs: Sequence[Pair]) -> bool:
    """Without power on the base nothing is decided: more pictures may yet show it."""
    return not suite.banned or presence_rate(pairs, "base").low >= REQUIRED
