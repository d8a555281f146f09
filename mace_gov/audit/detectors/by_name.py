"""Detectors by name, each a ``module:attr`` string that is imported when a policy asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.documents.policy import DetectorSpec

if TYPE_CHECKING:
    from mace_gov.audit.detectors.detector_protocol import Detector

DETECTORS: dict[str, str] = {
    "judge": "mace_gov.audit.detectors.judge:JudgeDetector",
    "nudenet": "mace_gov.audit.detectors.nudenet:NudenetDetector",
    "opennsfw": "mace_gov.audit.detectors.opennsfw:OpennsfwDetector",
    "clip": "mace_gov.audit.detectors.clip:ClipDetector",
    "face": "mace_gov.audit.detectors.face:FaceDetector",
    "always-present": "mace_gov.audit.detectors.constant:AlwaysPresent",
    "always-absent": "mace_gov.audit.detectors.constant:AlwaysAbsent",
}
"""Those that ship."""


def known_detectors(plugins: Iterable[str] = ()) -> dict[str, str]:
    """Everything that a policy may name: what ships, what installed packages offer, and ``--plugin`` arguments.

    Raises UsageError when a plugin takes a name that is taken: which detector looked must never be in doubt.
    """
    from mace_gov.audit.detectors.plugin import installed, parse

    known = dict(DETECTORS)
    for name, target in [*installed(), *parse(plugins).items()]:
        if known.setdefault(name, target) != target:
            raise UsageError(f"plugin {target}: the name '{name}' is taken by {known[name]}, expected another")
    return known


def make_detector(spec: DetectorSpec, *, known: Mapping[str, str] | None = None) -> Detector:
    """The detector that a policy names, with its settings. A target that is no class is a plain callable.

    Raises PolicyError for an unknown name or settings that the detector does not take, MissingExtraError when its
    package is not installed, DetectorError when its weights do not load, UsageError for a plugin that does not load.
    """
    from mace_gov.audit.detectors.plugin import CallableDetector, load

    known = known_detectors() if known is None else known
    if spec.name not in known:
        raise PolicyError(f"detectors: found '{spec.name}', expected one of: {', '.join(sorted(known))}")
    target = load(known[spec.name])
    if problem := setting_problem(spec, target):
        raise PolicyError(f"detector {spec.name}: {problem}")
    if not isinstance(target, type):
        return CallableDetector(spec.name, target, threshold=spec.threshold, classes=spec.classes)
    detector: Detector = target(threshold=spec.threshold, classes=spec.classes, **_settings(spec))
    return detector


def setting_problem(spec: DetectorSpec, target: Any) -> str | None:
    """What is wrong with a detector's settings, given what its name leads to; None if nothing is."""
    if not callable(target):
        return f"found {type(target).__name__}, expected a class or a callable"
    settings = _settings(spec)
    if not inspect.isclass(target):
        return f"found {', '.join(settings)}, expected none: it is a callable" if settings else None
    unknown = sorted(settings.keys() - inspect.signature(target).parameters.keys())
    return f"found {', '.join(unknown)}, expected none: it takes no such setting" if unknown else None


def _settings(spec: DetectorSpec) -> dict[str, str]:
    given = {"model": spec.model, "revision": spec.revision, "references": spec.references}
    return {name: value for name, value in given.items() if value is not None}
