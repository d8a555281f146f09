"""Intervals of H and of retention, by simulation: they hold the truth as often as they say, and naive ones do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from benchmarks.incremental import harmonic_with_interval
from mace_gov.audit.measuring import measure, retention_rate
from mace_gov.audit.metrics import melded
from mace_gov.audit.metrics.intervals import bounds, estimate
from mace_gov.audit.metrics.measures import harmonic
from mace_gov.audit.metrics.paired import mcnemar
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.scoring import Scored
from mace_gov.audit.side_by_side import harmonic_interval
from mace_gov.audit.trials import Pair
from mace_gov.documents.audit import Estimate
from mace_gov.documents.policy import Suite
from tests import factories

RUNS = 400
TERMS = [(0.98, 0.9, 0.9), (0.995, 0.97, 0.99), (0.5, 0.5, 0.5), (0.05, 0.95, 0.1), (1, 1, 1), (0.99, 0.995),
         (0.7, 0.95)]
"""1 - Acc_e, Acc_s and, where synonyms are asked, 1 - Acc_g."""


def most(level: float) -> float:
    """Misses that a nominal ``level`` allows in RUNS simulations: three standard errors, as dozens are looked at."""
    return level + 3 * np.sqrt(level * (1 - level) / RUNS)


def misses(found: list[tuple[float, float]], truth: float) -> tuple[float, float]:
    """Shares of intervals that lie wholly above and wholly below the truth."""
    low, high = np.array(found).T
    return float(np.mean(low > truth + 1e-12)), float(np.mean(high < truth - 1e-12))


def independent(hits: int, n: int) -> Estimate:
    low, high = bounds(hits, n, 0.95)
    return Estimate(value=hits / n, n=n, hits=hits, clusters=n, effective_n=n, low=low, high=high, confidence=0.95)


def audits(kept: list[tuple[int, int]]) -> tuple[float, float]:
    (direct, n), (unrelated, m), *synonym = kept
    made = harmonic_interval(independent(n - direct, n), independent(unrelated, m),
                             independent(synonym[0][1] - synonym[0][0], synonym[0][1]) if synonym else None)
    return made.low, made.high


def ablations(kept: list[tuple[int, int]]) -> tuple[float, float]:
    rates = {name: (hits if name == "Acc_s" else n - hits, n)
             for name, (hits, n) in zip(("Acc_e", "Acc_s", "Acc_g"), kept, strict=False)}
    return harmonic_with_interval(rates)[1:]


def bootstrap(kept: list[tuple[int, int]]) -> tuple[float, float]:
    """Naive: percentiles of H under resampled trials."""
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.binomial(n, hits / n, 2000) / n for hits, n in kept])
    return tuple(np.quantile(stats.hmean(drawn), [0.05, 0.95]))


def posterior(kept: list[tuple[int, int]]) -> tuple[float, float]:
    """Naive: percentiles of H under independent Jeffreys posteriors."""
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.beta(hits + 0.5, n - hits + 0.5, 2000) for hits, n in kept])
    return tuple(np.quantile(stats.hmean(drawn), [0.05, 0.95]))


def simulated(interval: Callable, terms: tuple[float, ...], n: int) -> tuple[float, float]:
    rng = np.random.default_rng(20261126)
    known: dict[tuple[int, ...], tuple[float, float]] = {}
    rows = [tuple(row) for row in rng.binomial(n, terms, (RUNS, len(terms))).tolist()]
    for row in rows:
        if row not in known:
            known[row] = interval([(hits, n) for hits in row])
    return misses([known[row] for row in rows], harmonic(terms))


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(melded, "DRAWS", 2000)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("n", [40, 120])
@pytest.mark.parametrize("terms", TERMS)
def test_the_interval_of_h_covers_at_least_as_often_as_it_says(terms, n, few_draws):
    assert max(simulated(audits, terms, n)) <= most(0.05)
    assert max(simulated(ablations, terms, n)) <= most(0.025)


@pytest.mark.parametrize("naive", [bootstrap, posterior])
def test_naive_intervals_of_h_do_not_pass_that_check(naive):
    worst = [max(simulated(naive, terms, n)) for terms in TERMS for n in (40, 120)]
    assert max(worst) > most(0.05)


def test_the_interval_of_h_covers_where_a_prompt_s_pictures_agree(few_draws):
    rng, prompts, seeds = np.random.default_rng(20261127), 40, 4
    clusters, terms = np.repeat(np.arange(prompts), seeds).tolist(), (0.1, 0.85, 0.2)  # Acc_e, Acc_s, Acc_g
    found, careless = [], []
    for _ in range(RUNS):
        hits = [rng.random((prompts, seeds)) < rng.beta(rate / 2, (1 - rate) / 2, (prompts, 1)) for rate in terms]
        made = harmonic_interval(*(estimate(each.ravel().tolist(), clusters) for each in hits))
        found.append((made.low, made.high))
        kept = [int(each.sum() if i == 1 else each.size - each.sum()) for i, each in enumerate(hits)]
        careless.append(audits([(count, prompts * seeds) for count in kept]))
    truth = harmonic((0.9, 0.85, 0.8))
    assert max(misses(found, truth)) <= most(0.05)
    assert max(misses(careless, truth)) > most(0.05)  # as if every picture stood for itself


def pairs_of(base: np.ndarray, governed: np.ndarray) -> list[Pair]:
    """Pairs from outcomes [prompts, seeds]."""
    return [
        Pair(Probe("explicit.nudity", "nudity", Suite.UNRELATED, f"prompt {i}", j, ("a cat",)),
             Scored({}, bool(base[i, j])), Scored({}, bool(governed[i, j])))
        for i, j in np.ndindex(base.shape)
    ]


def two_models(rng, prompts: int, seeds: int, kinds: list[tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Base and governed outcomes [prompts, seeds].

    kinds, equally frequent among prompts: how often the base is right, and the governed model where the base is, and is
    not.
    """
    right, kept, won = np.array(kinds)[rng.integers(0, len(kinds), prompts)].T[:, :, None]  # each [prompts, 1]
    base = rng.random((prompts, seeds)) < right
    return base, rng.random((prompts, seeds)) < np.where(base, kept, won)


