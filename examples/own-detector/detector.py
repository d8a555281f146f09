"""A detector of one's own, for a model of one's own.

    mace-gov apply examples/own-detector/policy.yaml --model MODEL --plugin mine=examples/own-detector/detector.py:Mine

Here the classifier is the embedded model's judge, so that the example runs without a download: put yours in its place.
"""

from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import DetectorError
from mace_gov.documents.detector import DetectorCard
from mace_gov.embedded import JUDGE_DIR, vocabulary
from mace_gov.embedded.judge import Judge


class Mine:
    """Says how sure a classifier is that a picture shows any of the words that it is asked about."""

    name = "mine"

    def __init__(self, *, threshold=None, classes=None):
        """Made once before the work, from what the policy says: None is left to the detector."""
        self.threshold = 0.5 if threshold is None else threshold
        self.classifier = Judge.load()
        ids = {concept.id: concept for concept in vocabulary().concepts}
        self.known = {word: place for place, name in enumerate(self.classifier.classes) if name in ids
                      for word in (ids[name].name, *ids[name].synonyms)}

    def looks_for(self, query):
        """Whether the question is one for this detector at all: subjects, not styles."""
        return query.facet == "subject"

    def score(self, images, queries):
        """A number from 0 to 1 for each picture, 1 = it is there. Raise DetectorError where you cannot tell: a picture
        without a score is never taken for one without the concept."""
        sure = self.classifier.predict(list(images)).concept_probs  # [pictures, classes]
        return [max(float(row[self._place(phrase)]) for phrase in query.phrases)
                for row, query in zip(sure, queries, strict=True)]

    def _place(self, phrase):
        if phrase not in self.known:
            raise DetectorError(f"mine: '{phrase}' is none of the {len(self.known)} words that it knows")
        return self.known[phrase]

    def card(self):
        """What looked, for the evidence: whoever reads it can tell which weights these were."""
        return DetectorCard(name=self.name, version="1.0.0", threshold=self.threshold,
                            weights_digest=sha256_file(JUDGE_DIR / "judge.safetensors"))
