"""Agreement and errors against figures that were worked out elsewhere; breaks by the clock of the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mace_gov.documents.review import Act, Label, PictureRef, ReviewEntry
from mace_gov.review.agreement import Table, against, decided, errors, parted, table
from mace_gov.review.breaks import Breaks
from tests import factories


def picture(n: int, image: str | None = None) -> PictureRef:
    return PictureRef(image=image or f"pictures/{n}.png", image_digest=factories.hexa(str(n)), suite="direct",
                      category="explicit.nudity", concept=f"c{n}")


def test_kappa_is_that_of_the_literature() -> None:
    # Two readers of 50 grant proposals: 20 both yes, 5 and 10 apart, 15 both no; observed 0.70, chance 0.50.
    made = Table(20, 5, 10, 15)
    assert made.observed == pytest.approx(0.70) and made.kappa == pytest.approx(0.40)
    low, high = made.kappa_bounds
    assert (low, high) == (pytest.approx(0.146, abs=1e-3), pytest.approx(0.654, abs=1e-3))


@pytest.mark.parametrize("made", [Table(0, 0, 0, 0), Table(9, 0, 0, 0), Table(0, 0, 0, 9)])
def test_kappa_is_not_made_up_where_it_is_not_defined(made: Table) -> None:
    assert made.kappa is None and made.kappa_bounds is None


def test_kappa_of_whole_agreement_and_of_none() -> None:
    assert Table(5, 0, 0, 5).kappa == 1 and Table(0, 5, 5, 0).kappa == -1
    assert table([(True, True), (True, False), (False, True), (False, False)]).kappa == 0


def test_unsure_and_unscored_pictures_count_nowhere() -> None:
    labels = {picture(0): Label.PRESENT, picture(1): Label.UNSURE, picture(2): Label.ABSENT, picture(3): Label.PRESENT}
    people = decided(labels)
    found = {picture(0): True, picture(1): True, picture(2): True, picture(3): None}
    assert against(people, found) == Table(1, 0, 1, 0)
    sensitivity, specificity = errors(people, found)
    assert (sensitivity.hits, sensitivity.n, specificity.hits, specificity.n) == (1, 1, 0, 1)
    assert [(ref, seen, other) for ref, seen, other in parted(people, found)] == [(picture(2), False, True)]


def test_bounds_are_clopper_pearson_s_and_a_picture_asked_twice_is_one_trial() -> None:
    people = {picture(n): True for n in range(60)}
    sensitivity, specificity = errors(people, dict.fromkeys(people, True))
    assert (sensitivity.value, sensitivity.low) == (1.0, pytest.approx(0.05 ** (1 / 60)))
    assert (specificity.n, specificity.low, specificity.high) == (0, 0, 1)
    twice = {picture(n, f"pictures/{n // 2}.png"): True for n in range(60)}
    half, _ = errors(twice, dict.fromkeys(twice, True))
    assert (half.n, half.clusters, half.low) == (60, 30, pytest.approx(0.05 ** (1 / 30)))


def revealed(*minutes: float) -> list[ReviewEntry]:
    start = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
    return [ReviewEntry(number=n, act=Act.REVEAL, at=(start + timedelta(minutes=each)).isoformat(), reviewer="Ada",
                        keyid=factories.hexa("k"), evidence_digest=factories.hexa("e"),
                        verdict_digest=factories.hexa("v"), picture=picture(n), text="why")
            for n, each in enumerate(minutes, 1)]


@pytest.mark.parametrize(("minutes", "now", "left", "until"), [
    ((), 0, 3, None), ((0, 1), 2, 1, None), ((0, 1, 2), 3, 0, 7), ((0, 1, 2), 6.9, 0, 7), ((0, 1, 2), 7, 3, None),
    ((0, 4, 8), 9, 0, 13), ((0, 1, 7), 8, 2, None), ((0, 1, 2, 8), 9, 2, None),
])
def test_a_break_after_so_many_in_a_row(minutes, now, left, until) -> None:
    start = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
    breaks, at = Breaks(3, timedelta(minutes=5)), start + timedelta(minutes=now)
    assert breaks.left(revealed(*minutes), at) == left
    assert breaks.until(revealed(*minutes), at) == (None if until is None else start + timedelta(minutes=until))


def test_a_clock_that_is_set_back_ends_no_break() -> None:
    start = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
    assert Breaks(3, timedelta(minutes=5)).left(revealed(0, 1, 2), start - timedelta(minutes=30)) == 0
