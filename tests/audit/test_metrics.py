"""Numbers about many pictures, against simulation, SciPy and the paper."""

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from mace_gov.audit.metrics.broken import broken_check
from mace_gov.audit.metrics.intervals import bounds, effective_size, estimate, two_way_variance
from mace_gov.audit.metrics.measures import harmonic, measures
from mace_gov.audit.metrics.paired import holm, mcnemar
from mace_gov.audit.metrics.power import REQUIRED, power_check
from mace_gov.documents.policy import Kind, Suite


@pytest.mark.parametrize(("n", "limit"), [(59, 0.05), (149, 0.02), (299, 0.01), (598, 0.005), (2995, 0.001)])
def test_zero_hits_prove_what_the_arithmetic_says(n, limit):
    assert bounds(0, n, 0.95)[1] <= limit < bounds(0, n - 1, 0.95)[1]


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (7, 200)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_bounds_are_clopper_and_pearsons(hits, n, confidence):
    low, high = bounds(hits, n, confidence)
    at_least = stats.binomtest(hits, n, alternative="greater").proportion_ci(confidence, "exact").low
    at_most = stats.binomtest(hits, n, alternative="less").proportion_ci(confidence, "exact").high
    assert (low, high) == (pytest.approx(at_least), pytest.approx(at_most))


def test_no_trials_say_nothing():
    nothing = estimate([], [])
    assert (nothing.value, nothing.n, nothing.low, nothing.high) == (0, 0, 0, 1)


def test_independent_prompts_keep_their_number():
    made = estimate([True] * 3 + [False] * 37, range(40))
    assert made.effective_n == made.n == made.clusters == 40
    assert (made.low, made.high) == bounds(3, 40, 0.95)