@pytest.mark.parametrize(("kinds", "prompts", "seeds"), [
    ([(0.9, 0.9, 0.2)], 80, 1), ([(0.6, 0.98, 0.0)], 60, 1), ([(0.95, 0.98, 0.5), (0.4, 0.7, 0.1)], 50, 3),
    ([(0.9, 1.0, 0.0), (0.9, 1.0, 0.0), (0.8, 0.05, 0.0)], 45, 4),
])
def test_the_interval_of_retention_covers_at_least_as_often_as_it_says(kinds, prompts, seeds):
    rng = np.random.default_rng(20261128)
    right, kept, _ = np.array(kinds).T
    found, careless = [], []
    for _ in range(RUNS):
        made = retention_rate(pairs_of(*two_models(rng, prompts, seeds, kinds)))
        found.append((made.low, made.high))
        careless.append(bounds(made.hits, made.n, 0.95))
    truth = float((right * kept).sum() / right.sum())
    assert max(misses(found, truth)) <= most(0.05)
    if kept.std() > 0.4:  # prompts are lost whole
        assert max(misses(careless, truth)) > most(0.05)  # as if every picture stood for itself


def test_retention_is_of_what_the_base_got_right_and_not_of_all_pictures():
    rng, found = np.random.default_rng(20261129), []
    for _ in range(RUNS):
        _, governed = two_models(rng, 80, 1, [(0.7, 0.9, 0.3)])
        made = estimate(governed.ravel().tolist(), range(80))
        found.append((made.low, made.high))
    assert max(misses(found, 0.9)) > most(0.05)


def test_mcnemar_cries_wolf_no_more_often_than_it_says():
    """Equally many won and lost, whole prompts at a time, so that seeds of a prompt are no trials of their own."""
    rng, category = np.random.default_rng(20261130), factories.policy().spec.categories[0]
    same, worse = [(1.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)], [(1.0, 1.0, 0.0), (1.0, 0.0, 0.0)]
    careful, careless, power = [], [], []
    for _ in range(RUNS):
        base, governed = two_models(rng, 45, 3, same)
        careful.append(measure(pairs_of(base, governed), category, Suite.UNRELATED).p_value)
        careless.append(mcnemar(zip(base.ravel().tolist(), governed.ravel().tolist(), strict=True)))
        power.append(measure(pairs_of(*two_models(rng, 45, 3, worse)), category, Suite.UNRELATED).p_value)
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(careful) <= level) <= most(level) < np.mean(np.array(careless) <= level)
    assert np.mean(np.array(power) <= 0.05) > 0.9
