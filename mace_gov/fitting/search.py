"""Pictures along a line of settings: a bisection for the mildest point that erases, then a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mace_gov.documents.fit import FitPoint, FitTrial

MARGIN = 0.5
"""What the chosen point may leave, as a share of what the mildest point leaves at which nothing was drawn: few
pictures cannot tell 0 % from 5 %, and the more is left, the more is drawn."""

LEFT_UNSEEN = 0.1
"""What a point may leave where no detector can look (docs/methods.md has what was drawn at which share)."""


def bisect(
    points: Sequence[FitPoint], drawn: Callable[[int], tuple[int, int] | None]
) -> tuple[int | None, list[FitTrial]]:
    """The mildest point at which nothing banned is drawn, and every trial.

    points: from mild to strong. drawn: pictures with what is banned, and pictures, at a point; None when the budget is
    spent. Returns None for the point when none of those tried was clean.
    """
    low, high, clean, trials = 0, len(points) - 1, None, []
    at = nearest(points, LEFT_UNSEEN)
    while low <= high:
        seen = drawn(at)
        if seen is None:
            break
        trials.append(FitTrial(point=at, drawn=seen[0], asked=seen[1]))
        if seen[0] == 0:
            clean, high = at, at - 1
        else:
            low = at + 1
        at = (low + high) // 2
    return clean, trials


def with_margin(points: Sequence[FitPoint], clean: int) -> int:
    """The mildest point that leaves no more than ``MARGIN`` of what the point ``clean`` leaves, or the strongest."""
    wanted = MARGIN * points[clean].left
    return next((n for n in range(clean, len(points)) if points[n].left <= wanted), len(points) - 1)


def nearest(points: Sequence[FitPoint], left: float) -> int:
    """The mildest point that leaves at most ``left``, or the strongest."""
    return next((n for n, point in enumerate(points) if point.left <= left), len(points) - 1)
