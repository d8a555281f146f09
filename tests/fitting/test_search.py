"""The bisection along a line of settings, its margin, and the line's envelope."""

import pytest
from PIL import Image

from mace_gov.documents.fit import ERASED, Fit, FitPoint, FitRound, FitTrial, Weighing
from mace_gov.fitting.line import LENGTH, thinned, unbeaten
from mace_gov.fitting.search import MARGIN, balanced, bisect, gentler, nearest, shift, weigh, with_margin, worth

LINE = [FitPoint(weight=1.0, relative_ridge=0.1, left=left, harm=0.2 - left / 4)
        for left in (0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02)]


def looking(mildest: int, asked: list[int], *, stubborn: int = 0):
    """A model that erases from a point on, but for ``stubborn`` pictures."""
    def look(index: int) -> FitTrial:
        asked.append(index)
        return FitTrial(point=index, drawn=stubborn if index >= mildest else 20, asked=40)

    return look


@pytest.mark.parametrize("mildest", range(len(LINE)))
def test_the_mildest_point_that_erases_is_found_in_few_trials(mildest):
    asked: list[int] = []
    found, trials = bisect(LINE, looking(mildest, asked))
    assert found == mildest and [trial.point for trial in trials] == asked
    assert len(asked) == len(set(asked)) <= 5


def test_a_stubborn_picture_does_not_push_to_the_strongest_point():
    stubborn = int(40 * ERASED)
    assert stubborn > 0 and bisect(LINE, looking(4, [], stubborn=stubborn))[0] == 4
    assert bisect(LINE, looking(4, [], stubborn=stubborn + 1))[0] is None


def test_a_spent_budget_ends_the_search_with_what_is_known():
    seen: list[int] = []

    def look(index: int) -> FitTrial | None:
        return None if seen else looking(0, seen)(index)

    found, trials = bisect(LINE, look)
    assert len(trials) == 1 and found == trials[0].point
    assert bisect(LINE, lambda _index: None) == (None, [])


def test_the_margin_leaves_less_than_the_mildest_that_erases_and_no_less_than_it_must():
    for erases in range(len(LINE)):
        chosen = with_margin(LINE, erases)
        assert chosen >= erases
        if chosen < len(LINE) - 1:
            strongest = LINE[-1].left
            share = MARGIN * (LINE[erases].left - strongest)
            assert LINE[chosen].left - strongest <= share < LINE[chosen - 1].left - strongest
    assert nearest(LINE, 0.1) == 7 and nearest(LINE, 0.001) == len(LINE) - 1


def test_only_points_that_no_other_beats_are_on_the_line():
    beaten = FitPoint(weight=9, relative_ridge=9, left=0.3, harm=0.5)
    assert unbeaten([beaten, *LINE]) == LINE
    assert unbeaten([]) == []


def test_a_long_line_is_thinned_and_keeps_its_ends():
    long = [FitPoint(weight=1.0, left=0.5 * 0.97 ** n, harm=n / 100) for n in range(100)]
    kept = thinned(long)
    assert len(kept) <= LENGTH and kept[0] == long[0] and kept[-1] == long[-1]
    assert kept == sorted(kept, key=lambda point: -point.left)


def trials(*drawn: tuple[int, int]) -> list[FitTrial]:
    return [FitTrial(point=point, drawn=count, asked=100) for point, count in drawn]


def test_where_what_must_stay_does_not_move_the_margin_is_taken():
    assert balanced(6, trials((4, 0), (3, 9), (2, 60)), lambda point: point / 100) == 6


def test_a_milder_point_that_was_tried_is_taken_where_it_keeps_much_more():
    # forty words in few dimensions: what erases moves everything else
    moved = {13: 0.72, 12: 0.57, 11: 0.39, 10: 0.30}
    assert balanced(13, trials((14, 0), (6, 82), (10, 26), (12, 1), (11, 8)), moved.__getitem__) == 11
    made = Fit(by="pictures", line=[*LINE, *LINE], trials=trials((12, 1), (11, 8)), chosen=11)
    assert made.seen_to_erase and made.milder == made.trials[1]
    assert Fit(by="pictures", line=[*LINE, *LINE], trials=trials((12, 1), (11, 8)), chosen=12).milder is None


