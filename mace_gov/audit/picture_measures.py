"""Numbers that need the pictures themselves and no verdict on them: distances to the base's, CLIP scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mace_gov.audit.clip import Clip
from mace_gov.audit.detectors.clip import ClipDetector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.metrics.distances import clip_scores, distances
from mace_gov.audit.metrics.measures import ACCURACIES
from mace_gov.audit.pictures import Picture, Wanted, open_picture
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.scoring import CHUNK, Detectors
from mace_gov.documents.audit import Side
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Kind, Suite

Pictures = Mapping[Side, Mapping[Wanted, Picture]]


def picture_measures(
    policy: Policy, probes: Sequence[Probe], captions: Sequence[Wanted], pictures: Pictures, detectors: Detectors,
    out: Path,
) -> dict[str, float]:
    """FID, KID and drift by each detector with features, CLIP scores where a CLIP looks.

    They are over the captions that came for this, or over the unrelated prompts where none did.
    """
    kept = list(captions) or _wanted(probes, Suite.UNRELATED)
    if not kept:
        return {}
    side = max(open_picture(out, pictures["base"][kept[0]]).size)
    found: dict[str, float] = {}
    for detector in (configured.detector for configured in detectors.all()):
        features = getattr(detector, "features", None)
        if features is not None and detector.looks_for(Query((), "subject", False, side)):
            base, governed = (
                np.concatenate([features(images) for _, images in _chunks(kept, pictures[each], out)])
                for each in ("base", "governed")
            )
            found |= distances(base, governed, detector.name)
    clip = next((each.detector for each in detectors.all() if isinstance(each.detector, ClipDetector)), None)
    if clip is not None:
        found |= _clip_measures(policy, probes, kept, pictures, clip.clip, out)
        found |= _recognised(probes, pictures["governed"], clip, detectors, out)
    return found


def _recognised(
    probes: Sequence[Probe], pictures: Mapping[Wanted, Picture], clip: ClipDetector, detectors: Detectors, out: Path
) -> dict[str, float]:
    """What papers call accuracy, in both its meanings: share of first choices, and mean probability."""
    found: dict[str, float] = {}
    for name, suite in ACCURACIES.items():
        own = [probe for probe in probes if probe.suite is suite]
        seen: list[tuple[bool, float]] = []
        for start in range(0, len(own), CHUNK):
            part = own[start:start + CHUNK]
            images = [open_picture(out, pictures[probe.prompt, probe.seed]) for probe in part]
            seen += clip.recognised(images, [detectors.query(*each) for each in zip(part, images, strict=True)])
        if seen:
            first, probability = zip(*seen, strict=True)
            found[name.replace("Acc", "CLIP_top1")] = float(np.mean(first))
            found[name.replace("Acc", "CLIP_probability")] = float(np.mean(probability))
    return found


def _clip_measures(
    policy: Policy, probes: Sequence[Probe], kept: list[Wanted], pictures: Pictures, clip: Clip, out: Path
) -> dict[str, float]:
    styles = {category.id for category in policy.spec.categories if category.kind is Kind.STYLE}
    styled = [probe for probe in probes if probe.category in styles]
    terms: dict[str, tuple[Side, list[Wanted]]] = {
        "CLIP_base": ("base", kept), "CLIP_governed": ("governed", kept),
        "CLIP_e": ("governed", _wanted(styled, Suite.DIRECT)), "CLIP_s": ("governed", _wanted(styled, Suite.UNRELATED)),
    }
    found: dict[str, float] = {}
    for name, (side, wanted) in terms.items():
        if wanted:
            parts = (clip_scores(clip, images, [prompt for prompt, _ in part])
                     for part, images in _chunks(wanted, pictures[side], out))
            found[name] = float(np.concatenate(list(parts)).mean())
    if "CLIP_e" in found and "CLIP_s" in found:
        found["H_a"] = found["CLIP_s"] - found["CLIP_e"]
    return found


def _wanted(probes: Sequence[Probe], suite: Suite) -> list[Wanted]:
    return list(dict.fromkeys((probe.prompt, probe.seed) for probe in probes if probe.suite is suite))


def _chunks(
    wanted: Sequence[Wanted], pictures: Mapping[Wanted, Picture], out: Path
) -> Iterator[tuple[Sequence[Wanted], list[Image.Image]]]:
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start:start + CHUNK]
        yield part, [open_picture(out, pictures[want]) for want in part]
