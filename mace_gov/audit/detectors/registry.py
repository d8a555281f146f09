"""Detectors by name, each a ``module:attr`` string that is imported when a policy asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mace_gov.core.errors import PolicyError
from mace_gov.core.lazy import lookup
from mace_gov.documents.policy import DetectorSpec

if TYPE_CHECKING:
    from mace_gov.audit.detectors.base import Detector

DETECTORS: dict[str, str] = {
    "judge": "mace_gov.audit.detectors.judge:JudgeDetector",
    "nudenet": "mace_gov.audit.detectors.nudenet:NudenetDetector",
    "always-present": "mace_gov.audit.detectors.always_present:AlwaysPresent",
    "always-absent": "mace_gov.audit.detectors.always_absent:AlwaysAbsent",
}
"""Everything that a policy may name."""


def make_detector(spec: DetectorSpec, *, known: Mapping[str, str] = DETECTORS) -> Detector:
    """The detector that a policy names, with its settings.

    Raises PolicyError for an unknown name or settings that the detector does not take, MissingExtraError when its
    package is not installed, DetectorError when its weights do not load.
    """
    if spec.name not in known:
        raise PolicyError(f"detectors: found '{spec.name}', expected one of: {', '.join(sorted(known))}")
    return lookup(known[spec.name])(threshold=spec.threshold, classes=spec.classes)
