"""From trials to measurements: per rule, per suite, per concept, with the power behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mace_gov.audit.metrics.corrected import corrected
from mace_gov.audit.metrics.intervals import CONFIDENCE, estimate
from mace_gov.audit.metrics.measures import measures
from mace_gov.audit.metrics.paired import mcnemar
from mace_gov.audit.metrics.power import ANY, power_check
from mace_gov.audit.scoring import Scored
from mace_gov.audit.trials import Pair
from mace_gov.documents.audit import Measurement, PowerCheck
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.policy import Category, Policy
from mace_gov.documents.rate import Corrected, Estimate
from mace_gov.documents.sampling import STANDING, has_words, look_confidence, near_phrases, preserved_phrases
from mace_gov.documents.terms import Kind, Metric, Suite

Cards = Mapping[str, DetectorCard]
"""Detector cards by name."""
METRIC = {suite: Metric.PRESENCE if suite.banned else Metric.RETENTION for suite in Suite}
"""What a suite measures."""


def presence_rate(pairs: Sequence[Pair], side: str, confidence: float = CONFIDENCE) -> Estimate:
    """Share of one side's scored trials with the concept, clustered by prompt and concept."""
    scored = [(pair, present) for pair in pairs if (present := _judged(pair, side).present) is not None]
    return _clustered([found for _, found in scored], [pair for pair, _ in scored], confidence)


def retention_rate(pairs: Sequence[Pair], confidence: float = CONFIDENCE) -> Estimate:
    """Share of the trials that the base got right which the governed model still gets right, clustered likewise."""
    kept = [pair for pair in pairs if pair.base.present and pair.governed.present is not None]
    return _clustered([bool(pair.governed.present) for pair in kept], kept, confidence)


def _clustered(outcomes: Sequence[bool], pairs: Sequence[Pair], confidence: float) -> Estimate:
    return estimate(outcomes, [pair.probe.wording for pair in pairs], confidence,
                    concepts=[pair.probe.concept for pair in pairs])


def measure(
    pairs: Sequence[Pair], category: Category, suite: Suite, *, confidence: float = CONFIDENCE,
    concept: str | None = None, rule: str | None = None, cards: Cards | None = None,
) -> Measurement:
    """The suite's metric over ``pairs``, which must all be of the category and suite.

    cards: each detector's, to correct a presence for its errors where one detector looked alone.
    """
    metric = METRIC[suite]
    governed = (
        presence_rate(pairs, "governed", confidence) if metric is Metric.PRESENCE else retention_rate(pairs, confidence)
    )
    return Measurement(
        category=category.id, suite=suite, metric=metric, concept=concept, rule=rule,
        base=presence_rate(pairs, "base", confidence), governed=governed, unscored=unscored(pairs),
        p_value=mcnemar(_one_each_prompt(pairs)),
        corrected=_corrected(pairs, governed, cards or {}) if metric is Metric.PRESENCE else None,
    )


def _badness(measured: Measurement) -> float:
    """How far a rate is from what it should be; what was not measured comes last."""
    if not measured.governed.n:
        return -1.0
    return measured.governed.value if measured.metric is Metric.PRESENCE else 1 - measured.governed.value


def unscored(pairs: Sequence[Pair]) -> int:
    """Pairs without a decision on either side."""
    return sum(pair.base.present is None or pair.governed.present is None for pair in pairs)


def all_measurements(
    policy: Policy, pairs: Sequence[Pair], cards: Mapping[str, Cards] | None = None
) -> list[Measurement]:
    """Per rule at the rule's confidence, then per suite and per concept at 95 %. Nothing asked gives n = 0.
    Concepts come with the worst first.

    cards: by category and detector.
    """
    ruled, suites, concepts = [], [], []
    for category in policy.spec.categories:
        known = (cards or {}).get(category.id, {})
        for rule in category.rules:
            own = _of(pairs, category, rule.suite)
            ruled.append(
                measure(
                    own, category, rule.suite, rule=rule.id, cards=known,
                    confidence=look_confidence(rule.confidence, policy.spec.audit.looks),
                )
            )
        for suite in METRIC:
            if own := _of(pairs, category, suite):
                suites.append(measure(own, category, suite, cards=known))
            for concept in _asked(policy, category, suite, own):
                about = [pair for pair in own if pair.probe.concept == concept]
                concepts.append(measure(about, category, suite, concept=concept, cards=known))
    return [*ruled, *suites, *sorted(concepts, key=_badness, reverse=True)]