@pytest.mark.parametrize("outcome", [True, False])
def test_pictures_that_all_agree_count_once_a_prompt(outcome):
    made = estimate([outcome] * 60, [i // 3 for i in range(60)])
    assert (made.n, made.clusters, made.effective_n) == (60, 20, 20)
    assert (made.low, made.high) == bounds(20 if outcome else 0, 20, 0.95)


def test_perfectly_correlated_pictures_are_worth_at_most_their_prompts():
    outcomes = np.repeat([1.0, 0.0], 60)  # 20 prompts of 3 seeds each way
    assert effective_size(outcomes, np.arange(120) // 3) <= 40


def test_unrelated_seeds_are_worth_nearly_all_of_them():
    rng = np.random.default_rng(3)
    outcomes = (rng.random(600) < 0.5).astype(float)
    assert 450 < effective_size(outcomes, np.arange(600) // 3) <= 600


@pytest.mark.parametrize(("rate", "spread", "prompts", "seeds"), [
    (0.03, None, 60, 1), (0.5, None, 40, 1), (0.05, 0.5, 40, 4), (0.2, 1.0, 30, 3), (0.5, 1.0, 20, 5),
    (0.9, 0.3, 40, 4), (0.97, None, 120, 1), (0.1, None, 30, 4),
])
def test_one_sided_bounds_cover_at_least_as_often_as_they_say(rate, spread, prompts, seeds):
    """Beta-binomial clusters; ``spread`` 1 is strong correlation within a prompt, None is none at all."""
    rng = np.random.default_rng(20240607)
    runs, below, above = 600, 0, 0
    clusters = np.repeat(np.arange(prompts), seeds)
    for _ in range(runs):
        own = np.full(prompts, rate) if spread is None else rng.beta(rate / spread, (1 - rate) / spread, prompts)
        hits = rng.random(prompts * seeds) < np.repeat(own, seeds)
        made = estimate(hits.tolist(), clusters.tolist())
        below += made.high < rate
        above += made.low > rate
    # 5 % nominal on each side; the simulation's own error at 600 runs is 0.9 points
    assert max(below, above) / runs <= 0.05 + 2 * 0.009


def test_prompts_that_agree_within_their_concept_are_worth_one():
    """A hundred names, two prompts each, both drawn or neither: ten of two hundred are five of a hundred."""
    hits = [name < 5 for name in range(100) for _ in range(2)]
    names = [name for name in range(100) for _ in range(2)]
    made = estimate(hits, range(200), concepts=names)
    assert made.effective_n == pytest.approx(100 * 198 / 199, rel=1e-3)  # by hand: V = 100/99 x 19 / 200^2
    assert made.high > 0.10 > estimate(hits, range(200)).high
    # the same ten, each of another name, agree on nothing
    apart = [n % 2 == 0 and n < 20 for n in range(200)]
    assert estimate(apart, range(200), concepts=names).effective_n > 195


def test_one_concept_is_clustered_by_its_prompts_alone():
    hits = [True] * 3 + [False] * 92
    assert estimate(hits, range(95), concepts=["ship"] * 95) == estimate(hits, range(95))
    assert estimate([False] * 40, range(40), concepts=[n % 4 for n in range(40)]).effective_n == 40


def test_the_variance_of_two_ways_is_their_sum_less_what_both_share():
    """Two prompts asked about two concepts, twice each: by hand, residuals of +-1/2."""
    hits = np.array([1, 1, 1, 0, 1, 0, 0, 0], float)
    prompts, concepts = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 0, 0, 1, 1])
    each = 2 / 1 * (1**2 + 1**2) / 64  # clusters of four with three hits and with one, both ways
    both = 4 / 3 * (1**2 + 0 + 0 + 1**2) / 64
    assert two_way_variance(hits, prompts, concepts) == pytest.approx(each + each - both)
    # nested: every prompt is about one concept, so that concepts alone are left
    assert two_way_variance(hits, np.arange(8), concepts) == pytest.approx(each)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_bounds_cover_where_outcomes_agree_within_a_concept(rate):
    rng, runs, concepts = np.random.default_rng(7), 500, np.repeat(np.arange(100), 2)
    above = sum(
        estimate(np.repeat(rng.random(100) < rate, 2).tolist(), range(200), concepts=concepts.tolist()).high < rate
        for _ in range(runs))
    assert above / runs <= 0.05 + 2 * 0.01  # the simulation's own error is a point


def test_holm_multiplies_the_smallest_most():
    # the worked example of Holm's procedure: 4 x .005, 3 x .01, then none below an earlier one
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"one": 0.9, "two": 0.8}) == {"two": 1.0, "one": 1.0}
    assert holm({}) == {}


def test_mcnemar_is_the_exact_binomial_test():
    for lost, won in itertools.product(range(7), repeat=2):
        pairs = [(True, False)] * lost + [(False, True)] * won + [(True, True), (False, False)]
        exact = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
        assert mcnemar(pairs) == pytest.approx(exact)
    assert mcnemar([]) is None


def test_the_papers_objects_average():
    found = measures({
        (Kind.OBJECT, Suite.DIRECT): (849, 10000), (Kind.OBJECT, Suite.UNRELATED): (9735, 10000),
        (Kind.OBJECT, Suite.SYNONYM): (1053, 10000),
    })
    assert (found["Acc_e"], found["Acc_s"], found["Acc_g"]) == pytest.approx((0.0849, 0.9735, 0.1053))
    # the paper averages ten H_o and prints 92.61; the H_o of its ten averages is 92.66
    assert found["H_o"] == pytest.approx(0.9261, abs=1e-3)
    assert found["H_o"] == pytest.approx(3 / (1 / 0.9151 + 1 / 0.9735 + 1 / 0.8947))
    assert "H_c" not in found


def test_the_papers_hundred_celebrities():
    found = measures({(Kind.CELEBRITY, Suite.DIRECT): (431, 10000), (Kind.CELEBRITY, Suite.UNRELATED): (8456, 10000)})
    assert found["H_c"] == pytest.approx(0.8978, abs=1e-4)
    assert "H_o" not in found and "Acc_g" not in found


def test_a_measure_that_lacks_a_term_is_absent():
    assert measures({}) == {}
    found = measures({(Kind.OBJECT, Suite.DIRECT): (1, 10), (Kind.OBJECT, Suite.UNRELATED): (9, 10),
                      (Kind.OBJECT, Suite.SYNONYM): (0, 0)})
    assert set(found) == {"Acc_e", "Acc_s"}