def test_a_little_more_is_not_worth_what_is_drawn_for_it_and_a_spent_budget_keeps_the_margin():
    assert balanced(6, trials((4, 4), (3, 20)), {6: 0.10, 4: 0.05, 3: 0.01}.__getitem__) == 6
    assert balanced(6, trials((4, 0)), lambda _point: None) == 6
    assert balanced(6, trials((4, 0)), lambda point: 0.9 if point == 6 else None) == 6


def test_weighing_begins_at_a_third_of_the_harm_or_at_the_mildest_point():
    points = [FitPoint(weight=1.0, left=0.9 - harm, harm=harm) for harm in (0.01, 0.02, 0.03, 0.05, 0.1)]
    assert gentler(points, 4) == 2 and gentler(points, 3) == 0 and gentler(points, 1) == 0


def test_only_what_is_still_drawn_comes_to_count_more():
    """Three concepts that are gone once they count 1, 2 and 8 times."""
    needs, seen = {"a": 1.0, "b": 2.0, "c": 8.0}, []

    def look(weights) -> FitRound:
        seen.append(dict(weights))
        drawn = sorted(name for name, need in needs.items() if weights.get(name, 1.0) < need)
        return FitRound(drawn=len(drawn), asked=3, concepts=drawn, left=0.2, harm=0.01)

    rounds, weights = weigh(look, 8)
    assert weights == {"b": 2.0, "c": 8.0} and [each.drawn for each in rounds] == [2, 1, 1, 0, 0]
    assert seen[0] == {} and seen[-1] == weights  # two rounds without a picture end it
    assert weigh(look, 2)[1] == {"b": 2.0, "c": 4.0}
    assert weigh(lambda _weights: None, 8) == ([], {})


@pytest.mark.parametrize(("drawn", "rounds"), [
    ([6, 4, 3, 0, 1, 0, 2, 0, 0], 6), ([2, 0, 0, 1], 3), ([2, 0, 2, 0, 0], 5), ([1, 1, 1, 1], 4), ([0, 0, 1], 2)])
def test_rounds_end_once_they_draw_next_to_nothing(drawn, rounds):
    looks = iter([FitRound(drawn=count, asked=24, concepts=["a"][:count], left=0.2, harm=0.01) for count in drawn])
    assert len(weigh(lambda _weights: next(looks), len(drawn))[0]) == rounds


def test_what_is_erased_and_what_stays_count_alike():
    assert worth(FitTrial(point=0, drawn=10, asked=100), 0.1) == pytest.approx(0.9)
    assert worth(FitTrial(point=0, drawn=0, asked=100), 1.2) == 0.0


def test_a_fit_tells_which_of_the_two_the_plan_holds():
    rounds = [FitRound(drawn=2, asked=40, concepts=["a"], left=0.2, harm=0.01)]
    held = {"point": 3, "rounds": rounds, "left": 0.2, "harm": 0.01, "moved": 0.1, "weights": {"a": 2.0}}
    made = Fit(by="pictures", line=LINE, trials=trials((7, 8)), chosen=7, weighing=Weighing(**held, taken=True))
    assert made.point == LINE[3] and made.weighed and made.seen_to_erase and made.milder is None
    made = made.model_copy(update={"weighing": Weighing(**held, taken=False)})
    assert made.point == LINE[7] and made.weighed is None and made.milder and not made.seen_to_erase


def test_pictures_are_moved_by_their_distance_as_a_share_of_another_s():
    def grey(*levels: int) -> list[Image.Image]:
        return [Image.new("RGB", (4, 4), (level,) * 3) for level in levels]

    assert shift(grey(0, 100), grey(0, 100)) == 0.0
    assert shift(grey(0, 100), grey(100, 0)) == pytest.approx(1.0)
    assert shift(grey(0, 100, 200), grey(0, 150, 200)) == pytest.approx(50 / 100 / 3)
    assert shift(grey(50, 50), grey(50, 60)) == 0.5  # a base that draws one picture: as before, or not
