"""Numbered folders of governed versions and of audits. What is read here is what the envelopes claim, unverified."""

from __future__ import annotations

import base64
import contextlib
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mace_gov.core.canonical import strict_json
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.core.files import read_file
from mace_gov.core.locks import is_locked, lock, lock_now
from mace_gov.documents.document import Document
from mace_gov.documents.evidence import VERDICT_FIELD, Evidence
from mace_gov.documents.registry import (
    EVIDENCE_NAME,
    NAME,
    NUMBER,
    SHELVES,
    VERDICT_NAME,
    Layout,
    Shelf,
    parse_reference,
    version_in,
)
from mace_gov.documents.verdict import Outcome, Verdict

_NAME, _NUMBER = re.compile(NAME), re.compile(NUMBER)


class VersionEntry(Document):
    """One version as its envelopes claim it to be; ``attest.verify`` says whether that holds."""

    shelf: Shelf
    """Versions or audits."""
    name: str
    """Registered model name."""
    number: int
    """From 1."""
    folder: Path
    """Where it lies."""
    created: str
    """RFC 3339, from the signer's clock."""
    policy_digest: str
    """Policy document."""
    base_digest: str
    """Base model."""
    governed_digest: str
    """Governed model."""
    evidence_digest: str
    """SHA-256 of the evidence envelope."""
    outcome: Outcome | None
    """The verdict; absent before the gate has decided."""

    @property
    def reference(self) -> str:
        """``NAME/N``."""
        return f"{self.name}/{self.number}"

    def evidence(self) -> Evidence:
        """The claimed evidence, complete. Raises IntegrityError when it cannot be read."""
        return _evidence(self.folder)

    def verdict(self) -> Verdict | None:
        """The claimed verdict, complete. Raises IntegrityError when it cannot be read."""
        return _verdict(self.folder)


@contextmanager
def new_version(
    registry: Path, name: str, *, shelf: Shelf = "versions", above: int = 0
) -> Iterator[tuple[int, Path]]:
    """Allocate the next number of ``name``, above ``above``; yield it with a scratch folder that becomes the version.

    Making the numbered folder is what claims the number: of two processes only one succeeds. When the block raises,
    scratch and claim vanish; those of a process that was killed go with the next version. Raises UsageError for a name
    that is not a slug.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot name a version: expected lower-case letters, digits, dot, dash, underscore")
    home = Layout(registry).shelf(shelf) / name
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with lock(home):
            _clear_dead(home)
            number = _claim(home, above)
            final = home / str(number)
            scratch = Path(tempfile.mkdtemp(dir=home, prefix=f".{number}."))
            held.enter_context(lock_now(scratch))
        try:
            yield number, scratch
            scratch.chmod(0o755)
            # The claim is an empty folder, which a rename replaces in one step.
            scratch.replace(final)
        except BaseException:
            # A signal may come when the rename is done: then it is the version that nobody will know of.
            shutil.rmtree(scratch if scratch.exists() else final, ignore_errors=True)
            with contextlib.suppress(OSError):
                final.rmdir()
            raise


def list_versions(registry: Path, *, shelf: Shelf = "versions", name: str | None = None) -> list[VersionEntry]:
    """All complete versions, by name and number. A folder whose evidence cannot be read is left out."""
    entries = []
    for path in Layout(registry).shelf(shelf).glob(f"{name or '*'}/*/{EVIDENCE_NAME}"):
        if _NAME.fullmatch(path.parent.parent.name) and _NUMBER.fullmatch(path.parent.name):
            with contextlib.suppress(IntegrityError):
                entries.append(_entry(shelf, path.parent))
    return sorted(entries, key=lambda entry: (entry.name, entry.number))


def version_numbers(registry: Path, name: str) -> list[int]:
    """Numbers of the version folders of a name that hold anything, whether it can be read or not, in order."""
    return sorted(
        int(path.name) for path in (Layout(registry).versions / name).glob("*")
        if _NUMBER.fullmatch(path.name) and (not path.is_dir() or any(path.iterdir()))
    )


def find(registry: Path, reference: str, *, shelf: Shelf = "versions") -> VersionEntry:
    """The version ``NAME/N`` (``registry:NAME/N``, ``NAME/vN``).

    Raises UsageError when there is none, IntegrityError when its envelopes cannot be read.
    """
    name, number = parse_reference(reference)
    folder = Layout(registry).version(name, number, shelf)
    if not folder.is_dir():
        known = ", ".join(str(entry.number) for entry in list_versions(registry, shelf=shelf, name=name))
        raise UsageError(
            f"no version {name}/{number} in {registry}, found of that name: {known or 'none'}",
            hint="See `mace-gov registry list`.",
        )
    return _entry(shelf, folder)


def by_digest(registry: Path, digest: str) -> list[VersionEntry]:
    """Versions and audits whose evidence claims to be about the model ``digest``, newest first."""
    entries = [e for shelf in SHELVES for e in list_versions(registry, shelf=shelf) if e.governed_digest == digest]
    return sorted(entries, key=lambda entry: (entry.created, entry.number), reverse=True)


def highest_number(registry: Path, name: str) -> int:
    """The highest number of ``name`` whose folder is at hand, or that a run is about to use; 0 if none."""
    folders = (Layout(registry).versions / name).glob("[1-9]*")
    return max((int(path.name) for path in folders if _NUMBER.fullmatch(path.name)), default=0)


def is_being_made(registry: Path, reference: str, *, shelf: Shelf = "versions") -> bool:
    """Whether a run that is alive fills the folder of ``NAME/N``."""
    if (found := version_in(reference)) is None:
        return False
    name, number = found
    return any(is_locked(scratch) for scratch in (Layout(registry).shelf(shelf) / name).glob(f".{number}.*"))


def number_in(reference: str) -> int:
    """The number in ``NAME/N``; 0 for anything else, as MLflow's tags may hold."""
    found = version_in(reference)
    return found[1] if found else 0


