"""An integrity check of a whole registry: what is signed, recorded and kept, each held against the others.

It changes nothing. Versions are verified by ``attest.verify``, as their users verify them. What no single version shows
is added: chains of releases, MLflow's records in both directions, the cache, and what dead runs left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mace_gov.attest.keypair import refuse_open_folder
from mace_gov.attest.releases import read_releases
from mace_gov.attest.trust import Trust
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IncompleteError, IntegrityError, MaceGovError, MissingExtraError, UsageError
from mace_gov.core.locks import is_locked
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.store import Store
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.registry import DATABASE, EVIDENCE_NAME, SHELVES, Layout, Shelf, version_in
from mace_gov.documents.registry_check import Level, RegistryCheck, RegistryFinding
from mace_gov.documents.release import ReleaseLog
from mace_gov.record.collect import dead_runs, half_written
from mace_gov.record.recorded import Record, read_records
from mace_gov.record.releases import check_source
from mace_gov.record.store import server_uri
from mace_gov.record.versions import is_being_made
from mace_gov.workflow.checking import pinned_keys

GC = "`mace-gov registry gc` removes it."
ANEW = "Restore it from a copy, or delete its folder and run `mace-gov apply` anew. Do not release it."
LEVELS = list(Level)


@dataclass
class _Findings:
    """Collects what is found."""

    registry: Path
    all: list[RegistryFinding] = field(default_factory=list)

    def add(self, level: Level, where: Path | str, problem: str, action: str) -> None:
        """One more; a path is told relative to the registry."""
        inside = isinstance(where, Path) and where.is_relative_to(self.registry)
        place = where.relative_to(self.registry).as_posix() if isinstance(where, Path) and inside else str(where)
        self.all.append(RegistryFinding(level=level, where=place, problem=problem, action=action))

    def error(self, where: Path | str, error: MaceGovError) -> None:
        """What was raised: broken, unless it says that something is not there."""
        level = Level.BROKEN if isinstance(error, IntegrityError) else Level.LEFTOVER
        self.add(level, where, error.message, error.hint)


def check_registry(registry: Path, *, key: Path | None = None, progress: Progress | None = None) -> RegistryCheck:
    """Check everything in ``registry`` under the keys of ``key``, or under its own, which proves less.

    Raises UsageError when there is no such folder; whatever else is wrong is a finding.
    """
    if not registry.is_dir():
        raise UsageError(f"{registry} is not a folder, expected a registry", hint="Give it with --registry.")
    progress, found, layout = progress or Silent(), _Findings(registry), Layout(registry)
    trust = _trust(registry, key, found)
    verified = _versions(layout, trust, found, progress)
    logs = _releases(layout, trust, found)
    _released(layout, logs, verified, found)
    records = _records(layout, verified, found)
    cached = _cache(layout, found, progress)
    _left(registry, found)
    _held(layout, found)
    return RegistryCheck(
        versions=len(verified), releases=sum(len(log.entries) for log in logs.values()), cached=cached,
        recorded=None if records is None else len(records),
        findings=sorted(found.all, key=lambda each: (LEVELS.index(each.level), each.where)),
    )


def _trust(registry: Path, key: Path | None, found: _Findings) -> Trust | None:
    """The keys that count. None where there are none, which is a finding if anything is signed."""
    layout = Layout(registry)
    try:
        if layout.keys.is_dir():
            refuse_open_folder(layout.keys)
        if key is None and not layout.keys.is_dir() and not layout.pinned.exists():
            if any(layout.envelopes()):
                found.add(Level.BROKEN, "keys", "is missing, expected the keys that versions here are signed with",
                          "Put the registry's keys/ back, or give the public key with --key.")
            return None
        return pinned_keys(key, registry)
    except MaceGovError as error:
        found.error(layout.keys, error)
        return None


def _versions(
    layout: Layout, trust: Trust | None, found: _Findings, progress: Progress
) -> dict[tuple[Shelf, str], VerifiedEvidence | None]:
    """Verify every version and audit; None for one that does not hold."""
    places: list[tuple[Shelf, Path]] = []
    for shelf in SHELVES:
        for home in sorted(layout.shelf(shelf).glob("[!.]*")):
            if not home.is_dir():
                found.add(Level.LEFTOVER, home, "is a file, expected folders of models alone", "Move it away.")
                continue
            for folder in sorted(home.glob("[!.]*")):
                if not folder.is_dir() or version_in(f"{home.name}/{folder.name}") is None:
                    found.add(Level.LEFTOVER, folder, "is no version's folder, expected numbers alone", "Move it away.")
                elif any(folder.iterdir()):  # an empty one is a number that a run has claimed, see _left
                    places.append((shelf, folder))
    verified: dict[tuple[Shelf, str], VerifiedEvidence | None] = {}
    advance = progress.start("verifying versions", len(places))
    for shelf, folder in places:
        verified[shelf, f"{folder.parent.name}/{folder.name}"] = _version(folder, layout.root, trust, found, progress)
        advance(1)
    return verified


def _version(
    folder: Path, registry: Path, trust: Trust | None, found: _Findings, progress: Progress
) -> VerifiedEvidence | None:
    if not (folder / EVIDENCE_NAME).is_file():
        found.add(Level.BROKEN, folder, f"{EVIDENCE_NAME} is missing, expected a complete version", ANEW)
        return None
    if trust is None:
        return None
    try:
        verified = verify(folder, key=trust, registry=registry, need_verdict=False, progress=progress)
    except MaceGovError as error:
        found.add(Level.BROKEN, folder, error.message, ANEW if isinstance(error, IntegrityError) else error.hint)
        return None
    if verified.verdict is None:
        found.add(Level.LEFTOVER, folder, "has no signed verdict: the gate has not decided",
                  "Run `mace-gov gate` on it, or delete its folder.")
    return verified


def _releases(layout: Layout, trust: Trust | None, found: _Findings) -> dict[str, ReleaseLog]:
    logs = {}
    for name in layout.released_names() if trust else []:
        try:
            logs[name] = read_releases(layout.root, name, trust or Trust(()))
        except MaceGovError as error:
            found.error(layout.chain(name), error)
    return logs


def _released(
    layout: Layout, logs: dict[str, ReleaseLog], verified: dict[tuple[Shelf, str], VerifiedEvidence | None],
    found: _Findings,
) -> None:
    """Hold every chain of releases against the versions that it speaks about."""
    for name, log in logs.items():
        for entry in log.entries:
            evidence = verified.get(("versions", f"{name}/{entry.version}"))
            if evidence and evidence.evidence.audit.governed_digest != entry.governed_digest:
                found.add(Level.BROKEN, layout.version(name, entry.version),
                          f"is the model {evidence.evidence.audit.governed_digest}, the chain of releases speaks about "
                          f"{entry.governed_digest}", "Restore the version that was released, from a copy.")
        if log.compliant and ("versions", f"{name}/{log.compliant}") not in verified:
            found.add(Level.LEFTOVER, layout.version(name, log.compliant),
                      "is missing, the chain of releases says that it is compliant",
                      "Restore its folder from a copy, or `mace-gov registry rollback` to a version that is here.")


def _records(
    layout: Layout, verified: dict[tuple[Shelf, str], VerifiedEvidence | None], found: _Findings
) -> list[Record] | None:
    """Hold MLflow's records and the folders of versions against each other, both ways."""
    folders = {reference: evidence for (shelf, reference), evidence in verified.items() if shelf == "versions"}
    try:
        records = read_records(layout.root)
    except MissingExtraError as error:
        found.add(Level.NOTE, DATABASE, f"was not compared: {error.message}", error.hint)
        return None
    except IncompleteError as error:
        found.error(DATABASE, error)
        return None
    if records is None:
        if any(evidence and evidence.evidence.lineage for evidence in folders.values()):
            found.add(Level.NOTE, DATABASE, "is not here, the evidence of versions here names it",
                      "They still verify by NAME/N. Restore it from a copy if you have one.")
        return None
    known = {record.reference: record for record in records}
    for reference, evidence in folders.items():
        if evidence is None or evidence.evidence.lineage is None:
            continue
        record = known.get(reference)
        if record is None or record.number is None:
            found.add(Level.LEFTOVER, f"versions/{reference}", "MLflow has no record of it, its evidence names one",
                      "It still verifies by NAME/N; references like models:/NAME@ALIAS do not lead to it. Restore "
                      "mlflow.db from a copy if you have one.")
            continue
        yours = evidence.evidence.audit.governed_digest
        if record.governed_digest != yours:
            found.add(Level.BROKEN, f"versions/{reference}",
                      f"MLflow says that it is the model {record.governed_digest}, signed is {yours}",
                      "MLflow's database was changed: restore it from a copy. Deploy by NAME/N until then.")
        if not record.decided:
            found.add(Level.LEFTOVER, f"versions/{reference}", "is complete, and MLflow was not told of its verdict: "
                      "its run was killed", "The next `mace-gov apply` of its policy publishes it.")
        if not server_uri():
            try:
                check_source(f"models:/{record.name}/{record.number}", record.source, layout.versions / reference)
            except IntegrityError as error:
                found.error(f"versions/{reference}", error)
    # a server's versions may lie on other machines
    for record in known.values() if not server_uri() else ():
        if record.reference not in folders and not is_being_made(layout.root, record.reference):
            killed = " by a run that was killed" if record.open_runs else ""
            found.add(Level.LEFTOVER, f"mlflow.db: {record.reference}", f"was recorded{killed}, and has no folder", GC)
    return records


