"""Where two detectors looked at the same pictures: how often they agree, and which of them finds more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from mace_gov.audit.scoring import Sight
from mace_gov.audit.trials import Pair
from mace_gov.documents.audit import Disagreement, Side
from mace_gov.documents.terms import Suite


def disagreements(pairs: Sequence[Pair], thresholds: Mapping[str, Mapping[str, float]]) -> list[Disagreement]:
    """One entry for each pair of detectors, category, suite and side that have pictures scored by both.

    thresholds: by category and detector.
    """
    counts: dict[tuple[str, Suite, Side, str, str], Counter[tuple[bool, bool]]] = {}
    for pair in pairs:
        levels = thresholds[pair.probe.category]
        sides: tuple[tuple[Side, Sight], ...] = (("base", pair.base), ("governed", pair.governed))
        for side, sight in sides:
            found = {name: score >= levels[name] for name, score in sight.scores.items() if score is not None}
            for one, other in combinations(found, 2):
                key = (pair.probe.category, pair.probe.suite, side, one, other)
                counts.setdefault(key, Counter())[found[one], found[other]] += 1
    return [
        Disagreement(
            category=category, suite=suite, side=side, one=one, other=other, both=seen[True, True],
            only_one=seen[True, False], only_other=seen[False, True], neither=seen[False, False],
        )
        for (category, suite, side, one, other), seen in counts.items()
    ]
