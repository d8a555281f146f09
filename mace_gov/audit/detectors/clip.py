"""CLIP zero-shot: is the picture nearer to the concept's words than to those of anything else?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mace_gov.audit.clip import Clip
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.relative import relative_score
from mace_gov.audit.detectors.rivals import KNOWN
from mace_gov.audit.probes.lexicon import Entry, clear_of, plain_style
from mace_gov.core.errors import PolicyError
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.detector_info import INFOS
from mace_gov.documents.terms import Kind

if TYPE_CHECKING:
    from PIL.Image import Image

THRESHOLD = 0.5
"""The score at which the concept is the first choice, see ``relative_score``."""
CAPTIONS = ("a photo of {}", "a picture of {}", "{}")
"""How a subject is put to the model; the vectors are averaged."""
STYLE_CAPTIONS = ("a picture in the style of {}", "art by {}")
"""How a style is put to the model."""


class ClipDetector:
    """First choice of a CLIP model among the concept and its rivals: other people, styles or things, or the classes."""

    name = "clip"

    def __init__(
        self, *, threshold: float | None = None, classes: list[str] | None = None, model: str | None = None,
        revision: str | None = None, clip: Clip | None = None,
    ) -> None:
        """``model``: a folder or hub id. ``classes``: what else a picture may show. ``clip``: one that is loaded."""
        if model is None and clip is None:
            raise PolicyError("detector clip: found no model, expected a CLIP folder or hub id",
                              hint=f"In the policy: {INFOS['clip'].example}")
        self.threshold = THRESHOLD if threshold is None else threshold
        self.classes = classes
        self.clip = clip or Clip.load(str(model), revision=revision)

    def looks_for(self, query: Query) -> bool:
        """Everything that has words."""
        return True

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """``relative_score`` of the query's phrases and synonyms among all labels, for each picture."""
        return [relative_score(weights, range(wanted)) for weights, wanted in self._weighed(images, queries)]

    def recognised(self, images: Sequence[Image], queries: Sequence[Query]) -> list[tuple[bool, float]]:
        """Of each picture: is what the query names the first choice of all labels, and its probability among them."""
        return [(int(weights.argmax()) < wanted, float(weights[:wanted].sum()))
                for weights, wanted in self._weighed(images, queries)]

    def _weighed(self, images: Sequence[Image], queries: Sequence[Query]) -> Iterator[tuple[np.ndarray, int]]:
        """Probabilities [labels] for each picture, and how many of them, from the first, are of the query's words."""
        for vector, query in zip(self.clip.pictures(images), queries, strict=True):
            wanted = list(dict.fromkeys([*query.phrases, *query.synonyms]))
            labels = [*wanted, *self.others(query)]
            logits = self.clip.scale * (self._labels(labels, query.facet) @ vector)  # [labels]
            weights = np.exp(logits - logits.max())
            yield weights / weights.sum(), len(wanted)

    def others(self, query: Query) -> list[str]:
        """Labels that stand against a query; none that shares a word with what is looked for."""
        styled = query.facet == "style"
        labels = self.classes or query.rivals or KNOWN[Kind.STYLE if styled else Kind.OBJECT]
        wanted = [plain_style(phrase) if styled else phrase for phrase in (*query.phrases, *query.synonyms)]
        return [entry.name for entry in clear_of([Entry(label) for label in labels], wanted)]

    def _labels(self, labels: Sequence[str], facet: str) -> np.ndarray:
        if facet == "style":
            texts = [[form.format(plain_style(label)) for form in STYLE_CAPTIONS] for label in labels]
        else:
            texts = [[form.format(label) for form in CAPTIONS] for label in labels]
        vectors = self.clip.phrases([text for forms in texts for text in forms])
        means = vectors.reshape(len(labels), -1, vectors.shape[-1]).mean(1)  # [labels, d]
        units: np.ndarray = means / np.linalg.norm(means, axis=1, keepdims=True)
        return units

    def features(self, images: Sequence[Image]) -> np.ndarray:
        """Picture vectors [n, d]: what distances between sets of pictures are taken in."""
        return self.clip.pictures(images)

    def card(self) -> DetectorCard:
        """Which model; its quality on pictures of this kind has not been measured here."""
        return DetectorCard(
            name=self.name, version=self.clip.name, weights_digest=self.clip.digest, threshold=self.threshold,
            classes=self.classes,
        )
