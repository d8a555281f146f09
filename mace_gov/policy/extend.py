"""Join a policy with the one that it extends: the parent is pinned by digest, and loosening it needs a waiver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import PurePath, PureWindowsPath
from typing import Any, TypeVar

import yaml

from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.documents.composition import Ancestor, Extends
from mace_gov.documents.consistency import inconsistencies
from mace_gov.documents.document import Location
from mace_gov.documents.policy import Policy
from mace_gov.documents.waiver import Waiver
from mace_gov.policy.diff import diff
from mace_gov.policy.merge import Origins, merge
from mace_gov.policy.reading import File, Problem, fail, read_file, validate
from mace_gov.policy.settings import Change
from mace_gov.policy.source import Source, scalar
from mace_gov.policy.waivers import check_waivers

T = TypeVar("T")
OWN = ("metadata", "extends", "derivedFrom")
"""What a child does not take over from its parent."""


def join(file: File, load: Callable[[File], Policy], today: date, late: bool) -> tuple[Policy, bytes, Source]:
    """The joined policy, its own YAML, and the places of what the child says. ``load`` checks the parent's file;
    ``late`` lets a waiver in that has ended.

    Raises PolicyError with every problem found in the child, in the parent and in the waivers file.
    """
    extends, problems = _extends(file)
    problems += [*file.source.problems, *_as_written(file)]
    elsewhere: list[str] = []
    parent_file = _pinned(file, extends, problems) if extends is not None else None
    parent = _checked(lambda: load(parent_file), elsewhere) if parent_file is not None else None
    waivers = _waivers(file, extends, today, late, problems, elsewhere) if extends is not None else None
    child = {key: item for key, item in file.source.value.items() if key != "extends"}
    if extends is None or parent_file is None or parent is None:
        problems += validate(Policy, child, partial=True)[1]
        raise fail(file.path, file.source, problems, elsewhere)
    value, origins = merge({key: item for key, item in parent.to_json().items() if key not in OWN}, child)
    source = _placed(file.source, value, origins)
    policy, found = validate(Policy, value, inconsistencies)
    joined_at = {place: at for at, place in origins.items()}
    problems = [*found, *((joined_at.get(at, at), message) for at, message in problems)]
    if policy is None or waivers is None:
        raise fail(file.path, source, problems, elsewhere)
    policy = policy.model_copy(update={"derived_from": parent.derived_from})
    changes = [change for change in diff(parent, policy) if change.looser]
    loosened = [*_unwaived(changes, waivers, parent, policy), *_alike(changes)]
    used = [waiver for waiver in waivers if waiver.loosens in {change.subject for change in changes}]
    if problems := [*problems, *loosened, *_idle(waivers, used)]:
        error = fail(file.path, source, problems)
        raise _loosened(error) if loosened else error
    ancestor = Ancestor(
        name=parent.metadata.name, version=parent.metadata.version, sha256=parent_file.digest, waivers=used
    )
    policy = policy.model_copy(update={"derived_from": [ancestor, *(parent.derived_from or [])]})
    return policy, _joined_yaml(file, policy), source


def _extends(file: File) -> tuple[Extends | None, list[Problem]]:
    extends, problems = validate(Extends, file.source.value["extends"])
    problems = [(("extends", *where), message) for where, message in problems]
    if extends is not None:
        for name, path in (("file", extends.file), ("waivers", extends.waivers)):
            if path and (PurePath(path).is_absolute() or PureWindowsPath(path).drive):
                problems.append((("extends", name), f"found '{path}', expected a path relative to this file"))
    return (None if problems else extends), problems


def _checked(load: Callable[[], T], elsewhere: list[str]) -> T | None:
    """What ``load`` makes, or None and its problems, which are those of another file."""
    try:
        return load()
    except PolicyError as error:
        elsewhere += error.problems or [error.message]
        return None


def _pinned(file: File, extends: Extends, problems: list[Problem]) -> File | None:
    """The parent's file, unless it cannot be read or is another than the one that was pinned."""
    try:
        parent = read_file(file.path.parent / extends.file, "policy")
    except (UsageError, PolicyError) as error:
        problems.append((("extends", "file"), error.message))
        return None
    if parent.digest != extends.sha256:
        problems.append((
            ("extends", "sha256"),
            f"{extends.file} has digest {parent.digest}, expected {extends.sha256}: read it, then pin it anew",
        ))
        return None
    return parent


