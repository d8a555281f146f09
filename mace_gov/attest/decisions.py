"""All that reviewers decided about a verdict and its model, from every place that has it, none missing.

A sign-off lies beside what was signed off, and again in the registry's ``decisions/``. Each names the digests of those
before it, and is numbered by its key. So one that was deleted shows: by the second place, by a later one, or by a gap.
Whoever deletes it in both places, before anyone has signed after it, leaves no trace here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mace_gov.attest.sign_off import (
    decision_folder,
    file_name,
    open_sign_off,
    read_sign_off,
    sign_off_names,
)
from mace_gov.attest.signed import Signed
from mace_gov.attest.trust import Trust
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.registry import SHELVES, SIGN_OFFS, Layout
from mace_gov.documents.sign_off import Decision, SignOff
from mace_gov.documents.trust import Role

HINT = "Find out who took it away, and put it back from the other place or from a backup."


@dataclass(frozen=True)
class Decisions:
    """What people said. In each list the order is that of signing: a key's last word counts."""

    sign_offs: tuple[SignOff, ...] = ()
    """On this verdict, by pinned reviewers."""
    elsewhere: tuple[SignOff, ...] = ()
    """On other verdicts about this model, by pinned reviewers."""
    unverified: tuple[SignOff, ...] = ()
    """On any verdict about this model, where no reviewer is pinned: their signatures could not be checked."""
    checks: tuple[str, ...] = ()
    """What was checked, in words."""


def home_of(folder: Path) -> Path | None:
    """The registry that holds ``folder`` as a version or audit of its own: by its place as given, or as links lead."""
    for parents in (folder.absolute().parents, folder.resolve().parents):
        if len(parents) > 2 and parents[1].name in SHELVES:
            return parents[2]
    return None


def read_decisions(
    places: list[Path], registry: Path | None, signed: Signed, trust: Trust, now: datetime
) -> Decisions:
    """The sign-offs in ``places`` (folders that may hold sign-offs/) and in the decisions of the registries at hand.

    ``registry`` is the one that was given; one that a place lies in is asked as well. Without a pinned reviewer's key
    none counts, but each must be well-formed and on this very verdict. Raises IntegrityError that names the file.
    """
    verdict = signed.summary.digest if signed.summary else ""
    model = signed.evidence.audit.governed_digest
    homes = {place: home.resolve() for place in places if (home := home_of(place)) is not None}
    registries = sorted({*homes.values(), *([registry.resolve()] if registry else [])})
    read: dict[Path, dict[str, SignOff]] = {}
    logs = [decision_folder(each, model, verdict) for each in registries]
    for place in (*places, *logs):
        paths = _logged(place) if place in logs else [place / name for name in sign_off_names(place)]
        read[place] = {sha256_file(path): read_sign_off(path, signed, trust, now) for path in paths}
    for place, home in homes.items():
        _same_in_both(place, decision_folder(home, model, verdict), read)
    every = {digest: said for each in read.values() for digest, said in each.items()}
    _none_missing(every)
    found = tuple(sorted(every.values(), key=_order))
    elsewhere = tuple(sorted(_elsewhere(registries, model, verdict, trust, now), key=_order))
    if not trust.has(Role.REVIEWER):
        were = "sign-off was not checked and does" if len(found) == 1 else "sign-offs were not checked and do"
        said = f"{len(found)} {were} not count: no reviewer's key is pinned"
        return Decisions(unverified=tuple(sorted((*elsewhere, *found), key=_order)), checks=(said,) if found else ())
    words = ", ".join(f"{one.reviewer} ({one.role}): {one.decision}" for one in found)
    by = "sign-off on this verdict, by" if len(found) == 1 else "sign-offs on this verdict, each by"
    checks = (f"{len(found)} {by} a pinned reviewer: {words}",) if found else ()
    return Decisions(found, elsewhere, checks=checks)


def _order(said: SignOff) -> tuple[str, int, bool]:
    return said.signed, said.number or 1, said.decision is Decision.REJECT


def _logged(folder: Path) -> list[Path]:
    # A name with a dot in front is a write that is still going on, or one that was cut off.
    return sorted(path for path in folder.glob("[!.]*") if path.is_file())


def _same_in_both(place: Path, log: Path, read: Mapping[Path, Mapping[str, SignOff]]) -> None:
    """What a version's folder has of sign-offs and what its registry's decisions have must be the same."""
    if not log.is_dir():
        return  # Of an earlier release, or fetched from a server: the folder's own count.
    listed, filed = read[place], read[log]
    problems = [f"{place / SIGN_OFFS}: has no {file_name(said)}, expected the one that {log} has"
                for digest, said in filed.items() if digest not in listed]
    problems += [f"{log}: has no {file_name(said)}, expected the one that {place / SIGN_OFFS} has"
                 for digest, said in listed.items() if said.filed and digest not in filed]
    if problems:
        raise IntegrityError("\n".join(problems), hint=HINT)


def _none_missing(read: Mapping[str, SignOff]) -> None:
    problems = []
    for said in read.values():
        problems += [f"{file_name(said)}: was signed after the sign-off {seen}, which is gone"
                     for seen in said.seen if seen not in read]
        earlier = {one.number or 1 for one in read.values() if one.keyid == said.keyid}
        problems += [f"{file_name(said)}: is number {said.number} of its key, and number {number} is gone"
                     for number in range(1, said.number or 1) if number not in earlier]
    if problems:
        raise IntegrityError("\n".join(problems), hint=HINT)


def _elsewhere(
    registries: Sequence[Path], model: str, verdict: str, trust: Trust, now: datetime
) -> Iterator[SignOff]:
    revoked = {entry.keyid for entry, _ in trust.keys if entry.revoked}
    for registry in registries:
        for path in sorted(Layout(registry).decisions(model).glob("*/[!.]*")):
            # What a revoked key said of another version is that version's trouble.
            if path.parent.name == verdict or path.name[:64] in revoked:
                continue
            said, _ = open_sign_off(path, trust, now)
            if (said.governed_digest, said.verdict_digest) != (model, path.parent.name):
                raise IntegrityError(f"{path}: is about the verdict {said.verdict_digest} on {said.governed_digest}, "
                                     f"expected {path.parent.name} on {model}")
            yield said
