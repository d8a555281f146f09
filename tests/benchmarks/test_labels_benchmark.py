"""The labels that were given by eye, and what they make of the judge."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.labels import agreement

ROOT = Path(__file__).parents[2]


def rows(*pairs: tuple[str, float]) -> list[dict[str, str]]:
    return [{"label": label, "judge": str(score)} for label, score in pairs]


def test_rates_and_kappa_of_a_worked_example():
    # 20 present of which 15 found, 30 absent of which 5 found: kappa of the textbook's table is .583...
    given = rows(*[("present", 0.9)] * 15, *[("present", 0.1)] * 5, *[("absent", 0.9)] * 5, *[("absent", 0.1)] * 25,
                 ("unsure", 0.9))
    found = agreement(given, 0.5)
    assert found["labelled"] == 50 and found["unsure"] == 1
    assert found["sensitivity"][:2] == (15, 20) and found["specificity"][:2] == (25, 30)
    assert found["kappa"] == pytest.approx((0.8 - 0.52) / 0.48)
    with pytest.raises(ValueError, match="maybe"):
        agreement(rows(("maybe", 0.5)), 0.5)


def test_the_sheet_that_ships_has_two_hundred_labels_and_the_text_says_what_they_give():
    with (ROOT / "docs/labels/objects-one.csv").open(newline="") as file:
        given = list(csv.DictReader(file))
    found = agreement(given, 0.5)
    assert len(given) == 200 and (ROOT / "docs/labels/objects-one.jpg").exists()
    said = (ROOT / "docs/review.md").read_text()
    for what in ("sensitivity", "specificity"):
        assert f"{found[what][0]} of {found[what][1]}" in said
