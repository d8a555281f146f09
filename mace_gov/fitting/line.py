"""Settings from mild to strong, without a picture: what each leaves of the targets, what it does to everything else.

Two numbers without a dimension decide the closed form: the prior's weight and the ridge. Each pair of them gives

    left  =  sum |M e_s - e_t|^2 / sum |e_s - e_t|^2          0: mapped whole, 1: untouched
    harm  =  sum |M e_p - e_p|^2 / sum |e_p|^2                over captions that the prior does not hold

with M the refinement's matrix. The pairs that no other beats in both are the line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.fit import FitPoint
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.pooled import pooled_sums
from mace_gov.erase.preserve import harm, held_out_moment, preserve_term
from mace_gov.erase.refine import TargetSums, solve, summed
from mace_gov.plan.fitting import at, weighed

WEIGHTS = (0.1, 0.18, 0.32, 0.56, 1.0, 1.8, 3.2, 5.6, 10.0, 18.0, 32.0)
"""How much the prior counts beside what is erased; where many concepts share few dimensions, a factor of three is too
coarse."""
RIDGES = (0.01, 0.1, 1.0, 10.0)
"""Multiples of the mean eigenvalue of what is erased."""
MOST_LEFT = 0.9
"""What a line's mildest point may leave: some models draw nothing of a concept long before its states are at their
anchor's, and pictures can tell."""
LENGTH = 16
"""Points of a line at most."""


@dataclass(frozen=True)
class Line:
    """The points, and what gives the edits of each."""

    points: list[FitPoint]
    """From mild to strong."""
    at: Callable[[FitPoint, Mapping[str, float]], tuple[dict[str, torch.Tensor], FitPoint]]
    """The edit (``fitting.drawing_workers.Edit``) of a point with targets that count more than once, and the point with
    what it leaves and harms then. Raises NumericalError."""


def line(
    reader: TextReader, plan: ErasurePlan, cache: Path | None, progress: Progress, *, weights: tuple[float, ...],
    ridges: tuple[float | None, ...], pooled: bool = False,
) -> Line:
    """The line of a plan over these weights and ridges; None for the ridges that the plan has. pooled: whether the
    model reads a pooled text, too.

    Raises NumericalError when no point of it is an erasure.
    """
    parts = {weight: preserve_term(reader, at(plan, weight, None), cache, progress, "refine", hold_out=True)
             for weight in weights}
    held = held_out_moment(reader, plan, cache, progress)
    once = summed(reader, plan, progress.start("reading what is erased", len(plan.targets)))

    def matrix(weight: float, ridge: float | None, sums: TargetSums) -> torch.Tensor:
        settings = sums.ridge(at(plan, weight, ridge).refine)
        return solve(sums.pairs.a, sums.pairs.c, settings, parts[weight])[0]

    def point(weight: float, ridge: float | None, k: torch.Tensor) -> FitPoint:
        return FitPoint(weight=weight, relative_ridge=ridge, left=round(once.named.left(k), 4),
                        harm=round(harm(held, k), 4))

    found = []
    for weight in weights:
        for ridge in ridges:
            try:
                found.append(point(weight, ridge, matrix(weight, ridge, once)))
            except NumericalError:
                continue  # too little holds this one: a point that nobody should choose
    points = thinned(unbeaten([point for point in found if point.left <= MOST_LEFT]))
    if not points:
        raise NumericalError(
            f"fit: no setting leaves less than {MOST_LEFT:.0%} of the way from the targets to their anchors",
            hint="Give anchors that are nearer to the concepts, or preserve fewer of their neighbours.")
    vectors = pooled_sums(reader, plan) if pooled else None

    def edit(of: FitPoint, counts: Mapping[str, float]) -> tuple[dict[str, torch.Tensor], FitPoint]:
        counted = weighed(at(plan, of.weight, of.relative_ridge), counts)
        sums = summed(reader, counted) if counts else once
        made = {"matrix": matrix(of.weight, of.relative_ridge, sums)}
        if vectors is not None:
            made["pooled"] = vectors.edit(counted)[0]
        return made, point(of.weight, of.relative_ridge, made["matrix"])

    return Line(points, edit)


def unbeaten(points: list[FitPoint]) -> list[FitPoint]:
    """Those that no other beats in both left and harm, from mild to strong."""
    kept: list[FitPoint] = []
    for point in sorted(points, key=lambda p: (p.left, p.harm)):
        if not kept or point.harm < kept[-1].harm:
            kept.append(point)
    return kept[::-1]


def thinned(points: list[FitPoint]) -> list[FitPoint]:
    """At most ``LENGTH`` of them, evenly spread in the logarithm of what is left."""
    if len(points) <= LENGTH:
        return points
    logs = [math.log(max(point.left, 1e-6)) for point in points]
    steps = [logs[0] + (logs[-1] - logs[0]) * n / (LENGTH - 1) for n in range(LENGTH)]
    chosen = {min(range(len(points)), key=lambda n: abs(logs[n] - step)) for step in steps}
    return [points[n] for n in sorted(chosen)]