def _clear_dead(home: Path) -> None:
    """Remove what processes that died left: the folder that they filled, and the claim of its number."""
    for scratch in home.glob(".*"):
        # Asked for again last: it may have become its version meanwhile.
        if scratch.is_dir() and not is_locked(scratch) and scratch.is_dir():
            number = scratch.name.split(".")[1]
            shutil.rmtree(scratch, ignore_errors=True)
            with contextlib.suppress(OSError):
                (home / number).rmdir()
            logging.getLogger("mace_gov").warning("removed what a run of %s/%s left that did not finish",
                                                  home.name, number)


def _claim(home: Path, above: int) -> int:
    while True:
        taken = [int(path.name) for path in home.iterdir() if _NUMBER.fullmatch(path.name)]
        number = max([*taken, above]) + 1
        try:
            (home / str(number)).mkdir()
        except FileExistsError:
            continue
        return number


def _entry(shelf: Shelf, folder: Path) -> VersionEntry:
    evidence, verdict = _evidence(folder), _verdict(folder)
    return VersionEntry(
        shelf=shelf, name=folder.parent.name, number=int(folder.name), folder=folder, created=evidence.created,
        policy_digest=evidence.policy_digest, base_digest=evidence.audit.base_digest,
        governed_digest=evidence.audit.governed_digest, evidence_digest=sha256_file(folder / EVIDENCE_NAME),
        outcome=verdict.outcome if verdict else None,
    )


def _evidence(folder: Path) -> Evidence:
    path = folder / EVIDENCE_NAME
    try:
        return Evidence.from_json(_predicate(path))
    except ValueError as error:
        raise IntegrityError(f"{path}: is not evidence of a known schema") from error


def _verdict(folder: Path) -> Verdict | None:
    path = folder / VERDICT_NAME
    if not path.exists():
        return None
    try:
        return Verdict.from_json(_predicate(path).get(VERDICT_FIELD))
    except ValueError as error:
        raise IntegrityError(f"{path}: is not a verdict of a known schema") from error


def _predicate(path: Path) -> dict[str, Any]:
    try:
        envelope = strict_json(read_file(path))
        predicate = strict_json(base64.b64decode(envelope["payload"]))["predicate"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise IntegrityError(f"{path}: cannot be read as a signed envelope") from error
    if not isinstance(predicate, dict):
        raise IntegrityError(f"{path}: its statement has no predicate")
    return predicate
