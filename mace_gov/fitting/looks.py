"""Pictures that a fit looks at: of what is banned, at a point or with weights, and of what was not given to it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from mace_gov.audit.probes.probe import Probe, seed_for
from mace_gov.audit.scoring import Detectors, score_pictures
from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.core.resources import asked
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.fit import FitRound, FitShift, FitTrial, Weighing
from mace_gov.documents.plan import ErasurePlan
from mace_gov.fitting.drawing_workers import Edit, Edited, drawn_by
from mace_gov.fitting.line import Line
from mace_gov.fitting.search import GENTLER, RESERVES, gentler, shift, weigh, worth
from mace_gov.plan.fitting import OTHERS, ROUNDS, TRIALS, names

SHIFT_SEED = 555_000_000
"""Added to the plan's seed for pictures of what was not given to the erasure."""
ROUND_SEED = 444_000_000
"""Added to the plan's seed for pictures of rounds in which concepts are weighed."""


@dataclass(frozen=True)
class Asked:
    """Who looks at which pictures of what is banned; without detectors the closed form decides alone."""

    probes: list[Probe]
    """In wordings and with seeds that no audit has."""
    why: str | None = None
    """Why there are none."""
    detectors: Detectors | None = None
    more: list[Probe] = field(default_factory=list)
    """``probes`` and those that there was no room for."""


@dataclass
class Looks:
    """Pictures of a model whose projections are edited as a point of the line asks, and put back by nobody.

    Where a look might end after ``seconds``, as long as the one before it took, there is none: None.
    """

    pipe: Pipeline
    plan: ErasurePlan
    line: Line
    asked: Asked
    others: list[str]
    """Captions of what was not given to the erasure."""
    most: int
    """Pictures that may be drawn for rounds to go on."""
    seconds: float
    progress: Progress
    shown: list[Probe] = field(default_factory=list)
    """Those asked by which the base draws what is banned."""
    shifts: list[FitShift] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._edited = Edited(self.pipe)
        self._advance = self.progress.start("looking for the mildest setting that erases (pictures)",
                                            TRIALS * (len(self.asked.probes) + OTHERS))
        self._started, self._last, self._count = time.monotonic(), 0.0, 0
        self._before: list[Image.Image] = []

    def trial(self, index: int) -> FitTrial | None:
        """What is banned at a point."""
        seen = self.banned(self.line.at(self.line.points[index], {})[0], self.shown)
        return None if seen is None else FitTrial(
            point=index, drawn=len(seen), asked=len(self.shown), concepts=sorted({probe.concept for probe in seen}))

    def banned(self, edit: Edit | None, probes: Sequence[Probe]) -> list[Probe] | None:
        """The probes whose picture shows what is banned, of the base (None) or an edit of it."""
        images = self._drawn(edit, [p.prompt for p in probes], [p.seed for p in probes])
        if images is None or self.asked.detectors is None:
            return None
        seen = []
        for category in dict.fromkeys(p.category for p in probes):
            own = [n for n, p in enumerate(probes) if p.category == category]
            queries = [self.asked.detectors.query(probes[n], images[n]) for n in own]
            looked = score_pictures(self.asked.detectors, category, [images[n] for n in own], queries)
            seen += [probes[n] for n, judged in zip(own, looked, strict=True) if judged.present]
        return seen

    def moved(self, index: int) -> float | None:
        """How far pictures of what was not given move at a point, see ``shift``."""
        away = self._away(self.line.at(self.line.points[index], {})[0])
        if away is not None and self.others:
            self.shifts.append(FitShift(point=index, moved=away, asked=len(self.others)))
        return away

    def weighing(self, strong: int, chosen: int, near: FitTrial, unasked: Collection[str]) -> Weighing | None:
        """Rounds of weighing from a point that is gentler than ``strong``, the one that erases with a margin.

        They are taken where they erase with much less harm than it, or are worth more than ``chosen``.
        near: the trial that tells what ``chosen`` draws. unasked: concepts that no picture showed. They come to count
        as at that point, or as the concept that counts most. Returns None when the budget is spent before a round.
        """
        points = self.line.points
        start = gentler(points, strong)
        # one of each name, and as many as said something in a trial
        count, every = max(len(self.shown), min(names(self.plan), len(self.asked.probes))), self.asked.more
        self._advance = self.progress.start("weighing what is still drawn (pictures)",
                                            ROUNDS * count + len(self.others))
        turn = iter(range(ROUNDS))

        def look(weights: Mapping[str, float]) -> FitRound | None:
            number = next(turn)
            probes = [every[(number * count + n) % len(every)] for n in range(count)]
            probes = [replace(p, seed=seed_for(self.plan.seed + ROUND_SEED, number, p.prompt)) for p in probes]
            if self._count + count + len(self.others) > self.most:
                return None
            try:
                edit, point = self.line.at(points[start], weights)
            except NumericalError:
                return None
            seen = self.banned(edit, probes)
            return None if seen is None else FitRound(
                drawn=len(seen), asked=count, concepts=sorted({probe.concept for probe in seen}), left=point.left,
                harm=point.harm)

        rounds, weights = weigh(look, ROUNDS)
        if not rounds:
            return None
        if unasked:
            count_most = max([points[start].weight / points[strong].weight, 1.0, *weights.values()])
            weights |= dict.fromkeys(unasked, count_most)
        made = None
        for reserve in RESERVES:
            counts = {target.id: reserve * weights.get(target.id, 1.0) for target in sorted(
                self.plan.targets, key=lambda target: target.id)}
            try:
                made = counts, *self.line.at(points[start], counts)
            except NumericalError:
                continue
            if made[2].harm <= GENTLER * points[strong].harm:
                break
        if made is None:
            return None
        counts, edit, last = made
        away, taken = None, rounds[-1].erases and last.harm <= GENTLER * points[strong].harm
        before = worth(near, next((each.moved for each in self.shifts if each.point == chosen), 0.0))
        if not taken and worth(rounds[-1], 0.0) > before:
            away = self._away(edit)
            taken = away is not None and worth(rounds[-1], away) > before
        return Weighing(point=start, rounds=rounds, left=last.left, harm=last.harm, moved=away, taken=taken,
                        weights=counts)

    def _away(self, edit: Edit) -> float | None:
        if len(self.others) < 2:
            return 0.0  # nothing to compare: what is erased decides alone
        seeds = [(self.plan.seed + SHIFT_SEED) % 2**32] * len(self.others)
        self._before = self._before or self._drawn(None, self.others, seeds) or []
        after = self._drawn(edit, self.others, seeds)
        return None if after is None else round(shift(self._before, after), 4)

    def _drawn(self, edit: Edit | None, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image] | None:
        begun = time.monotonic()
        if edit is not None and begun - self._started + self._last > self.seconds:
            return None
        workers = asked().workers
        images = list(self._edited.draw(edit or {}, prompts, seeds, self.plan.generation) if workers is None else
                      drawn_by(workers, self.plan, edit or {}, prompts, seeds))
        self._advance(len(prompts))
        self._count += len(prompts)
        self._last = time.monotonic() - begun
        return images