def _waivers(
    file: File, extends: Extends, today: date, late: bool, problems: list[Problem], elsewhere: list[str]
) -> Sequence[Waiver] | None:
    """The waivers for this child; unless ``late``, one that has ended is an error in its own file."""
    if extends.waivers is None:
        return []
    try:
        read = read_file(file.path.parent / extends.waivers, "waivers file")
    except (UsageError, PolicyError) as error:
        problems.append((("extends", "waivers"), error.message))
        return None
    loaded = _checked(lambda: check_waivers(read, today=today, late=late), elsewhere)
    return None if loaded is None else [waiver for waiver in loaded.document.spec.waivers if waiver.loosens]


def _as_written(file: File) -> list[Problem]:
    """What is wrong with the child by itself, whatever the parent says; places are those of the child."""
    value = file.source.value
    found: list[Problem] = [(("derivedFrom",), "is written when policies are joined, expected extends alone")] if (
        "derivedFrom" in value) else []
    seen: set[Location] = set()
    for where, name in _names(value.get("spec"), ("spec",)):
        if (*where[:-2], name) in seen:
            found.append((where, f"found '{name}' a second time, expected it once"))
        seen.add((*where[:-2], name))
    return found


def _names(value: Any, at: Location) -> list[tuple[Location, str]]:
    """Every id in the child, with its place."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _names(item, (*at, key))]
    if isinstance(value, list):
        own = [((*at, i, "id"), item["id"]) for i, item in enumerate(value)
               if isinstance(item, dict) and isinstance(item.get("id"), str)]
        return own + [pair for i, item in enumerate(value) for pair in _names(item, (*at, i))]
    return []


def _unwaived(changes: Sequence[Change], waivers: Sequence[Waiver], parent: Policy, policy: Policy) -> list[Problem]:
    own = {waiver.loosens: waiver for waiver in waivers if waiver.policy == policy.metadata.name}
    problems: list[Problem] = []
    name = parent.metadata.name
    for change in changes:
        where, waiver = change.where, own.get(change.subject)
        if change.severity in parent.not_waivable():
            problems.append((where, f"loosens {name}: {change.words}; {change.severity} is not waivable"))
        elif waiver is None:
            expected = f"expected a waiver that loosens '{change.subject}'"
            problems.append((where, f"loosens {name}: {change.words}; {expected}"))
        elif (limit := _beyond(waiver, change.subject, policy)) is not None:
            problems.append((where, f"loosens {name} to {limit:g}; {waiver.id} allows {waiver.limit:g}"))
    return problems


def _beyond(waiver: Waiver, subject: str, policy: Policy) -> float | None:
    """The rule's limit when it is looser than the waiver's."""
    rule = next((r for c in policy.spec.categories for r in c.rules if r.id == subject), None)
    if rule is None or waiver.limit is None:
        return None
    if waiver.at_most is not None:
        within = rule.at_most is not None and rule.at_most <= waiver.at_most
    else:
        within = rule.at_least is not None and rule.at_least >= waiver.limit
    return None if within else rule.limit


def _alike(changes: Sequence[Change]) -> list[Problem]:
    """Two things of one name that are loosened at once: a waiver for one would cover the other."""
    places: dict[str, Location] = {}
    return [
        (change.where, f"'{change.subject}' names two things that are loosened, expected names that tell them apart")
        for change in changes if places.setdefault(change.subject, change.where) != change.where
    ]


def _idle(waivers: Sequence[Waiver], used: Sequence[Waiver]) -> list[Problem]:
    return [
        (("extends", "waivers"), f"{waiver.id} allows to loosen '{waiver.loosens}', which the policy does not do")
        for waiver in waivers if waiver not in used
    ]


def _loosened(error: PolicyError) -> PolicyError:
    error.hint = "Keep the parent's value, or name a waivers file in extends.waivers. `mace-gov policy diff` compares."
    return error


def _placed(source: Source, value: Any, origins: Origins) -> Source:
    """Places of the joined data: the child's own, and the line of ``extends`` for what it inherits."""
    places = {at: source.places[place] for at, place in origins.items() if place in source.places}
    places |= {place: at for place, at in source.places.items() if place[:1] == ("extends",)}
    return replace(source, value=value, places={**places, (): source.place(("extends",))})


def _joined_yaml(file: File, policy: Policy) -> bytes:
    """The joined policy as a file of its own, so that what lies beside the evidence needs no other file."""
    parents = ", ".join(f"{parent.name} {parent.version}" for parent in policy.derived_from or [])
    head = f"# {file.path.name} (sha256 {file.digest}) joined with what it extends: {parents}.\n"
    body = yaml.dump(policy.to_json(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return (head + body).encode("utf-8")


class _Dumper(yaml.SafeDumper):
    """Quotes every text that the reader would take for something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if scalar(text) != text else None)


_Dumper.add_representer(str, _text)
