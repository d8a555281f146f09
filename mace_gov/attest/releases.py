"""The chain of releases: ``registry/releases/NAME/0001.dsse.json`` and on, each signed and naming the one before it.

Nobody without the key can add, change or reorder an entry, or take one out from the middle. Taking the *last* ones off
leaves a valid chain: that is why MLflow holds the same facts, and why the two are compared.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from mace_gov.attest.dsse import seal
from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.statement import first_problem, open_statement
from mace_gov.attest.trust import Trust
from mace_gov.core.atomic import write_new
from mace_gov.core.clock import parse_time
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.documents.evidence import Statement, Subject
from mace_gov.documents.registry import Layout
from mace_gov.documents.release import RELEASE_TYPE, Release, ReleaseLog

SUFFIX = ".dsse.json"


def read_releases(registry: Path, name: str, trust: Trust) -> ReleaseLog:
    """The chain of ``name``, every link of it checked; empty when nothing was ever released.

    Raises IntegrityError that names the entry.
    """
    folder = Layout(registry).chain(name)
    entries: list[Release] = []
    previous: str | None = None
    # A name with a dot in front is a write that is still going on, or one that was cut off.
    for path in sorted(folder.glob("[!.]*")):
        entry = _read(path, trust)
        expected = (len(entries) + 1, previous, name, _file_name(len(entries) + 1))
        found = (entry.number, entry.previous, entry.name, path.name)
        if found != expected:
            raise IntegrityError(
                f"{path}: is entry {entry.number} of {entry.name} after {entry.previous}, expected entry {expected[0]} "
                f"of {name} after {previous}: an entry was taken out, added or moved"
            )
        entries.append(entry)
        previous = sha256_file(path)
    return ReleaseLog(tuple(entries))


def add_release(registry: Path, log: ReleaseLog, entry: Release, pair: KeyPair) -> tuple[Path, ReleaseLog]:
    """Sign ``entry`` as the next link of ``log`` and write it; its number and its link are filled in here.

    Returns the new file and the longer chain. Raises IncompleteError when somebody else was faster.
    """
    folder = Layout(registry).chain(entry.name)
    number = len(log.entries) + 1
    previous = sha256_file(folder / _file_name(number - 1)) if log.entries else None
    entry = entry.model_copy(update={"number": number, "previous": previous})
    subject = Subject(name=f"{entry.name}/{entry.version}", digest={"sha256": entry.governed_digest})
    statement = Statement(subject=[subject], predicate_type=RELEASE_TYPE, predicate=entry.to_json())
    path = folder / _file_name(number)
    try:
        write_new(path, seal(statement.canonical(), pair).canonical())
    except FileExistsError as error:
        raise IncompleteError(f"{path} has just been written by somebody else", hint="Look, then run again.") from error
    return path, ReleaseLog((*log.entries, entry))


def _file_name(number: int) -> str:
    return f"{number:04d}{SUFFIX}"


def _read(path: Path, trust: Trust) -> Release:
    statement, keyid = open_statement(path, trust, RELEASE_TYPE)
    try:
        entry = Release.from_json(statement.predicate)
    except ValidationError as error:
        raise IntegrityError(f"{path}: {first_problem(error, 'a release of a known schema')}") from error
    if [subject.digest.get("sha256") for subject in statement.subject] != [entry.governed_digest]:
        raise IntegrityError(f"{path}: its subject is not the model {entry.governed_digest} that it speaks about")
    when = parse_time(entry.at)
    if when is None or trust.too_late(keyid, when):
        raise IntegrityError(f"{path}: is of {entry.at}, expected a time at which the key {keyid} still signed")
    return entry
