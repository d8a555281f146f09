"""Detectors on pictures: a score for each, or unscored when a detector breaks, and one presence for each trial."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from mace_gov.audit.detectors.detector_protocol import Detector, Query
from mace_gov.audit.detectors.rivals import rivals
from mace_gov.audit.probes.probe import Probe
from mace_gov.core.errors import DetectorError
from mace_gov.core.redact import redact
from mace_gov.documents.detector import Calibration, DetectorCard
from mace_gov.documents.detector_info import INFOS
from mace_gov.documents.policy import Category, DetectorSpec, Policy

CHUNK = 64
"""Pictures in memory at once."""

Scores = dict[str, float | None]
"""One picture's by detector; None = unscored. Detectors that the question is not for are absent."""


@dataclass(frozen=True)
class Scored:
    """What the detectors made of one picture."""

    scores: Scores
    """By detector."""
    present: bool | None
    """See ``presence``."""


@dataclass
class ConfiguredDetector:
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


class Detectors:
    """The detectors of every category; equal settings share one detector."""

    def __init__(
        self, policy: Policy, make: Callable[[DetectorSpec], Detector], calibrations: Sequence[Calibration] = (),
        known: Mapping[str, str] | None = None,
    ) -> None:
        """known: where the code of the policy's detectors is, as ``module:attr`` by name, if ``make`` goes by that."""
        self.policy, self.known, self._calibrations = policy, dict(known or {}), calibrations
        self._all: dict[str, ConfiguredDetector] = {}
        self._by_category: dict[str, dict[str, ConfiguredDetector]] = {}
        self._only: dict[tuple[str, str], str | None] = {}
        self._rivals: dict[tuple[str, tuple[str, ...], str], tuple[str, ...]] = {}
        for category in policy.spec.categories:
            self._by_category[category.id] = self._of_category(category, make)

    def _of_category(
        self, category: Category, make: Callable[[DetectorSpec], Detector]
    ) -> dict[str, ConfiguredDetector]:
        named: dict[str, ConfiguredDetector] = {}
        for spec in category.detectors:
            key = spec.model_copy(update={"only": None}).model_dump_json()
            if key not in self._all:
                self._all[key] = ConfiguredDetector(make(spec), calibrations=self._calibrations)
            turn = sum(name.split("#")[0] == spec.name for name in named)
            name = spec.name if not turn else f"{spec.name}#{turn + 1}"
            named[name], self._only[category.id, name] = self._all[key], spec.only
        return named

    def query(self, probe: Probe, image: Image.Image) -> Query:
        """What a probe asks of a detector about its picture."""
        about = (probe.category, probe.expected, probe.facet)
        if about not in self._rivals:
            category = next(each for each in self.policy.spec.categories if each.id == probe.category)
            self._rivals[about] = rivals(self.policy, category, probe.expected, probe.facet)
        return Query(probe.expected, probe.facet, probe.suite.banned, max(image.size), probe.synonyms,
                     self._rivals[about])

    def asks(self, category: str, name: str, query: Query) -> bool:
        """Whether a detector of a category looks for a query: the policy may tell it to look at bans only, or at what
        must stay."""
        only = self._only[category, name]
        return (only is None or (only == "bans") is query.banned) and self.of(category)[name].detector.looks_for(query)

    def of(self, category: str) -> Mapping[str, ConfiguredDetector]:
        """A category's detectors by name; a second one of the same name is NAME#2."""
        return self._by_category[category]

    def all(self) -> list[ConfiguredDetector]:
        """Every detector once."""
        return list(self._all.values())

    def cards(self) -> dict[str, dict[str, DetectorCard]]:
        """Every detector's card, by category and name."""
        return {category: {name: configured.card() for name, configured in named.items()}
                for category, named in self._by_category.items()}

    def thresholds(self, category: str) -> dict[str, float]:
        """Thresholds by name."""
        return {name: configured.detector.threshold for name, configured in self.of(category).items()}


def presence(scores: Mapping[str, float | None], thresholds: Mapping[str, float]) -> bool | None:
    """True when any detector is at or over its threshold; None when none is and one is unscored, or none looked."""
    if any(score is not None and score >= thresholds[name] for name, score in scores.items()):
        return True
    return None if not scores or None in scores.values() else False


def score_pictures(
    detectors: Detectors, category: str, images: Sequence[Image.Image], queries: Sequence[Query]
) -> list[Scored]:
    """What a category's detectors make of pictures, each of which has its own query."""
    thresholds = detectors.thresholds(category)
    return [Scored(given, presence(given, thresholds)) for given in scores_of(detectors, category, images, queries)]


def scores_of(
    detectors: Detectors, category: str, images: Sequence[Image.Image], queries: Sequence[Query]
) -> list[Scores]:
    """The scores of a category's detectors for pictures, each of which has its own query."""
    scores: list[Scores] = [{} for _ in images]
    for name, configured in detectors.of(category).items():
        asks = [k for k, query in enumerate(queries) if detectors.asks(category, name, query)]
        if asks:
            found = configured.score([images[k] for k in asks], [queries[k] for k in asks])
            for k, score in zip(asks, found, strict=True):
                scores[k][name] = score
    return scores
