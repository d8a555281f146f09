"""Detectors on pictures: a score for each, or unscored when a detector breaks, and one presence for each trial."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from mace_gov.audit.detectors.base import Detector, Query
from mace_gov.audit.detectors.rivals import rivals
from mace_gov.audit.pictures import Picture, Wanted, open_picture
from mace_gov.audit.probes.base import Probe
from mace_gov.core.errors import DetectorError
from mace_gov.core.redact import redact
from mace_gov.documents.detector import Calibration, DetectorCard
from mace_gov.documents.detector_info import INFOS
from mace_gov.documents.policy import Category, DetectorSpec, Policy

CHUNK = 64
"""Pictures in memory at once."""


@dataclass(frozen=True)
class Sight:
    """What the detectors made of one picture."""

    scores: dict[str, float | None]
    """By detector; None = unscored. Detectors that the question is not for are absent."""
    present: bool | None
    """See ``presence``."""


@dataclass
class Seat:
    """One detector as a policy configures it, and how often it broke."""

    detector: Detector
    """The detector."""
    failures: int = 0
    """Pictures that it broke on."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why, with counts."""
    calibrations: Sequence[Calibration] = ()
    """Errors that were measured on labelled pictures, of this detector or others."""

    def card(self) -> DetectorCard:
        """The detector's card with its failures, and with the errors that a calibration of just this detector gives."""
        card = self.detector.card()
        update: dict[str, object] = {"failures": self.failures}
        for calibration in self.calibrations:
            if calibrated(card, calibration):
                update |= {"sensitivity": calibration.sensitivity, "specificity": calibration.specificity}
        return card.model_copy(update=update)

    def score(self, images: Sequence[Image.Image], queries: Sequence[Query]) -> list[float | None]:
        """One score a picture. When a batch breaks, its pictures are tried one by one, so that one costs one trial."""
        try:
            return _checked(self.detector.score(images, queries), len(images))
        except Exception as error:
            if len(images) == 1:
                self.failures += 1
                said = str(error) if isinstance(error, DetectorError) else f"{type(error).__name__}: {error}"
                self.reasons[redact(said)] += 1  # they are signed and published
                return [None]
        return [self.score([image], [query])[0] for image, query in zip(images, queries, strict=True)]


def _checked(scores: Sequence[float], expected: int) -> list[float | None]:
    if len(scores) != expected:
        raise DetectorError(f"found {len(scores)} scores, expected {expected}")
    for score in scores:
        if not (math.isfinite(score) and 0 <= score <= 1):
            raise DetectorError(f"found the score {score}, expected 0 to 1")
    return [float(score) for score in scores]


def calibrated(card: DetectorCard, calibration: Calibration) -> bool:
    """Whether a calibration is of this very detector: name, version, weights, threshold and classes.

    Never of one that chooses among the words of a policy, which no table of labels knows.
    """
    if card.classes is None and card.name in INFOS and INFOS[card.name].rivals:
        return False
    return (card.name, card.version, card.weights_digest, card.threshold, card.classes) == (
        calibration.detector, calibration.version, calibration.weights_digest, calibration.threshold,
        calibration.classes,
    )


