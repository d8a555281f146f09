"""Read a waivers file: what makes a waiver unusable is an error with its line, an expired one too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from mace_gov.core.clock import wall_clock
from mace_gov.documents.base import Location
from mace_gov.documents.policy import Policy
from mace_gov.documents.waiver import Waiver, Waivers, mismatches
from mace_gov.policy.reading import Loaded, Problem, fail, read_file, validate

LONGEST_DAYS = 366
"""A waiver that never ends is a change of policy."""


def load_waivers(path: Path, *, policy: Policy | None = None, today: date | None = None) -> Loaded[Waivers]:
    """Read and check a waivers file; with ``policy``, also that each waiver matches something in it.

    An expired waiver is no error here: whoever uses it says what that means. Raises UsageError when there is no such
    file, PolicyError with every problem found.
    """
    file = read_file(path, "waivers file")
    document, problems = validate(Waivers, file.source.value)
    problems += file.source.problems
    if document is not None:
        waivers = document.spec.waivers
        problems += _twice(waivers) + _endless(waivers, today or wall_clock().date())
        problems += mismatches(waivers, policy) if policy is not None else []
    if problems or document is None:
        raise fail(path, file.source, problems)
    return Loaded(document, file)


def ended(waivers: Sequence[Waiver], today: date) -> list[Problem]:
    """Waivers that no longer hold, with their places in the file."""
    return [
        (_at(i, "expiresAt"), f"{waiver.id} ended on {waiver.expires_at}, today is {today}; renew it or take it out")
        for i, waiver in enumerate(waivers) if waiver.expired(today)
    ]


def _twice(waivers: Sequence[Waiver]) -> list[Problem]:
    ids = [waiver.id for waiver in waivers]
    return [
        (_at(i, "id"), f"found '{waiver.id}' a second time, expected a waiver id that is unique in the file")
        for i, waiver in enumerate(waivers) if waiver.id in ids[:i]
    ]


def _endless(waivers: Sequence[Waiver], today: date) -> list[Problem]:
    return [
        (_at(i, "expiresAt"), f"{waiver.id} lasts until {waiver.expires_at}, expected at most {LONGEST_DAYS} days")
        for i, waiver in enumerate(waivers) if (waiver.expires_at - today).days > LONGEST_DAYS
    ]


def _at(i: int, field: str) -> Location:
    return ("spec", "waivers", i, field)