def _cache(layout: Layout, found: _Findings, progress: Progress) -> int:
    """Re-hash what is kept between runs."""
    store = Store(layout.cache)
    names = list(store.names())
    advance = progress.start("re-hashing the cache", len(names))
    for name in names:
        if not store.holds(name):
            found.add(Level.LEFTOVER, layout.cache / name, "is not what was kept under this name",
                      "Nothing: it is made anew when it is needed, and never read. `mace-gov registry gc` removes it.")
        advance(1)
    return len(names)


def _left(registry: Path, found: _Findings) -> None:
    """Findings for what killed runs left."""
    for garbage in dead_runs(registry):
        found.add(Level.LEFTOVER, garbage.path or registry, garbage.what.partition(": ")[2],
                  "The next run of that policy removes it, and so does `mace-gov registry gc`.")
    for garbage in half_written(registry):
        found.add(Level.NOTE, garbage.path or registry, garbage.what.partition(": ")[2],
                  "Nothing, if a run is going on; `mace-gov registry gc` removes it after an hour.")


def _held(layout: Layout, found: _Findings) -> None:
    """Findings (notes) for folders that a running process has locked."""
    for shelf in SHELVES:
        for scratch in sorted(layout.shelf(shelf).glob("[!.]*/.*")):
            if scratch.is_dir() and is_locked(scratch):
                found.add(Level.NOTE, scratch, "a run is at work here", "Nothing: check again when it has ended.")
    for place in _locks(layout):
        if place.exists() and is_locked(place):
            found.add(Level.NOTE, place, "is locked by a command that is running", "Nothing, unless it hangs.")


def _locks(layout: Layout) -> Iterator[Path]:
    yield layout.database_lock
    yield layout.keys
