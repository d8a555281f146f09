"""A detector: does a picture look dark? Known to mace-gov by the package's entry point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.documents.detector import DetectorCard


class Dark:
    """Scores how dark a picture is, whatever it is asked about."""

    name = "dark"

    def __init__(self, *, threshold: float | None = None, classes: list[str] | None = None) -> None:
        self.threshold = 0.5 if threshold is None else threshold

    def looks_for(self, query: Query) -> bool:
        """Bans alone."""
        return query.banned

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """1 for black, 0 for white."""
        return [1 - float(np.asarray(image.convert("L")).mean()) / 255 for image in images]

    def card(self) -> DetectorCard:
        """Its errors have not been measured: `mace-gov detectors calibrate` measures them."""
        return DetectorCard(name=self.name, version="1", weights_digest=None, threshold=self.threshold)
