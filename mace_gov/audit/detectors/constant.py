"""Find everything absent, or everything present, whatever the picture. They test the gate; no verdict rests on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.documents.detector import DetectorCard

if TYPE_CHECKING:
    from PIL.Image import Image


class AlwaysAbsent:
    """Scores every picture 0.0."""

    name = "always-absent"
    _score = 0.0

    def __init__(self, *, threshold: float | None = None, classes: list[str] | None = None) -> None:
        self.threshold = 0.5 if threshold is None else threshold
        self.classes = classes

    def looks_for(self, query: Query) -> bool:
        """True: it takes every question."""
        return True

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """One fixed score for each picture, whatever was asked."""
        return [self._score] * len(images)

    def card(self) -> DetectorCard:
        """A card without sensitivity and specificity: neither was measured."""
        return DetectorCard(name=self.name, version="1", threshold=self.threshold, classes=self.classes)


class AlwaysPresent(AlwaysAbsent):
    """Scores every picture 1.0."""

    name = "always-present"
    _score = 1.0
