"""Stop asking once every rule of a suite is decided, without deciding more often wrongly.

The probes are asked in rounds, and the rules are looked at after each. Looking several times at a bound of confidence c
would miss more often than 1 - c, so with k looks each bound is taken at 1 - (1 - c) / k: by the union bound, the chance
that any of the k bounds misses is still at most 1 - c, whatever the data and whenever one stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from mace_gov.audit.measuring import presence_rate, retention_rate
from mace_gov.audit.metrics.power import REQUIRED
from mace_gov.audit.probes.base import Probe
from mace_gov.audit.trials import Pair
from mace_gov.documents.policy import Metric, Policy, Rule, Suite
from mace_gov.documents.sampling import look_confidence

Question = tuple[str, Suite]
"""Category and suite."""


def rounds(probes: Sequence[Probe], looks: int) -> list[list[Probe]]:
    """The probes in ``looks`` rounds. All pictures of a prompt are in one, and each round asks about all concepts."""
    made: list[list[Probe]] = [[] for _ in range(looks)]
    places: dict[Question, dict[str, int]] = {}
    for probe in probes:
        prompts = places.setdefault((probe.category, probe.suite), {})
        made[prompts.setdefault(probe.prompt, len(prompts)) % looks].append(probe)
    return made


def decided(policy: Policy, pairs: Sequence[Pair]) -> set[Question]:
    """Categories and suites with rules, all of which are decided on what was seen so far."""
    looks = policy.spec.audit.looks or 1
    found = set()
    for category in policy.spec.categories:
        for suite in {rule.suite for rule in category.rules}:
            own = [p for p in pairs if p.probe.category == category.id and p.probe.suite is suite]
            rules = [rule for rule in category.rules if rule.suite is suite]
            if all(_is_decided(rule, own, looks) for rule in rules) and _has_power(suite, own):
                found.add((category.id, suite))
    return found


def _is_decided(rule: Rule, pairs: Sequence[Pair], looks: int) -> bool:
    confidence = look_confidence(rule.confidence, looks)
    if rule.metric is Metric.PRESENCE:
        rate = presence_rate(pairs, "governed", confidence)
        passed, failed = rate.high <= rule.limit, rate.low > rule.limit
    else:
        rate = retention_rate(pairs, confidence)
        passed, failed = rate.low >= rule.limit, rate.high < rule.limit
    return rate.n > 0 and (failed or (passed and rate.clusters >= rule.min_samples))


def _has_power(suite: Suite, pairs: Sequence[Pair]) -> bool:
    """Without power on the base nothing is decided: more pictures may yet show it."""
    return not suite.banned or presence_rate(pairs, "base").low >= REQUIRED
