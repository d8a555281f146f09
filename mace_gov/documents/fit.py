"""What fitting the erasure to a model tried, and what it chose. It is part of the plan, so no time stands in it."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.document import Document, Slug

ERASED = 0.05
"""Share of pictures that may still show what is banned at a point that counts as erasing. LoRAs are for those."""


class FitPoint(Document):
    """One setting on the line from mild to strong, judged by its closed form alone."""

    weight: float
    """preserve.weight: how much the prior counts beside what is erased."""
    relative_ridge: float | None = None
    """refine.relativeRidge and fuse.relativeRidge; absent where the policy gives one of them."""
    left: float
    """Share of the way from the targets to their anchors that is left: 0 mapped whole, 1 untouched."""
    harm: float
    """Share by which the states of captions that were not given to the erasure move, of squares."""


class FitTrial(Document):
    """Pictures of the banned concepts at one point of the line."""

    point: int
    """Which point."""
    drawn: int
    """Pictures in which a detector found what is banned."""
    asked: int
    """Pictures, of prompts that the base draws."""
    concepts: list[Slug] = []
    """Whose pictures they were."""

    @property
    def erases(self) -> bool:
        """Whether so few pictures show what is banned that the point counts as erasing."""
        return self.drawn <= ERASED * self.asked


class FitShift(Document):
    """What one point of the line does to pictures of words that were not given to the erasure."""

    point: int
    """Which point."""
    moved: float
    """Mean distance of a word's picture from the base's of the same seed, as a share of that between the base's
    pictures of two words: 0 as before, 1 another word's picture."""
    asked: int
    """Pictures."""


class FitRound(Document):
    """Pictures of the banned concepts with some of them weighed more than others, from seeds of its own."""

    drawn: int
    """Pictures in which a detector found what is banned."""
    asked: int
    """Pictures."""
    concepts: list[Slug]
    """Whose pictures they were: from the next round on these weigh twice as much."""
    left: float
    """As of a point, with this round's weights."""
    harm: float
    """As of a point, with this round's weights."""

    @property
    def erases(self) -> bool:
        """As of a trial."""
        return self.drawn <= ERASED * self.asked


class Weighing(Document):
    """Rounds in which those concepts that are still drawn are weighed up, at one mild point of the line."""

    point: int
    """Which point."""
    rounds: list[FitRound]
    """In their order."""
    left: float
    """As of a point, with the weights that came of them."""
    harm: float
    """As of a point, with the weights that came of them."""
    moved: float | None = None
    """As of a shift, with these weights; absent where it could decide nothing, or the time was up."""
    taken: bool
    """Whether the plan holds this point and ``weights`` instead of the chosen point: where the last round erases
    with much less harm than the point that erases with a margin, or erased and unmoved are worth more."""
    weights: dict[Slug, float]
    """Of each concept, beside one that counts once."""


class Fit(Document):
    """A search along a line of settings for the mildest that erases with a margin."""

    by: Literal["pictures", "closed form"]
    """Whether detectors looked at pictures, or `left` alone decided."""
    why: str | None = None
    """Why no pictures were looked at; absent where they were."""
    line: list[FitPoint]
    """From mild to strong: less left, more harm."""
    trials: list[FitTrial]
    """In the order in which they were made; empty without pictures."""
    detectors: list[str] = []
    """Who looked."""
    base_asked: int = 0
    """Pictures of the base, to find the prompts by which it draws what is banned."""
    base_drawn: int = 0
    """Those that show it."""
    shifts: list[FitShift] = []
    """In the order in which they were looked at; empty without pictures."""
    chosen: int
    """The point whose settings the plan holds, unless a weighing was taken."""
    weighing: Weighing | None = None
    """What came of weighing concepts one by one; absent where the chosen point leaves everything else as it is."""
    loras: list[Slug] | None = None
    """Concepts that get a LoRA, being drawn by the refinement alone; absent: all of them."""

    @property
    def seen_to_erase(self) -> bool:
        """Whether pictures showed that a point erases, and so what the chosen one leaves."""
        return any(trial.erases for trial in self.trials) or self.weighed is not None

    @property
    def weighed(self) -> Weighing | None:
        """The weighing that the plan holds."""
        return self.weighing if self.weighing is not None and self.weighing.taken else None

    @property
    def held(self) -> int:
        """Which point of the line the plan's settings are."""
        return self.weighed.point if self.weighed else self.chosen

    @property
    def point(self) -> FitPoint:
        """That point."""
        return self.line[self.held]

    @property
    def milder(self) -> FitTrial | None:
        """The trial of the chosen point where it does not erase by itself, for what must stay."""
        trials = [] if self.weighed else self.trials
        return next((trial for trial in trials if trial.point == self.chosen and not trial.erases), None)
