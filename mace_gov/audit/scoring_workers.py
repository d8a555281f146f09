"""Looking at pictures handed to workers: the scores that this process would give, in the same chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mace_gov.audit.decoding import decode, read_bytes
from mace_gov.audit.detectors.by_name import make_detector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.probes.probe import Facet
from mace_gov.audit.scoring import Detectors, Scores, scores_of
from mace_gov.core.errors import IncompleteError
from mace_gov.core.workers import Job, Late, Place, Unit, Work, Workers
from mace_gov.documents.policy import Policy

OURS = "mace_gov."
"""What the place of a detector's code begins with that every machine with this version has."""


@dataclass(frozen=True)
class Chunk:
    """Pictures of one category that are looked at together."""

    category: str
    files: Sequence[Path]
    """In the evidence."""
    queries: Sequence[Query]
    """One each."""


def can_hand(detectors: Detectors) -> bool:
    """Whether every detector is one that ships: a plugin's code is on this machine alone."""
    return bool(detectors.known) and all(target.startswith(OURS) for target in detectors.known.values())


def scored_by(workers: Workers, detectors: Detectors, chunks: Sequence[Chunk]) -> Iterator[list[Scores]]:
    """What ``scoring.scores_of`` gives for each chunk, in order. What broke at a worker is counted here.

    Raises IncompleteError when a worker's detector is not the one that this process has, by version or weights.
    """
    job = Job(f"{__name__}:open_looking", {"policy": detectors.policy.to_json(), "known": dict(detectors.known)})
    units = [Unit({"category": chunk.category, "queries": [asdict(query) for query in chunk.queries]},
                  Late({str(n): partial(read_bytes, file) for n, file in enumerate(chunk.files)})) for chunk in chunks]
    cards = {id(each): each.detector.card() for each in detectors.all()}
    for unit, made in zip(units, workers.run(job, units), strict=True):
        said = json.loads(made["said"])
        for name, configured in detectors.of(unit.about["category"]).items():
            seen, card = said["detectors"][name], cards[id(configured)]
            if (seen["version"], seen["weights"]) != (card.version, card.weights_digest):
                raise IncompleteError(f"the detector {name} is version {seen['version']} with weights "
                                      f"{seen['weights']} at a worker, expected {card.version} with "
                                      f"{card.weights_digest}", hint="Install the same on every machine.")
            configured.failures += seen["failures"]
            configured.reasons.update(seen["reasons"])
        yield said["scores"]


@contextmanager
def open_looking(setup: Any, _blobs: Mapping[str, bytes], _place: Place) -> Iterator[Work]:
    """What a worker opens to look at pictures: see ``core.workers.Opener``. A unit is a category and its queries."""
    policy = Policy.model_validate(setup["policy"])
    detectors = Detectors(policy, partial(make_detector, known=setup["known"]))
    cards = {id(each): each.detector.card() for each in detectors.all()}

    def work(unit: Any, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
        queries = [_query(**query) for query in unit["queries"]]
        configured = detectors.of(unit["category"])
        for each in configured.values():
            each.failures = 0
            each.reasons.clear()
        scores = scores_of(detectors, unit["category"], [decode(blobs[str(n)]) for n in range(len(queries))], queries)
        said = {name: {"version": cards[id(each)].version, "weights": cards[id(each)].weights_digest,
                       "failures": each.failures, "reasons": dict(each.reasons)} for name, each in configured.items()}
        return {"said": json.dumps({"scores": scores, "detectors": said}).encode()}  # in the order of the detectors

    yield work


def _query(
    phrases: Sequence[str], facet: Facet, banned: bool, side: int, synonyms: Sequence[str], rivals: Sequence[str]
) -> Query:
    """A query as it arrives, with lists for tuples."""
    return Query(tuple(phrases), facet, banned, side, tuple(synonyms), tuple(rivals))
