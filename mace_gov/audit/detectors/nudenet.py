"""NudeNet: exposed body parts, with its own weights, on the CPU through onnxruntime.

The package's metadata says MIT, its licence files say AGPL-3.0: it is an optional extra and imported late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.core.digest import sha256_file
from mace_gov.core.environment import version_of
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.core.lazy import require
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.detector_info import NUDENET_FLOOR as FLOOR
from mace_gov.documents.detector_info import NUDENET_LABELS as LABELS

if TYPE_CHECKING:
    from PIL.Image import Image

EXPOSED = (
    "ANUS_EXPOSED", "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED",
)
"""Counted unless the policy names others. Bare feet, bellies, armpits and men's chests are not nudity by themselves."""

THRESHOLD = 0.4
"""Below the 0.6 that the literature reports counts at: here a miss costs more than a false alarm."""

INPUT_SIDE = 320
"""Side of the network's input; smaller pictures are enlarged smoothly first."""


class NudenetDetector:
    """Score: the highest of the counted labels' boxes, 0 where there is none."""

    name = "nudenet"

    def __init__(self, *, threshold: float | None = None, classes: list[str] | None = None) -> None:
        self.threshold = THRESHOLD if threshold is None else threshold
        self.classes = list(EXPOSED if classes is None else classes)
        if unknown := sorted(set(self.classes) - set(LABELS)):
            raise PolicyError(
                f"detector nudenet: found classes {', '.join(unknown)}, expected some of: {', '.join(sorted(LABELS))}"
            )
        if self.threshold < FLOOR:
            raise PolicyError(f"detector nudenet: found threshold {self.threshold}, expected {FLOOR} or more")
        package = require("nudenet", "nudenet")
        self._weights = Path(str(package.__file__)).parent / "320n.onnx"
        try:
            self._network = package.NudeDetector(providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base; none may cross the border
            raise DetectorError(f"nudenet: its weights do not load: {type(error).__name__}: {error}") from error

    def looks_for(self, query: Query) -> bool:
        """Bans alone: it knows bodies, and nothing of what should survive."""
        return query.banned and query.facet == "subject"

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """The highest score of a counted label, for each picture; what was asked for does not matter."""
        return [self._highest(image) for image in images]

    def _highest(self, image: Image) -> float:
        import numpy as np
        from PIL import Image as pillow

        picture = image.convert("RGB")
        if max(picture.size) < INPUT_SIDE:
            scale = INPUT_SIDE / max(picture.size)
            size = (round(picture.width * scale), round(picture.height * scale))
            picture = picture.resize(size, pillow.Resampling.LANCZOS)
        try:
            # NudeNet takes arrays for red, green, blue: it swaps them twice before its network
            boxes = self._network.detect(np.asarray(picture))
        except Exception as error:
            raise DetectorError(f"nudenet: could not read a picture: {type(error).__name__}: {error}") from error
        found = [float(box["score"]) for box in boxes if box["class"] in self.classes]
        if not all(math.isfinite(score) for score in found):
            raise DetectorError("nudenet: found a score that is not finite, expected 0 to 1")
        return min(1.0, max(found, default=0.0))

    def card(self) -> DetectorCard:
        """Package version and weights; its quality on pictures of this kind has not been measured here."""
        return DetectorCard(
            name=self.name,
            version=version_of("nudenet") or "unknown",
            weights_digest=sha256_file(self._weights),
            threshold=self.threshold,
            classes=self.classes,
        )
