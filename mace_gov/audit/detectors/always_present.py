"""Finds everything present, whatever the picture. It tests the gate; no verdict should rest on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mace_gov.audit.detectors.base import Query
from mace_gov.documents.detector import DetectorCard

if TYPE_CHECKING:
    from PIL.Image import Image


class AlwaysPresent:
    """Scores every picture 1.0."""

    name = "always-present"

    def __init__(self, *, threshold: float | None = None, classes: list[str] | None = None) -> None:
        self.threshold = 0.5 if threshold is None else threshold
        self.classes = classes

    def looks_for(self, query: Query) -> bool:
        """Everything."""
        return True

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """1.0 for each."""
        return [1.0] * len(images)

    def card(self) -> DetectorCard:
        """It has no quality to speak of."""
        return DetectorCard(name=self.name, version="1", threshold=self.threshold, classes=self.classes)
