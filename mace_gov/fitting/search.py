"""Pictures along a line of settings: a bisection for the mildest point that erases, a margin, how far others move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from mace_gov.audit.metrics.measures import harmonic
from mace_gov.documents.fit import FitPoint, FitRound, FitTrial

MARGIN = 0.7
"""What the chosen point may leave beyond what the strongest leaves, as a share of what the mildest point that erases
leaves beyond it: few pictures cannot tell 0 % from 5 %, and the more is left, the more is drawn."""

RESERVES = (2.0, 1.4, 1.0)
"""How often what its rounds asked for every concept counts in the end: as ``MARGIN``, since pictures are few. The first
counts that does no more than ``GENTLER`` of the harm of the point that erases with that margin."""
GENTLER = 0.75
"""Share of that harm up to which what erases is taken without weighing one against the other."""

ENOUGH = ((2, 0), (3, 1))
"""Rounds that end a weighing, and how many pictures they may draw together."""

MATTERS = 0.05
"""By how much the harmonic mean of erased and unmoved must be higher at a milder point to give up the margin, or the
erasure of some concepts, for it."""

LEFT_UNSEEN = 0.1
"""What a point may leave where no detector can look (docs/methods.md has what was drawn at which share)."""


def bisect(
    points: Sequence[FitPoint], look: Callable[[int], FitTrial | None]
) -> tuple[int | None, list[FitTrial]]:
    """The mildest point that erases, and every trial.

    points: from mild to strong. look: a trial at a point; None when the budget is spent. Returns None for the point
    when none of those tried erased.
    """
    low, high, erases, trials = 0, len(points) - 1, None, []
    at = nearest(points, LEFT_UNSEEN)
    while low <= high:
        trial = look(at)
        if trial is None:
            break
        trials.append(trial)
        if trial.erases:
            erases, high = at, at - 1
        else:
            low = at + 1
        at = (low + high) // 2
    return erases, trials


def balanced(chosen: int, trials: Sequence[FitTrial], moved: Callable[[int], float | None]) -> int:
    """The point ``chosen``, or a milder one that was tried and keeps much more of what must stay.

    What is erased and what stays count alike, as their harmonic mean. moved: how far pictures of other words move at a
    point, 0 to 1 or beyond it; None when the budget is spent.
    """
    known = sorted((trial for trial in trials if trial.point <= chosen), key=lambda trial: -trial.point)

    def here_worth(trial: FitTrial, point: int) -> float | None:
        away = moved(point)
        return None if away is None else worth(trial, away)

    best, at = here_worth(known[0], chosen), chosen  # what is stronger than a trial's point draws no more than it
    for trial in known:
        here = None if trial.point == at else here_worth(trial, trial.point)
        if best is None or here is None:
            continue
        if here > best + MATTERS:
            best, at = here, trial.point
        elif here < best:
            break
    return at


def worth(seen: FitTrial | FitRound, moved: float) -> float:
    """The harmonic mean of what is erased and of what stays where it was."""
    return harmonic([1 - seen.drawn / seen.asked, max(0.0, 1 - moved)])


def gentler(points: Sequence[FitPoint], strong: int) -> int:
    """Where weighing begins: the strongest point that does a third of another's harm, or the mildest."""
    return max((n for n in range(strong) if points[n].harm <= points[strong].harm / 3), default=0)


def weigh(
    look: Callable[[Mapping[str, float]], FitRound | None], rounds: int
) -> tuple[list[FitRound], dict[str, float]]:
    """Rounds in which the concepts that are still drawn come to count twice as much, and the weights at their end.

    look: a round with concepts that count so much, those that are not named once; None when the budget is spent. They
    end early when two of them draw nothing, or three a single picture, which says about as much.
    """
    made: list[FitRound] = []
    weights: dict[str, float] = {}
    for _ in range(rounds):
        seen = look(weights)
        if seen is None:
            break
        made.append(seen)
        weights = {**weights, **{concept: 2 * weights.get(concept, 1.0) for concept in seen.concepts}}
        if any(len(made) >= last and sum(each.drawn for each in made[-last:]) <= drawn for last, drawn in ENOUGH):
            break
    return made, weights


def with_margin(points: Sequence[FitPoint], erases: int) -> int:
    """The mildest point that is stronger than the point ``erases`` by the margin."""
    strongest = points[-1].left
    wanted = strongest + MARGIN * (points[erases].left - strongest)
    return next(n for n in range(erases, len(points)) if points[n].left <= wanted)


def nearest(points: Sequence[FitPoint], left: float) -> int:
    """The mildest point that leaves at most ``left``, or the strongest."""
    return next((n for n, point in enumerate(points) if point.left <= left), len(points) - 1)


def shift(before: Sequence[Image.Image], after: Sequence[Image.Image]) -> float:
    """Mean distance of each picture from itself before the edit, as a share of its mean distance from the others then.

    0 as before; 1 as far as another prompt's picture is. Pictures of one size, all of one seed: what they share by it
    counts in neither distance.
    """
    one, other = (np.stack([np.asarray(picture, dtype=np.float64).ravel() for picture in each])
                  for each in (before, after))
    own = np.linalg.norm(other - one, axis=1)
    apart = np.stack([np.linalg.norm(one - each, axis=1).sum() for each in one]) / max(1, len(one) - 1)
    return float(np.mean(np.divide(own, apart, out=np.where(own > 0, 1.0, 0.0), where=apart > 0)))