class Panels:
    """The detectors of every category; equal settings share one detector."""

    def __init__(
        self, policy: Policy, make: Callable[[DetectorSpec], Detector], calibrations: Sequence[Calibration] = ()
    ) -> None:
        self._policy, self._calibrations = policy, calibrations
        self._seats: dict[str, Seat] = {}
        self._by_category: dict[str, dict[str, Seat]] = {}
        self._only: dict[tuple[str, str], str | None] = {}
        self._rivals: dict[tuple[str, tuple[str, ...], str], tuple[str, ...]] = {}
        for category in policy.spec.categories:
            self._by_category[category.id] = self._panel(category, make)

    def _panel(self, category: Category, make: Callable[[DetectorSpec], Detector]) -> dict[str, Seat]:
        panel: dict[str, Seat] = {}
        for spec in category.detectors:
            key = spec.model_copy(update={"only": None}).model_dump_json()
            if key not in self._seats:
                self._seats[key] = Seat(make(spec), calibrations=self._calibrations)
            turn = sum(name.split("#")[0] == spec.name for name in panel)
            name = spec.name if not turn else f"{spec.name}#{turn + 1}"
            panel[name], self._only[category.id, name] = self._seats[key], spec.only
        return panel

    def query(self, probe: Probe, image: Image.Image) -> Query:
        """What a probe asks of a detector about its picture."""
        about = (probe.category, probe.expected, probe.facet)
        if about not in self._rivals:
            category = next(each for each in self._policy.spec.categories if each.id == probe.category)
            self._rivals[about] = rivals(self._policy, category, probe.expected, probe.facet)
        return Query(probe.expected, probe.facet, probe.suite.banned, max(image.size), probe.synonyms,
                     self._rivals[about])

    def asks(self, category: str, name: str, query: Query) -> bool:
        """Whether a detector of a category looks for a query: the policy may tell it to look at bans only, or at what
        must stay."""
        only = self._only[category, name]
        return (only is None or (only == "bans") is query.banned) and self.of(category)[name].detector.looks_for(query)

    def of(self, category: str) -> Mapping[str, Seat]:
        """A category's detectors by name; a second one of the same name is NAME#2."""
        return self._by_category[category]

    def seats(self) -> list[Seat]:
        """Every detector once."""
        return list(self._seats.values())

    def cards(self) -> dict[str, dict[str, DetectorCard]]:
        """Every detector's card, by category and name."""
        return {category: {name: seat.card() for name, seat in panel.items()}
                for category, panel in self._by_category.items()}

    def thresholds(self, category: str) -> dict[str, float]:
        """Thresholds by name."""
        return {name: seat.detector.threshold for name, seat in self.of(category).items()}


def presence(scores: Mapping[str, float | None], thresholds: Mapping[str, float]) -> bool | None:
    """True when any detector is at or over its threshold; None when none is and one is unscored, or none looked."""
    if any(score is not None and score >= thresholds[name] for name, score in scores.items()):
        return True
    return None if not scores or None in scores.values() else False


def look(
    probes: Sequence[Probe], pictures: Mapping[Wanted, Picture], panels: Panels, out: Path, *,
    advance: Callable[[int], None],
) -> list[Sight]:
    """One ``Sight`` for each probe, in order."""
    found: list[Sight | None] = [None] * len(probes)
    for category, places in _by_category(probes):
        for start in range(0, len(places), CHUNK):
            part = places[start:start + CHUNK]
            images = [open_picture(out, pictures[probes[i].prompt, probes[i].seed]) for i in part]
            queries = [panels.query(probes[i], image) for i, image in zip(part, images, strict=True)]
            for i, sight in zip(part, sights(panels, category, images, queries), strict=True):
                found[i] = sight
            advance(len(part))
    return [sight for sight in found if sight is not None]


def sights(
    panels: Panels, category: str, images: Sequence[Image.Image], queries: Sequence[Query]
) -> list[Sight]:
    """What a category's detectors make of pictures, each of which has its own query."""
    scores: list[dict[str, float | None]] = [{} for _ in images]
    for name, seat in panels.of(category).items():
        asked = [k for k, query in enumerate(queries) if panels.asks(category, name, query)]
        if asked:
            found = seat.score([images[k] for k in asked], [queries[k] for k in asked])
            for k, score in zip(asked, found, strict=True):
                scores[k][name] = score
    thresholds = panels.thresholds(category)
    return [Sight(given, presence(given, thresholds)) for given in scores]


def _by_category(probes: Sequence[Probe]) -> Iterator[tuple[str, list[int]]]:
    places: dict[str, list[int]] = {}
    for i, probe in enumerate(probes):
        places.setdefault(probe.category, []).append(i)
    yield from places.items()
