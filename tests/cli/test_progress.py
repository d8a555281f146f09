"""Progress that neither stands still nor lies about the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mace_gov.cli.progress import Lines, Pace


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def advance(pace: Pace, clock: Clock, seconds: float, steps: int = 1) -> None:
    clock.now += seconds
    pace.advance(steps)


def test_the_time_left_is_unknown_before_two_marks_and_at_the_end(clock: Clock) -> None:
    pace = Pace(3, clock)
    assert pace.left() is None
    advance(pace, clock, 100)  # loads a model first
    assert pace.left() is None
    advance(pace, clock, 10)
    assert pace.left() == pytest.approx(10)
    advance(pace, clock, 10)
    assert pace.left() is None


def test_a_slow_first_batch_does_not_count(clock: Clock) -> None:
    pace = Pace(160, clock)
    advance(pace, clock, 300, 16)
    advance(pace, clock, 20, 16)
    assert pace.left() == pytest.approx(128 / 16 * 20)
    clock.now += 15  # in the middle of the next one
    assert pace.left() == pytest.approx(128 / 16 * 20 - 15)


def test_what_was_at_hand_does_not_make_the_rest_look_quick(clock: Clock) -> None:
    pace = Pace(100, clock)
    for _ in range(50):
        advance(pace, clock, 0.01)
    for _ in range(20):
        advance(pace, clock, 10)
    assert pace.left() == pytest.approx(300, rel=0.2)


def test_pictures_that_come_in_batches_do_not_look_quick(clock: Clock) -> None:
    pace = Pace(320, clock)
    for batch in range(1, 17):
        for picture in range(16):
            advance(pace, clock, 0.25 if picture else 36.25)  # a batch of 16 in 40 s
            if batch > 3 and picture == 15:
                assert pace.left() == pytest.approx((20 - batch) * 40, rel=0.1)


def test_a_halt_does_not_make_the_rest_look_slow(clock: Clock) -> None:
    pace = Pace(300, clock)
    for step in range(100):
        advance(pace, clock, 120 if step == 90 else 1)
    assert pace.left() == pytest.approx(200 * 2, rel=0.5)


def test_a_task_that_is_late_says_nothing_rather_than_nought(clock: Clock) -> None:
    pace = Pace(3, clock)
    advance(pace, clock, 1)
    advance(pace, clock, 1)
    clock.now += 500
    assert pace.left() is None


@pytest.fixture
def log(clock: Clock) -> tuple[Lines, io.StringIO]:
    out = io.StringIO()
    return Lines(Console(file=out, width=40), clock), out


def test_a_log_hears_of_a_task_that_stands_still(log, clock: Clock) -> None:
    lines, out = log
    done = lines.start("drawing pictures", 64)
    for _ in range(100):
        clock.now += 1
        lines.remind()
    assert out.getvalue().splitlines() == [
        "drawing pictures ...", "drawing pictures: 0 of 64, 0:30", "drawing pictures: 0 of 64, 1:00",
        "drawing pictures: 0 of 64, 1:30",
    ]
    done(64)
    assert out.getvalue().splitlines()[-1] == "drawing pictures: 64 of 64 done in 100 s"
    clock.now += 100
    lines.remind()
    assert len(out.getvalue().splitlines()) == 5


def test_a_log_of_ten_hours_has_a_hundred_lines(log, clock: Clock) -> None:
    lines, out = log
    done = lines.start("attacking", 36_000)
    for _ in range(36_000):
        clock.now += 1
        done(1)
    told = out.getvalue().splitlines()
    assert 50 < len(told) < 150
    assert "left" in told[5]


def test_a_task_of_nothing_is_not_spoken_of(log) -> None:
    lines, out = log
    lines.start("drawing training pictures", 0)(1)
    assert out.getvalue() == ""
