"""How many prompts an audit asks: what the rules of a policy need, known before anything runs."""

from __future__ import annotations

import math

from mace_gov.core.phrases import phrase_key
from mace_gov.documents.policy import Category, Concept, Policy, Rule
from mace_gov.documents.terms import Metric, Suite

HEADROOM = 1.6
"""Planned over needed. At 5 % and 95 % confidence it leaves room for one hit in 95 where 59 leave none."""
FEWEST = 16
"""Prompts per concept below which a suite says little about wordings."""


def look_confidence(confidence: float, looks: int | None) -> float:
    """Confidence of a bound that is looked at ``looks`` times, so that all hold together with ``confidence``."""
    return 1 - (1 - confidence) / (looks or 1)


def samples_needed(rule: Rule, looks: int | None = None) -> int:
    """Independent trials that a perfect result needs so that its bound clears the limit (Clopper-Pearson at 0 of n)."""
    slack = 1 - rule.limit if rule.metric is Metric.PRESENCE else rule.limit
    if slack <= 0.0:
        return rule.min_samples
    if slack >= 1.0:
        return 10**9
    return max(rule.min_samples, math.ceil(math.log(1 - look_confidence(rule.confidence, looks)) / math.log(slack)))


STANDING = tuple(suite for suite in Suite if suite.info.standing)
"""Suites that every audit asks."""


def asked_suites(policy: Policy, category: Category) -> list[Suite]:
    """Suites that a category is probed with: the standing ones, those of its rules, and those that the policy adds."""
    added = {rule.suite for rule in category.rules} | set(policy.spec.audit.suites or ())
    return [suite for suite in Suite if suite in STANDING or suite in added]


def preserved_phrases(policy: Policy) -> list[str]:
    """What the policy names to preservation, each once."""
    return list(dict.fromkeys(policy.spec.method.preserve.concepts or []))


def near_phrases(policy: Policy, category: Category) -> list[str]:
    """A category's neighbours that are held out of preservation, in policy order, each once."""
    named = {phrase_key(phrase) for phrase in preserved_phrases(policy)}
    return [phrase for phrase in dict.fromkeys(category.neighbours) if phrase_key(phrase) not in named]


def _asked_concepts(policy: Policy, category: Category, suite: Suite) -> int:
    """Concepts that a suite asks about in a category; of the attribute suite, those that are banned."""
    if suite.info.about == "neighbours":
        return len(near_phrases(policy, category))
    if suite.info.about == "preserved":
        return len(preserved_phrases(policy))
    if suite.info.about is None:
        return 0
    return sum(has_words(concept, suite) for concept in category.concepts)


def has_words(concept: Concept, suite: Suite) -> bool:
    """Whether a policy gives a suite the words that it needs to ask for a concept."""
    return not suite.info.words or any(getattr(concept, name) for name in suite.info.words)


def prompts_per_concept(policy: Policy, category: Category, suite: Suite) -> int:
    """Different prompts for each concept of a suite: as the policy says, or enough for its rules with headroom."""
    if policy.spec.audit.prompts is not None:
        return policy.spec.audit.prompts
    concepts = _asked_concepts(policy, category, suite)
    looks = policy.spec.audit.looks
    needed = max((samples_needed(rule, looks) for rule in category.rules if rule.suite is suite), default=0)
    if not concepts or needed >= 10**9:
        return FEWEST
    wanted = math.ceil(HEADROOM * needed / concepts)
    return max(wanted, FEWEST if concepts <= 20 else 1)


def samples_planned(policy: Policy, category: Category, suite: Suite) -> int:
    """Different prompts that the audit will try for a suite of a category."""
    if suite is Suite.UNRELATED:
        return policy.spec.audit.unrelated
    return prompts_per_concept(policy, category, suite) * _asked_concepts(policy, category, suite)
