"""Read a waivers file: what makes a waiver unusable is an error with its line, an expired one too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from mace_gov.core.clock import wall_clock
from mace_gov.documents.document import Location
from mace_gov.documents.policy import Policy
from mace_gov.documents.waiver import Waiver, Waivers, contradictions, mismatches
from mace_gov.policy.reading import File, Loaded, Problem, fail, read_file, validate

LONGEST_DAYS = 366
"""A waiver that never ends is a change of policy."""
AT: Location = ("spec", "waivers")
"""Where the waivers stand."""


def load_waivers(path: Path, *, policy: Policy | None = None, today: date | None = None) -> Loaded[Waivers]:
    """Read and check a waivers file; with ``policy``, also that each waiver matches something in it.

    An expired waiver is no error here: whoever uses it says what that means. Raises UsageError when there is no such
    file, PolicyError with every problem found.
    """
    return check_waivers(read_file(path, "waivers file"), policy=policy, today=today or wall_clock().date())


def check_waivers(file: File, *, today: date, policy: Policy | None = None, late: bool = True) -> Loaded[Waivers]:
    """The same for a file that was read; unless ``late``, a waiver that has ended is a problem too.

    Each waiver is checked by itself, so that a mistake in one hides none in another. Raises PolicyError with every
    problem found.
    """
    document, problems = validate(Waivers, file.source.value, _contradictions)
    given = _given(file.source.value)
    waivers = {i: waiver for i, value in enumerate(given) if (waiver := validate(Waiver, value)[0]) is not None}
    problems += [*file.source.problems, *_twice(given), *_endless(waivers, today)]
    if not late:
        problems += _ended(waivers, today)
    if policy is not None:
        places = list(waivers)
        problems += [((*AT, places[int(at[2])], *at[3:]), message)
                     for at, message in mismatches(list(waivers.values()), policy)]
    if problems or document is None:
        raise fail(file.path, file.source, problems)
    return Loaded(document, file)


def _ended(waivers: Mapping[int, Waiver], today: date) -> list[Problem]:
    return [
        ((*AT, i, "expiresAt"), f"{waiver.id} ended on {waiver.expires_at}, today is {today}; renew it or take it out")
        for i, waiver in waivers.items() if waiver.expired(today)
    ]


def _given(value: Any) -> list[Any]:
    """The waivers of a file as they are written, whatever is wrong with it."""
    spec = value.get("spec") if isinstance(value, dict) else None
    waivers = spec.get("waivers") if isinstance(spec, dict) else None
    return waivers if isinstance(waivers, list) else []


def _contradictions(value: Any) -> list[Problem]:
    return [((*AT, i), message) for i, waiver in enumerate(_given(value)) for message in contradictions(waiver)]


def _twice(given: Sequence[Any]) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    for i, waiver in enumerate(given):
        name = waiver.get("id") if isinstance(waiver, dict) else None
        if isinstance(name, str):
            if name in seen:
                found.append(((*AT, i, "id"),
                              f"found '{name}' a second time, expected a waiver id that is unique in the file"))
            seen.add(name)
    return found


def _endless(waivers: Mapping[int, Waiver], today: date) -> list[Problem]:
    return [
        ((*AT, i, "expiresAt"), f"{waiver.id} lasts until {waiver.expires_at}, expected at most {LONGEST_DAYS} days")
        for i, waiver in waivers.items() if (waiver.expires_at - today).days > LONGEST_DAYS
    ]
