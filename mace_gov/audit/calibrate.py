"""Measure a detector's errors on labelled pictures: a table of files, phrases, and whether each shows its phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mace_gov.audit.decoding import read_picture
from mace_gov.audit.detectors.detector_protocol import Detector, Query
from mace_gov.audit.metrics.intervals import estimate
from mace_gov.audit.scoring import CHUNK, ConfiguredDetector
from mace_gov.audit.table import Row, read_table
from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.files import read_json
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.detector import Calibration

YES, NO = ("1", "true", "yes", "present"), ("0", "false", "no", "absent")


@dataclass(frozen=True)
class Label:
    """One labelled picture."""

    file: Path
    """The picture."""
    phrase: str
    """What to look for."""
    present: bool
    """Whether it is there."""
    style: bool
    """Whether the phrase names a style."""


def read_labels(table: Path, images: Path) -> list[Label]:
    """Labels from a CSV with the columns file (below ``images``), phrase, present and, for styles, facet.

    Raises UsageError with every malformed row, those whose picture does not decode among them.
    """

    def read(row: Row) -> Label:
        name, phrase, present = (row.first(column) or "" for column in ("file", "phrase", "present"))
        if not phrase:
            raise ValueError("found no phrase, expected what to look for")
        if present.casefold() not in (*YES, *NO):
            raise ValueError(f"found present = '{present}', expected 1 or 0")
        facet = row.first("facet") or "subject"
        if facet not in ("subject", "style"):
            raise ValueError(f"found facet = '{facet}', expected subject or style")
        path = inside(images, name)
        try:
            read_picture(path)
        except ValueError as error:
            raise ValueError(f"the picture {name}: {error}") from error
        return Label(path, phrase, present.casefold() in YES, facet == "style")

    return read_table(table, read, needs=("file", "phrase", "present"))


def inside(folder: Path, name: str) -> Path:
    """The file ``name`` of a folder. Raises ValueError where there is none, or when it would lie outside."""
    path = folder / name
    try:
        found = bool(name) and path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except OSError:  # a name too long for any file
        found = False
    if not found:
        raise ValueError(f"found file = '{name}', expected a picture below {folder}")
    return path


def calibrate(detector: Detector, labels: Sequence[Label], *, progress: Progress | None = None) -> Calibration:
    """Sensitivity and specificity of a detector at its threshold, each picture file being one independent trial.

    Raises IncompleteError when the detector broke on all pictures of a kind, UsageError when there are none.
    """
    for kind, wanted in (("show", True), ("do not show", False)):
        if not any(label.present is wanted for label in labels):
            raise UsageError(f"found no pictures that {kind} their phrase, expected some of both kinds")
    advance = (progress or Silent()).start(f"looking with {detector.name}", len(labels))
    configured = ConfiguredDetector(detector)
    outcomes: dict[bool, list[tuple[bool, str]]] = {True: [], False: []}
    for start in range(0, len(labels), CHUNK):
        part = labels[start:start + CHUNK]
        images = [_open(label.file) for label in part]
        queries = [
            Query((label.phrase,), "style" if label.style else "subject", True, max(image.size))
            for label, image in zip(part, images, strict=True)
        ]
        for label, score in zip(part, configured.score(images, queries), strict=True):
            if score is not None:
                found = score >= detector.threshold
                outcomes[label.present].append((found is label.present, str(label.file)))
        advance(len(part))
    if not all(outcomes.values()):
        reason = configured.reasons.most_common(1)[0][0]
        raise IncompleteError(
            f"detector {detector.name} broke on {configured.failures} of {len(labels)} pictures: {reason}")
    rates = [estimate([right for right, _ in found], [name for _, name in found]) for found in outcomes.values()]
    card = detector.card()
    return Calibration(
        detector=card.name, version=card.version, weights_digest=card.weights_digest, threshold=card.threshold,
        classes=card.classes, labels_digest=_digest(labels), sensitivity=rates[0], specificity=rates[1],
        failures=configured.failures,
    )


def save(calibration: Calibration, folder: Path) -> Path:
    """Write a calibration into a folder, under a name that no other detector's takes."""
    known = [calibration.version, calibration.weights_digest, calibration.threshold, calibration.classes]
    path = folder / f"{calibration.detector}-{digest_of(known)[:12]}.json"
    write_bytes(path, calibration.canonical())
    return path


def load_all(folder: Path) -> list[Calibration]:
    """Every calibration of a folder. Raises IncompleteError for a file that is none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Calibration.from_json(read_json(path)))
        except (OSError, ValueError) as error:
            raise IncompleteError(f"calibration {path} cannot be read: {str(error).splitlines()[0]}",
                                  hint="Remove it, or run `mace-gov detectors calibrate` again.") from error
    return found


def _open(path: Path) -> Image.Image:
    try:
        return read_picture(path)
    except ValueError as error:
        raise UsageError(f"{path}: not readable as a picture: {error}") from error


def _digest(labels: Sequence[Label]) -> str:
    return sha256_bytes("\n".join(sorted(
        f"{sha256_file(label.file)} {label.present:d} {label.style:d} {label.phrase}" for label in labels
    )).encode())
