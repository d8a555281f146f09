"""People against detectors, and people against one another. Pure; pictures that either left undecided count nowhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mace_gov.core.proportion import clopper_pearson
from mace_gov.documents.detector import Calibration, DetectorCard
from mace_gov.documents.rate import Estimate
from mace_gov.documents.review import Label, PictureRef

CONFIDENCE = 0.95
"""Of each one-sided bound, as in the audit."""
TWO_SIDED = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Table:
    """Two readers on the same pictures."""

    both: int
    """Both say present."""
    only_first: int
    """The first alone says present."""
    only_second: int
    """The second alone says present."""
    neither: int
    """Both say absent."""

    @property
    def n(self) -> int:
        """Pictures that both decided."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def observed(self) -> float:
        """Share of pictures on which they agree; 0 where there are none."""
        return (self.both + self.neither) / self.n if self.n else 0.0

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa (Educ. Psychol. Meas. 20 (1960) 37-46): agreement beyond chance, 1 = whole, 0 = chance.

        None where it is not defined: no pictures, or both say the same of all.
        """
        chance = self._chance
        return None if self.n == 0 or chance >= 1 else (self.observed - chance) / (1 - chance)

    @property
    def kappa_bounds(self) -> tuple[float, float] | None:
        """Two-sided 95 % interval from Cohen's own large-sample error, held within -1..1."""
        if (kappa := self.kappa) is None:
            return None
        error = math.sqrt(self.observed * (1 - self.observed) / self.n) / (1 - self._chance)
        return max(-1.0, kappa - TWO_SIDED * error), min(1.0, kappa + TWO_SIDED * error)

    @property
    def _chance(self) -> float:
        if self.n == 0:
            return 1.0
        first, second = (self.both + self.only_first) / self.n, (self.both + self.only_second) / self.n
        return first * second + (1 - first) * (1 - second)


def table(pairs: Iterable[tuple[bool, bool]]) -> Table:
    """The table of (first, second) on each picture."""
    found = list(pairs)
    return Table(
        both=sum(a and b for a, b in found), only_first=sum(a and not b for a, b in found),
        only_second=sum(b and not a for a, b in found), neither=sum(not (a or b) for a, b in found),
    )


def decided(labels: Mapping[PictureRef, Label]) -> dict[PictureRef, bool]:
    """Labels without those that are unsure, as present or not."""
    return {picture: label is Label.PRESENT for picture, label in labels.items() if label is not Label.UNSURE}


def against(people: Mapping[PictureRef, bool], detectors: Mapping[PictureRef, bool | None]) -> Table:
    """People (first) against detectors (second)."""
    return table((seen, found) for picture, seen in people.items()
                 if (found := detectors.get(picture)) is not None)


def parted(
    people: Mapping[PictureRef, bool], detectors: Mapping[PictureRef, bool | None]
) -> list[tuple[PictureRef, bool, bool]]:
    """Where they part, as (picture, people, detectors): first what detectors missed, then what they made up."""
    found = [(picture, seen, other) for picture, seen in people.items()
             if (other := detectors.get(picture)) is not None and other is not seen]
    return sorted(found, key=lambda each: (not each[1], each[0].category, each[0].concept, each[0].image))


def errors(
    people: Mapping[PictureRef, bool], detectors: Mapping[PictureRef, bool | None]
) -> tuple[Estimate, Estimate]:
    """Sensitivity and specificity of detectors, people taken for the truth. Each picture file is one trial."""
    rates = []
    for shown in (True, False):
        right = [(other is shown, picture.image) for picture, seen in people.items()
                 if seen is shown and (other := detectors.get(picture)) is not None]
        rates.append(_estimate([hit for hit, _ in right], [name for _, name in right]))
    return rates[0], rates[1]


def calibration(
    card: DetectorCard, people: Mapping[PictureRef, bool], found: Mapping[PictureRef, bool | None], labels_digest: str
) -> Calibration | None:
    """A detector's errors as a registry keeps them; None where people saw no picture of one of the two sorts."""
    sensitivity, specificity = errors(people, found)
    if not (sensitivity.n and specificity.n):
        return None
    return Calibration(
        detector=card.name, version=card.version, weights_digest=card.weights_digest, threshold=card.threshold,
        classes=card.classes, labels_digest=labels_digest, sensitivity=sensitivity, specificity=specificity,
        failures=sum(found.get(picture) is None for picture in people),
    )


def _estimate(outcomes: Sequence[bool], files: Sequence[str]) -> Estimate:
    """A rate whose trials are as many as there are different files, at most: one picture may be asked several things.

    With files that repeat, each file counts as one trial of the whole, which is never too narrow.
    """
    n, hits, clusters = len(outcomes), sum(outcomes), len(set(files))
    if n == 0:
        return Estimate(value=0, n=0, hits=0, clusters=0, effective_n=0, low=0, high=1, confidence=CONFIDENCE)
    low, high = clopper_pearson(hits / n * clusters, clusters, CONFIDENCE)
    return Estimate(value=hits / n, n=n, hits=hits, clusters=clusters, effective_n=float(clusters), low=low, high=high,
                    confidence=CONFIDENCE)
