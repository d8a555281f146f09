"""What fitting the erasure to a model tried, and what it chose. It is part of the plan, so no time stands in it."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.base import Document, Slug


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
    chosen: int
    """The point whose settings the plan holds."""
    loras: list[Slug] | None = None
    """Concepts that get a LoRA, being drawn by the refinement alone; absent: all of them."""
