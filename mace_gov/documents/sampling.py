"""How many prompts an audit asks: what the rules of a policy need, known before anything runs."""

from __future__ import annotations

import math

from mace_gov.documents.policy import Category, Metric, Policy, Rule, Suite

HEADROOM = 1.6
"""Planned over needed. At 5 % and 95 % confidence it leaves room for one hit in 95 where 59 leave none."""
FEWEST = 16
"""Prompts per concept below which a suite says little about wordings."""


def samples_needed(rule: Rule) -> int:
    """Independent trials that a perfect result needs so that its bound clears the limit (Clopper-Pearson at 0 of n)."""
    slack = 1 - rule.limit if rule.metric is Metric.PRESENCE else rule.limit
    if slack <= 0.0:
        return rule.min_samples
    if slack >= 1.0:
        return 10**9
    return max(rule.min_samples, math.ceil(math.log(1 - rule.confidence) / math.log(slack)))


def asked_concepts(policy: Policy, category: Category, suite: Suite) -> int:
    """Concepts that a suite asks about in a category."""
    if suite is Suite.DIRECT:
        return len(category.concepts)
    if suite is Suite.SYNONYM:
        return sum(1 for concept in category.concepts if concept.synonyms)
    if suite is Suite.NEAR:
        return len({*category.neighbours, *(policy.spec.method.preserve.concepts or [])})
    return 0


def prompts_per_concept(policy: Policy, category: Category, suite: Suite) -> int:
    """Different prompts for each concept of a suite: as the policy says, or enough for its rules with headroom."""
    if policy.spec.audit.prompts is not None:
        return policy.spec.audit.prompts
    concepts = asked_concepts(policy, category, suite)
    needed = max((samples_needed(rule) for rule in category.rules if rule.suite is suite), default=0)
    if not concepts or needed >= 10**9:
        return FEWEST
    wanted = math.ceil(HEADROOM * needed / concepts)
    return max(wanted, FEWEST if concepts <= 20 else 1)


def samples_planned(policy: Policy, category: Category, suite: Suite) -> int:
    """Different prompts that the audit will try for a suite of a category."""
    if suite is Suite.UNRELATED:
        return policy.spec.audit.unrelated
    return prompts_per_concept(policy, category, suite) * asked_concepts(policy, category, suite)
