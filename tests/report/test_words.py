"""Numbers in words: one decimal, bounds rounded outward, nothing measured never zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mace_gov.audit.metrics.measures import measures
from mace_gov.documents.terms import Kind, Suite
from mace_gov.report import words
from tests.factories import estimate


def plain(text: str) -> str:
    return text.replace(words.NBSP, " ")


@pytest.mark.parametrize(("hits", "n", "shown"), [
    (0, 64, "0 of 64 (upper bound 4.6 %)"),
    (0, 59, "0 of 59 (upper bound 5.0 %)"),
    (0, 58, "0 of 58 (upper bound 5.1 %)"),
    (60, 60, "60 of 60 (lower bound 95.1 %)"),
    (118, 120, "118 of 120, 98.3 % (94.8 % to 99.8 %)"),
])
def test_sentence(hits, n, shown):
    assert plain(words.sentence(estimate(hits, n))) == shown


def test_nothing_measured():
    empty = estimate(0, 0, low=0.0, high=1.0)
    for function in (words.sentence, words.observed, words.interval):
        assert function(None) == function(empty) == words.NOT_MEASURED
    assert words.p_value(None) == words.NOT_MEASURED
    assert words.percent(None) == words.NOT_MEASURED


@given(st.floats(0, 1), st.integers(0, 1000))
def test_rounding_never_flatters(bound, tenths):
    """A bound that misses a threshold of one decimal is never shown as if it met it, and the other way round."""
    limit = tenths / 1000
    upper, lower = (float(f(bound).split(words.NBSP)[0]) for f in (words.upper_percent, words.lower_percent))
    if abs(bound - limit) > 1e-8:
        assert (upper <= 100 * limit + 1e-9) == (bound <= limit)
        assert (lower >= 100 * limit - 1e-9) == (bound >= limit)


def test_picture_without_a_decision_is_not_called_absent():
    assert words.presence(None, Suite.DIRECT) == "not scored"
    assert words.presence(False, Suite.DIRECT) == "not detected"
    assert words.presence(True, Suite.NEAR) == "recognised"


@pytest.mark.parametrize(("p", "shown"), [(0.0001, "below 0.001"), (0.001, "0.001"), (0.5, "0.500"), (1.0, "1.000")])
def test_p_value(p, shown):
    assert words.p_value(p) == shown


def test_no_word_calls_a_model_harmless_by_itself():
    said = [*words.MEANING.values(), *words.CONSEQUENCE.values(), *words.IF_ENFORCED.values(), words.AUDIT_MODE]
    assert not [text for text in said if "safe" in text.casefold() or "protect" in text.casefold()]


def test_every_measure_of_an_audit_is_said_in_plain_words():
    made = measures({(kind, suite): (1, 2) for kind in Kind for suite in Suite})
    assert {"H_o", "H_c", "H_s", "leak"} < set(made) and set(made) <= set(words.MEASURES)
