"""What the page of agreement shows, and what of it a registry keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mace_gov.audit.metrics.corrected import corrected
from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import UsageError
from mace_gov.documents.detector import Calibration, DetectorCard
from mace_gov.documents.detector_info import INFOS
from mace_gov.documents.rate import Corrected, Estimate
from mace_gov.documents.registry import Layout
from mace_gov.documents.review import PictureRef
from mace_gov.documents.terms import Kind, Metric
from mace_gov.documents.verdict import Finding
from mace_gov.review.agreement import Table, against, calibration, decided, errors, parted
from mace_gov.review.desk import Desk, Item


@dataclass(frozen=True)
class Reader:
    """Somebody or something that this reviewer is compared with."""

    name: str
    """Detector or reviewer."""
    person: bool
    """Whether it is another reviewer."""
    table: Table
    """This reviewer first, the other second."""
    sensitivity: Estimate | None
    """Of a detector, people taken for the truth."""
    specificity: Estimate | None
    """Of a detector, people taken for the truth."""


def agreement_context(desk: Desk) -> dict[str, Any]:
    """This reviewer against all detectors together, each alone, and every other reviewer who has ended."""
    people = decided(desk.journal.labels())
    items = {item.ref: item for item in desk.order}
    together = {ref: item.trial.present for ref, item in items.items()}
    readers = [_reader("all detectors together", people, together)]
    cards = desk.subject.verified.evidence.audit.detectors
    readers += [_reader(card.name, people, found_by(card, items)) for card in cards if len(cards) > 1]
    others, spoilt = desk.subject.others(desk.reviewer.keyid)
    for journal in others:
        if journal.closed:
            other: dict[PictureRef, bool | None] = {**decided(journal.labels())}
            readers.append(Reader(journal.reviewer, True, against(people, other), None, None))
    return {"readers": readers, "unsure": len(desk.labels) - len(people), "labelled": len(desk.labels),
            "parted": [(items[ref], seen, found) for ref, seen, found in parted(people, together) if ref in items],
            "measured": [card.name for card, _ in _calibrations(desk)],
            "corrected": list(_corrected(desk, people, items)), "spoilt": spoilt}


def _corrected(
    desk: Desk, people: Mapping[PictureRef, bool], items: Mapping[PictureRef, Item]
) -> Iterator[tuple[Finding, Corrected | None]]:
    """Each rule on presence with its rate, corrected by the errors of all detectors together on what was labelled of
    its category; None where people labelled too little to tell.
    """
    verdict = desk.subject.verified.verdict
    for finding in verdict.findings if verdict else ():
        if finding.metric is Metric.PRESENCE and finding.estimate is not None:
            own = {ref: item.trial.present for ref, item in items.items()
                   if ref.category == finding.category and ref.suite.banned}
            sensitivity, specificity = errors({ref: seen for ref, seen in people.items() if ref in own}, own)
            card = DetectorCard(name="people", version="", threshold=0, sensitivity=sensitivity,
                                specificity=specificity)
            yield finding, corrected(finding.estimate, card) if sensitivity.n and specificity.n else None


def found_by(card: DetectorCard, items: Mapping[PictureRef, Item]) -> dict[PictureRef, bool | None]:
    """What one detector says of the pictures that it looked at; None where it broke."""
    scores = {ref: item.trial.scores[card.name] for ref, item in items.items() if card.name in item.trial.scores}
    return {ref: None if score is None else score >= card.threshold for ref, score in scores.items()}


def keep_calibrations(desk: Desk) -> list[Path]:
    """Write each detector's errors into the registry's calibrations/, which audits from now on correct rates with.

    A detector that looked at pictures of several kinds of question is measured on all of them together. Raises
    UsageError when people saw too little to measure any.
    """
    found = _calibrations(desk)
    if not found:
        raise UsageError("no detector can be measured: label pictures that show their concept and some that do not")
    written = []
    for card, made in found:
        known = [made.version, made.weights_digest, made.threshold, made.classes]
        path = Layout(desk.subject.registry).calibrations / f"{card.name}-{digest_of(known)[:12]}.json"
        write_bytes(path, made.canonical())
        written.append(path)
    return written


def _calibrations(desk: Desk) -> list[tuple[DetectorCard, Calibration]]:
    """The errors of each detector that an audit corrects by them: none that chooses among the policy's own words."""
    people = decided(desk.journal.labels())
    items = {item.ref: item for item in desk.order}
    kinds = {category.id: category.kind for category in desk.subject.policy.spec.categories}
    digest = sha256_bytes("\n".join(sorted(
        f"{ref.image_digest} {seen:d} {kinds.get(ref.category) is Kind.STYLE:d} {items[ref].question.strip('“”')}"
        for ref, seen in people.items() if ref in items
    )).encode())
    made = []
    for card in desk.subject.verified.evidence.audit.detectors:
        if card.classes is None and card.name in INFOS and INFOS[card.name].rivals:
            continue
        found = found_by(card, items)
        own = {ref: seen for ref, seen in people.items() if ref in found}
        if one := calibration(card, own, found, digest):
            made.append((card, one))
    return made


def _reader(name: str, people: Mapping[PictureRef, bool], found: Mapping[PictureRef, bool | None]) -> Reader:
    sensitivity, specificity = errors(people, found)
    return Reader(name, False, against(people, found), sensitivity, specificity)
