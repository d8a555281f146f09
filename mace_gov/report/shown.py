"""The pictures of the page: what each pair of them says, the worst first, and how many more there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mace_gov.documents.audit import Measurement, Thumbnail
from mace_gov.documents.policy import Category, Concept
from mace_gov.documents.report import Report
from mace_gov.documents.terms import Metric, Suite
from mace_gov.documents.verdict import Outcome
from mace_gov.report.words import measured


class Says(StrEnum):
    """What one pair of pictures says of the governed model, the worst first."""

    VIOLATION = "violation"
    """It draws what is banned."""
    LOST = "lost"
    """It no longer draws what must survive, and the base does."""
    UNSCORED = "unscored"
    """Nobody knows."""
    FINE = "fine"
    """It does what it should."""
    NOTHING = "nothing"
    """The base does not draw what must survive either."""

    @property
    def word(self) -> str:
        """The word that the page shows for it."""
        return _WORDS[self][0]

    @property
    def mark(self) -> Outcome | None:
        """The outcome whose sign and colour it is shown with; None: in grey."""
        return _WORDS[self][1]


_WORDS: dict[Says, tuple[str, Outcome | None]] = {
    Says.VIOLATION: ("Violation", Outcome.FAIL), Says.LOST: ("Lost", Outcome.FAIL),
    Says.UNSCORED: ("Not scored", Outcome.REVIEW), Says.FINE: ("As it should be", Outcome.PASS),
    Says.NOTHING: ("Not drawn by the base", None),
}
AGAINST = (Says.VIOLATION, Says.LOST, Says.UNSCORED)
"""What is shown first, all of it."""


@dataclass(frozen=True)
class ShownPair:
    """A pair of pictures with its place on the page."""

    id: str
    """Its anchor."""
    pair: Thumbnail
    """The pictures and what was asked."""
    says: Says
    """What it says."""

    @property
    def scores(self) -> list[tuple[str, float | None, float | None]]:
        """Score of base and governed by detector; empty in evidence of earlier releases."""
        base, governed = self.pair.base_scores or {}, self.pair.governed_scores or {}
        return [(name, base.get(name), governed.get(name)) for name in sorted(base.keys() | governed.keys())]


@dataclass(frozen=True)
class Group:
    """Pairs of one category and probe suite that do not speak against the model."""

    category: str
    """Category id."""
    suite: Suite
    """Probe suite."""
    pairs: list[ShownPair]
    """In the audit's order."""


@dataclass(frozen=True)
class Tally:
    """How much of what speaks against the model is on the page, for one category and suite."""

    category: str
    """Category id."""
    suite: Suite
    """Probe suite."""
    shown: int
    """Pairs on the page."""
    found: int
    """Pairs that the audit saw."""


@dataclass(frozen=True)
class Cell:
    """One concept in one probe suite, for the heat map."""

    measurement: Measurement | None
    """None where it was not asked."""
    first: str | None
    """Anchor of its first picture that speaks against the model."""

    @property
    def heat(self) -> int | None:
        """0 for nothing found, 1 to 4 by quarters of the rate; None where nothing was measured."""
        if self.measurement is None or not measured(self.measurement.governed):
            return None
        governed = self.measurement.governed
        return 0 if governed.hits == 0 else min(4, 1 + int(governed.value * 4))


def says(suite: Suite, base: bool | None, governed: bool | None) -> Says:
    """What a pair of pictures says, by what the detectors found in each; None where they do not know."""
    if suite.banned:
        return {True: Says.VIOLATION, False: Says.FINE, None: Says.UNSCORED}[governed]
    if not base:
        return Says.NOTHING if base is False else Says.UNSCORED
    return {True: Says.FINE, False: Says.LOST, None: Says.UNSCORED}[governed]


def against(report: Report) -> list[ShownPair]:
    """Everything that speaks against the model: by what it says, severity, and how sure the detectors are."""
    ranks = {category.id: category.severity.rank for category in report.policy.spec.categories}

    def order(shown: ShownPair) -> tuple[int, int, float]:
        scores = [score for _, _, score in shown.scores if score is not None]
        sure = max(scores, default=0.0) if shown.pair.suite.banned else 1 - max(scores, default=0.0)
        return list(Says).index(shown.says), ranks.get(shown.pair.category, len(ranks)), -sure

    return sorted((shown for shown in _all(report) if shown.says in AGAINST), key=order)


def others(report: Report) -> list[Group]:
    """The other pairs, grouped by category and suite in the policy's and the suites' order."""
    pairs = [shown for shown in _all(report) if shown.says not in AGAINST]
    known = [category.id for category in report.policy.spec.categories]
    categories = [*known, *sorted({shown.pair.category for shown in pairs} - set(known))]
    groups = (Group(category, suite, [s for s in pairs if (s.pair.category, s.pair.suite) == (category, suite)])
              for category in categories for suite in Suite)
    return [group for group in groups if group.pairs]


def tallies(report: Report) -> list[Tally]:
    """Violations and losses by category and suite: those on the page, and those that the audit saw."""
    counts: dict[tuple[str, Suite], int] = {}
    for shown in _all(report):
        if shown.says in (Says.VIOLATION, Says.LOST):
            key = shown.pair.category, shown.pair.suite
            counts[key] = counts.get(key, 0) + 1
    found = []
    for (category, suite), m in _whole(report.evidence.audit.measurements).items():
        seen = m.governed.hits if suite.banned else m.governed.n - m.governed.hits
        if seen or counts.get((category, suite)):
            shown_here = counts.get((category, suite), 0)
            found.append(Tally(category, suite, shown_here, max(seen, shown_here)))
    return found


def heat_map(report: Report) -> list[tuple[Category, list[Suite], list[tuple[Concept, list[Cell]]]]]:
    """By category: the suites that ask for what is banned, and a row of cells for each concept."""
    first: dict[tuple[str, str, Suite], str] = {}
    for shown in against(report):
        first.setdefault((shown.pair.category, shown.pair.concept, shown.pair.suite), shown.id)
    by_place = {(m.category, m.concept, m.suite): m for m in report.evidence.audit.measurements
                if m.concept is not None and m.metric is Metric.PRESENCE and m.rule is None}
    maps = []
    for category in report.policy.spec.categories:
        asked = [suite for suite in Suite if suite.banned
                 and any((category.id, concept.id, suite) in by_place for concept in category.concepts)]
        rows = [(concept, [Cell(by_place.get((category.id, concept.id, suite)),
                                first.get((category.id, concept.id, suite))) for suite in asked])
                for concept in category.concepts]
        if asked:
            maps.append((category, asked, rows))
    return maps


def _all(report: Report) -> Iterator[ShownPair]:
    for n, pair in enumerate(report.evidence.audit.thumbnails, 1):
        yield ShownPair(f"t{n}", pair, says(pair.suite, pair.base_present, pair.governed_present))


def _whole(measurements: Iterable[Measurement]) -> dict[tuple[str, Suite], Measurement]:
    """The suite's own measurement by category and suite: presence of what is banned, retention of what is not."""
    found: dict[tuple[str, Suite], Measurement] = {}
    for m in sorted(measurements, key=lambda m: m.rule is not None):
        if m.concept is None and (m.metric is Metric.PRESENCE) is m.suite.banned:
            found.setdefault((m.category, m.suite), m)
    return found
