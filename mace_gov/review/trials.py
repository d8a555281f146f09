"""The trials behind the report, once a reviewer has ended the labelling: the originals, and all that is known of them.

A trial is one prompt and seed, which both models were asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mace_gov.documents.audit import Trial
from mace_gov.documents.review import Act
from mace_gov.report.shown import Says, says
from mace_gov.review.desk import Desk, Item

ON_A_PAGE = 60
"""Trials."""


@dataclass(frozen=True)
class Asked:
    """One prompt and seed with what each model drew."""

    base: Item | None
    """The base model's picture; None where the audit kept none."""
    governed: Item | None
    """The governed model's."""

    @property
    def sides(self) -> list[Item]:
        """The pictures that there are."""
        return [item for item in (self.base, self.governed) if item is not None]

    @property
    def trial(self) -> Trial:
        """What was asked."""
        return self.sides[-1].trial

    @property
    def says(self) -> Says:
        """What it says of the governed model."""
        base, governed = (item.trial.present if item else None for item in (self.base, self.governed))
        return says(self.trial.suite, base, governed)


def asked(items: Mapping[str, Item]) -> list[Asked]:
    """Every trial, the worst first."""
    found: dict[tuple[object, ...], dict[str, Item]] = {}
    for item in items.values():
        one = item.trial
        found.setdefault((one.category, one.concept, one.suite, one.prompt, one.seed), {})[one.side] = item
    order = list(Says)
    return sorted((Asked(pair.get("base"), pair.get("governed")) for pair in found.values()),
                  key=lambda each: order.index(each.says))


def trials_context(desk: Desk, query: Mapping[str, str]) -> dict[str, Any]:
    """What the list shows: the trials that fit ``concept``, ``suite`` and ``says``, one page of them."""
    every = asked(desk.subject.items)
    wanted = {name: query.get(name, "") for name in ("concept", "suite", "says")}
    fitting = [each for each in every if all(value in ("", _named(each)[name]) for name, value in wanted.items())]
    last = max(1, -(-len(fitting) // ON_A_PAGE))
    page = query.get("page", "1")
    number = min(max(1, int(page)), last) if page.isascii() and page.isdecimal() and len(page) < 7 else 1
    named = [_named(each) for each in every]
    return {
        "wanted": wanted, "of": len(fitting), "page": number, "last": last,
        "trials": fitting[(number - 1) * ON_A_PAGE:number * ON_A_PAGE],
        "choices": {name: list(dict.fromkeys(each[name] for each in named)) for name in wanted},
    }


def trial_context(desk: Desk, item: Item) -> dict[str, Any]:
    """What the page of one trial shows, by either of its pictures."""
    here = next(each for each in asked(desk.subject.items) if any(one.id == item.id for one in each.sides))
    others, spoilt = desk.subject.others(desk.reviewer.keyid)
    refs = {one.ref for one in here.sides}
    # What others labelled is shown once they have ended as well.
    labels = {one.id: [(journal.reviewer, label) for journal in (desk.journal, *others) if journal.closed
                       and (label := journal.labels().get(one.ref))] for one in here.sides}
    said = [entry for journal in (desk.journal, *others) for entry in journal.entries
            if entry.act is Act.COMMENT and entry.picture in refs]
    cards = {card.name: card.threshold for card in desk.subject.verified.evidence.audit.detectors}
    return {"asked": here, "sides": here.sides, "labels": labels, "comments": sorted(said, key=lambda one: one.at),
            "thresholds": cards, "spoilt": spoilt}


def _named(each: Asked) -> dict[str, str]:
    return {"concept": each.trial.concept, "suite": each.trial.suite.value, "says": each.says.value}
