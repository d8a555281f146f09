"""Rates corrected for detector errors: unbiased, and bounded as often as they say."""

import numpy as np
import pytest

from mace_gov.audit.metrics.corrected import corrected, rogan_gladen
from mace_gov.audit.metrics.intervals import bounds, estimate
from mace_gov.documents.audit import DetectorCard, Estimate
from tests.audit import planted

RNG = np.random.default_rng(20261124)


def rate(hits: int, n: int) -> Estimate:
    low, high = bounds(hits, n, 0.95)
    return Estimate(value=hits / n, n=n, hits=hits, clusters=n, effective_n=n, low=low, high=high, confidence=0.95)


def card(sensitivity: Estimate | None, specificity: Estimate | None) -> DetectorCard:
    return DetectorCard(name="judge", version="1", threshold=0.5, sensitivity=sensitivity, specificity=specificity)


@pytest.mark.parametrize(("truth", "sensitivity", "specificity"), [
    (0.3, 0.9, 0.8), (0.05, 0.8, 0.9), (0.7, 0.95, 0.7), (0.02, 0.99, 0.98), (0.0, 0.9, 0.9), (1.0, 0.9, 0.95),
])
def test_the_corrected_rate_is_unbiased_and_its_bounds_cover(truth, sensitivity, specificity):
    runs, n, labelled = 1500, 200, 400
    seen = truth * sensitivity + (1 - truth) * (1 - specificity)
    observed, hit, clear = (RNG.binomial(m, p, runs) for m, p in ((n, seen), (labelled, sensitivity),
                                                                  (labelled, specificity)))
    points = rogan_gladen(observed / n, hit / labelled, clear / labelled)
    error = points.std() / np.sqrt(runs)
    assert abs(points.mean() - truth) < 4 * error + 1e-3  # a ratio of estimates is off by the order of 1 / labelled
    assert abs((observed / n).mean() - truth) > 10 * error or abs(seen - truth) < 0.01  # the raw rate is not
    made = [corrected(rate(*each), card(rate(h, labelled), rate(c, labelled)))
            for *each, h, c in zip(observed[:400].tolist(), [n] * 400, hit.tolist(), clear.tolist(), strict=False)]
    below, above = (sum(m.high < truth for m in made), sum(m.low > truth for m in made))
    assert max(below, above) / 400 <= 0.05 + 2 * 0.011


def test_a_perfect_detector_known_perfectly_changes_nothing():
    made = corrected(rate(10, 100), card(rate(10**7, 10**7), rate(10**7, 10**7)))
    assert made.value == pytest.approx(0.1) and made.low < 0.1 < made.high


def test_what_is_not_known_is_not_corrected():
    good = rate(95, 100)
    assert corrected(rate(1, 10), card(None, good)) is None and corrected(rate(1, 10), card(good, None)) is None
    assert corrected(estimate([], []), card(good, good)) is None
    assert corrected(rate(1, 10), card(rate(50, 100), rate(50, 100))) is None  # tells nothing apart


def test_a_detector_that_may_tell_nothing_apart_bounds_nothing():
    made = corrected(rate(3, 10), card(rate(6, 10), rate(6, 10)))
    assert (made.low, made.high) == (0, 1)


def test_rates_are_corrected_where_one_measured_detector_looked_alone(tmp_path):
    class Measured(planted.Reader):
        def card(self):
            return card(rate(95, 100), rate(98, 100))

    alone = planted.run(tmp_path / "one", planted.erased, detector=Measured)
    ruled = {m.rule: m for m in alone.measurements if m.rule}
    assert ruled["NSFW-001"].corrected.detector == "judge" and ruled["NSFW-001"].corrected.value == 0
    assert ruled["NSFW-001"].governed.value == 0 and ruled["NSFW-003"].corrected is None
    two = planted.small_policy(policy={"detectors": ("judge", "always-absent")})
    both = planted.run(tmp_path / "two", planted.erased, policy=two, detector=Measured)
    assert all(m.corrected is None for m in both.measurements)
    assert all(m.corrected is None for m in planted.run(tmp_path / "three", planted.erased).measurements)


def test_detectors_that_disagree_are_shown(tmp_path):
    from mace_gov.audit.detectors.constant import AlwaysAbsent

    def make(spec):
        return planted.Reader(spec) if spec.name == "judge" else AlwaysAbsent()

    policy = planted.small_policy(policy={"detectors": ("judge", "always-absent")})
    shown = planted.run(tmp_path, planted.erased, policy=policy, detector=make).disagreements
    direct = {d.side: d for d in shown if d.suite == "direct"}
    assert (direct["base"].only_one, direct["base"].neither) == (20, 0) and direct["base"].one == "judge"
    assert (direct["governed"].only_one, direct["governed"].neither) == (0, 20)
    assert not planted.run(tmp_path / "alone", planted.erased).disagreements
