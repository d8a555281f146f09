"""The pictures of an audit looked at, chunk by chunk: here, or by the run's workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from mace_gov.audit.decoding import FORMATS
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.pictures import Picture, Wanted, open_picture
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.scoring import CHUNK, Detectors, Scored, Scores, presence, scores_of
from mace_gov.audit.scoring_workers import Chunk, can_hand, scored_by
from mace_gov.core.errors import DetectorError, MissingExtraError
from mace_gov.core.resources import asked


def score_probes(
    probes: Sequence[Probe], pictures: Mapping[Wanted, Picture], detectors: Detectors, out: Path, *,
    advance: Callable[[int], None],
) -> list[Scored]:
    """One ``Scored`` for each probe, in order."""
    found: list[Scored | None] = [None] * len(probes)
    parts = [(category, places[start:start + CHUNK]) for category, places in _by_category(probes)
             for start in range(0, len(places), CHUNK)]
    for (category, part), scores in zip(parts, _scores(probes, pictures, detectors, out, parts), strict=True):
        thresholds = detectors.thresholds(category)
        for i, given in zip(part, scores, strict=True):
            found[i] = Scored(given, presence(given, thresholds))
        advance(len(part))
    return [judged for judged in found if judged is not None]


def _scores(
    probes: Sequence[Probe], pictures: Mapping[Wanted, Picture], detectors: Detectors, out: Path,
    parts: Sequence[tuple[str, Sequence[int]]],
) -> Iterator[list[Scores]]:
    """The scores of each part, found here or by the run's workers."""
    def place(i: int) -> Path:
        return out / pictures[probes[i].prompt, probes[i].seed].name

    def unopened(i: int) -> Query:
        with Image.open(place(i), formats=FORMATS) as image:  # its size is all that a question needs
            return detectors.query(probes[i], image)

    rest = list(parts)
    if (workers := asked().workers) is not None and len(parts) > 1 and can_hand(detectors):
        chunks = [Chunk(category, list(map(place, part)), list(map(unopened, part))) for category, part in parts]
        try:
            for scores in scored_by(workers, detectors, chunks):
                yield scores
                del rest[0]
        except (DetectorError, MissingExtraError) as error:  # another machine may lack a detector's weights
            logging.getLogger("mace_gov").warning("pictures are looked at here: a worker cannot (%s)", error.message)
    for category, part in rest:
        images = [open_picture(out, pictures[probes[i].prompt, probes[i].seed]) for i in part]
        queries = [detectors.query(probes[i], image) for i, image in zip(part, images, strict=True)]
        yield scores_of(detectors, category, images, queries)


def _by_category(probes: Sequence[Probe]) -> Iterator[tuple[str, list[int]]]:
    places: dict[str, list[int]] = {}
    for i, probe in enumerate(probes):
        places.setdefault(probe.category, []).append(i)
    yield from places.items()