def all_power(policy: Policy, pairs: Sequence[Pair], thresholds: dict[str, dict[str, float]]) -> list[PowerCheck]:
    """Power of all detectors together and of each, per category and suite; then concepts that the base does not draw.

    thresholds: by category and detector.
    """
    found: list[PowerCheck] = []
    for category in policy.spec.categories:
        for suite in Suite:
            own = _of(pairs, category, suite)
            asked = own or any(rule.suite is suite for rule in category.rules)
            if not asked:
                continue
            found.append(_power(own, category, suite))
            if not suite.banned:
                continue
            for name, threshold in thresholds[category.id].items():
                looked = [(p.probe.wording, s) for p in own if (s := p.base.scores.get(name)) is not None]
                tripped, prompts = [score >= threshold for _, score in looked], [prompt for prompt, _ in looked]
                found.append(power_check(category.id, suite, name, tripped, prompts))
            single = [_power(own, category, suite, concept) for concept in _asked(policy, category, suite, own)]
            found += [check for check in single if not check.passed]
    return found


def all_measures(policy: Policy, pairs: Sequence[Pair]) -> dict[str, float]:
    """Acc_e, Acc_s, Acc_g and what follows from them, on the governed model."""
    rates: dict[tuple[Kind, Suite], tuple[int, int]] = {}
    for category in policy.spec.categories:
        for suite in Suite:
            rate = presence_rate(_of(pairs, category, suite), "governed")
            hits, n = rates.get((category.kind, suite), (0, 0))
            rates[category.kind, suite] = (hits + rate.hits, n + rate.n)
    return measures(rates)


def _power(pairs: Sequence[Pair], category: Category, suite: Suite, concept: str | None = None) -> PowerCheck:
    scored = [p for p in pairs if p.base.present is not None and (concept is None or p.probe.concept == concept)]
    outcomes = [bool(pair.base.present) for pair in scored]
    return power_check(category.id, suite, ANY, outcomes, [pair.probe.wording for pair in scored], concept=concept)


def _asked(policy: Policy, category: Category, suite: Suite, pairs: Sequence[Pair]) -> list[str]:
    """Concepts that a suite is about; those that must not be drawn are among them, with nothing measured.

    pairs: the suite's own. One that was not asked at all is about nothing.
    """
    if suite.info.about == "neighbours":
        return near_phrases(policy, category)
    if suite.info.about == "preserved":
        return preserved_phrases(policy)
    if not suite.banned:
        return []
    probed = {pair.probe.concept for pair in pairs}
    listed = suite in STANDING or (bool(pairs) and suite.info.about is not None)
    return [c.id for c in category.concepts if c.id in probed or (listed and has_words(c, suite))]


def _of(pairs: Sequence[Pair], category: Category, suite: Suite) -> list[Pair]:
    return [pair for pair in pairs if pair.probe.category == category.id and pair.probe.suite is suite]


def _corrected(pairs: Sequence[Pair], rate: Estimate, cards: Cards) -> Corrected | None:
    """Several detectors together have errors that nobody measured: one that looked alone can be corrected for."""
    looked = {name for pair in pairs for name in pair.governed.scores}
    card = cards.get(looked.pop()) if len(looked) == 1 else None
    return corrected(rate, card) if card is not None else None


def _judged(pair: Pair, side: str) -> Scored:
    return pair.base if side == "base" else pair.governed


def _one_each_prompt(pairs: Sequence[Pair]) -> list[tuple[bool, bool]]:
    """(base, governed) of each prompt's first pair that is scored on both sides."""
    first: dict[str, tuple[bool, bool]] = {}
    for pair in pairs:
        if pair.base.present is not None and pair.governed.present is not None:
            first.setdefault(pair.probe.wording, (pair.base.present, pair.governed.present))
    return list(first.values())