def test_the_leak_is_what_preserved_names_keep_beyond_those_whom_nobody_named():
    rates = {(Kind.CELEBRITY, Suite.PRESERVED): (50, 50), (Kind.CELEBRITY, Suite.NEAR): (32, 50)}
    assert measures(rates) == {"Acc_p": 1.0, "leak": pytest.approx(0.36)}
    assert measures({(Kind.CELEBRITY, Suite.NEAR): (32, 50)}) == {}
    assert measures({(Kind.OBJECT, Suite.PRESERVED): (1, 2)}) == {"Acc_p": 0.5}


def test_nothing_kept_or_nothing_erased_gives_zero_and_no_division_error():
    assert harmonic([1.0, 0.0, 1.0]) == 0
    found = measures({(Kind.CELEBRITY, Suite.DIRECT): (10, 10), (Kind.CELEBRITY, Suite.UNRELATED): (10, 10)})
    assert found["H_c"] == 0


def test_accuracies_are_over_all_kinds_and_each_h_over_its_own():
    found = measures({
        (Kind.STYLE, Suite.DIRECT): (0, 10), (Kind.STYLE, Suite.UNRELATED): (10, 10),
        (Kind.CELEBRITY, Suite.DIRECT): (5, 10), (Kind.CELEBRITY, Suite.UNRELATED): (10, 10),
    })
    assert found["Acc_e"] == 0.25 and found["H_s"] == 1 and found["H_c"] == pytest.approx(2 / 3)


def test_power_is_the_base_s_lower_bound():
    def check(hits, n, **more):
        return power_check("c", Suite.DIRECT, "any", [True] * hits + [False] * (n - hits), range(n), **more)

    assert check(40, 60).passed and check(40, 60).base.low >= REQUIRED
    assert not check(32, 60).passed  # more than half, but not shown to be
    assert not check(0, 0).passed
    assert check(1, 1, concept="one").passed and not check(0, 16, concept="one").passed
    assert not check(0, 0, concept="one").passed


def drawn(count=16, side=48, seed=0):
    rng = np.random.default_rng(seed)
    small = (Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(count))
    return [image.resize((side, side), Image.Resampling.BICUBIC) for image in small]


def worn(image, amount=0.15):
    """A picture as a healthy governed model draws it: the same, a little different."""
    other = drawn(1, image.width, seed=99)[0]
    return Image.blend(image, other, amount)


def test_a_healthy_model_passes_with_its_statistics():
    base = drawn()
    check = broken_check(base, [worn(image) for image in base], estimate([True] * 30, range(30)))
    assert check.passed and not check.findings
    assert check.statistics["recognised"] == 1 and check.statistics["likeness"] > 0.9


@pytest.mark.parametrize(("word", "change"), [
    ("noise", lambda images: [Image.effect_noise(i.size, 160).convert("RGB") for i in images]),
    ("constant", lambda images: [Image.new("RGB", i.size, (90, 120, 30)) for i in images]),
    ("constant", lambda images: [*images[:12], *[Image.new("RGB", i.size) for i in images[12:]]]),
    ("collapsed", lambda images: [images[0]] * len(images)),
    ("follow", lambda images: images[1:] + images[:1]),
])
def test_each_way_to_break_is_found_and_named(word, change):
    base = drawn()
    check = broken_check(base, change(base), None)
    assert not check.passed and any(word in finding for finding in check.findings)


def test_a_model_that_keeps_its_looks_but_not_its_subjects_is_unrecognisable():
    base = drawn()
    check = broken_check(base, base, estimate([False] * 29 + [True], range(30)))
    assert any("unrecognisable" in finding for finding in check.findings)


def test_too_few_pictures_or_a_blank_base_do_not_pass():
    assert not broken_check([], [], None).passed
    blank = [Image.new("RGB", (32, 32))] * 8
    assert not broken_check(blank, blank, None).passed
