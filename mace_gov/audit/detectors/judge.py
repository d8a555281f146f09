"""The embedded model's judge: which of its concepts, and which of its styles, is in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.relative import relative_score
from mace_gov.audit.metrics.intervals import CONFIDENCE, bounds
from mace_gov.audit.probes.lexicon import plain_style, style_classes, subject_classes
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.core.lazy import lookup
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.detector_info import SMALL_SIDE
from mace_gov.documents.rate import Estimate
from mace_gov.embedded import JUDGE_DIR, vocabulary

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = JUDGE_DIR / "judge.safetensors"

THRESHOLD = 0.5
"""The score at which the concept is the judge's first choice, see ``relative_score``."""


class JudgeDetector:
    """Top-1 recognition by the embedded model's judge.

    A phrase that it does not know is an error, larger pictures are not for it.
    """

    name = "judge"

    def __init__(
        self, *, threshold: float | None = None, classes: list[str] | None = None, judge: Any = None, known: Any = None,
    ) -> None:
        """``judge``: a ``mace_gov.embedded.judge.Judge``; ``known``: its vocabulary. Those that ship when None."""
        if classes is not None:
            raise PolicyError("detector judge: found classes, expected none: it looks for the concepts of the policy")
        self.threshold = THRESHOLD if threshold is None else threshold
        self._judge = _shipped() if judge is None else judge
        known = vocabulary() if known is None else known
        self._subjects = subject_classes(self._judge.classes, known)
        self._styles = style_classes(self._judge.styles, known)

    def looks_for(self, query: Query) -> bool:
        """Everything in pictures of the embedded model's size; a phrase that it does not know is then unscored."""
        return query.side <= SMALL_SIDE

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """``relative_score`` of each picture's query."""
        wanted = [self._classes_of(query) for query in queries]
        seen = self._judge.predict(list(images))
        rows = zip(seen.concept_probs, seen.style_probs, queries, wanted, strict=True)
        return [
            relative_score(np.asarray(style if query.facet == "style" else subject, dtype=np.float64), classes)
            for subject, style, query, classes in rows
        ]

    def features(self, images: Sequence[Image]) -> np.ndarray:
        """The layer that its decisions rest on, [n, 320]: what distances between sets of pictures are taken in."""
        features: np.ndarray = self._judge.features(list(images))
        return features

    def _classes_of(self, query: Query) -> list[int]:
        known: Mapping[str, int] = self._styles if query.facet == "style" else self._subjects
        plain = plain_style if query.facet == "style" else phrase_key
        if unknown := [phrase for phrase in query.phrases if plain(phrase) not in known]:
            raise DetectorError(f"judge: '{unknown[0]}' is none of the {len(known)} {query.facet} phrases it knows")
        return sorted({known[plain(phrase)] for phrase in query.phrases})

    def card(self) -> DetectorCard:
        """Version, weights and the quality measured, at its own threshold, on renderings it was not trained on."""
        facts = self._judge.facts
        sensitivity, specificity = quality(facts) if self.threshold == THRESHOLD else (None, None)
        return DetectorCard(
            name=self.name,
            version=str(facts.get("version", "1")),
            weights_digest=sha256_file(WEIGHTS) if WEIGHTS.is_file() else None,
            threshold=self.threshold,
            sensitivity=sensitivity,
            specificity=specificity,
        )


def _shipped() -> Any:
    try:
        return lookup("mace_gov.embedded.judge:Judge").load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DetectorError(f"judge: its weights do not load: {type(error).__name__}: {error}") from error


def quality(facts: Mapping[str, Any]) -> tuple[Estimate | None, Estimate | None]:
    """Sensitivity and specificity from judge.json, over all classes; None where it was not measured.

    Specificity is that of one class against the rest, pooled. A held-out picture is a negative of every class but its
    own, which makes it one independent trial and not several hundred, so n is the number of pictures for both.
    """
    overall, classes = facts.get("overall"), list(facts.get("by_class", {}).values())
    if not overall or not classes:
        return None, None
    negatives = sum(one["n_negative"] for one in classes)
    specificity = sum(one["specificity"] * one["n_negative"] for one in classes) / negatives
    n = int(overall["n"])
    return _rate(overall["hits"] / n, n), _rate(specificity, n)


def _rate(value: float, n: int) -> Estimate:
    low, high = bounds(value * n, n, CONFIDENCE)
    return Estimate(
        value=value, n=n, hits=round(value * n), clusters=n, effective_n=n, low=low, high=high, confidence=CONFIDENCE
    )
