"""The wiring of a decision on what was made before: verify, decide anew, tell it in formats that other tools read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mace_gov.attest.keys import key_folder
from mace_gov.attest.statement import POLICY_NAME, version_name
from mace_gov.core.errors import UsageError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.release_check import State
from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.documents.waiver import Waiver
from mace_gov.gate.decide import Previous, Terms, decide
from mace_gov.gate.formats import Places, write_outputs
from mace_gov.policy.load import load_policy
from mace_gov.policy.waivers import load_waivers
from mace_gov.record.versions import list_versions
from mace_gov.report.compose import compose
from mace_gov.report.read import read_report
from mace_gov.report.render import DOCUMENT
from mace_gov.workflow.checking import check, may_release, pinned_keys
from mace_gov.workflow.release_check import chain, check_entry


@dataclass(frozen=True)
class Granted:
    """What a decision takes into account beyond policy and evidence; read and checked before any work is done."""

    waivers: tuple[Waiver, ...] = ()
    """Exceptions, each of which matches something in the policy."""
    previous: Previous | None = None
    """The version to compare with."""


def grant(
    policy: Policy, *, waivers: Sequence[Path] = (), against: str | None = None, own: int | None = None,
    key: Path | None, registry: Path,
) -> Granted:
    """Read waivers files, and verify the version to compare with.

    ``against`` is ``last``, ``NAME/N`` or a version's folder; ``last`` may find none. ``own`` is the number of the
    version that is decided on, if it has one yet. Raises PolicyError for a waiver that matches nothing, UsageError for
    a version that did not comply, and what ``check`` raises.
    """
    given = [waiver for each in waivers for waiver in load_waivers(each, policy=policy).document.spec.waivers]
    reference = _last(policy.metadata.name, own, key, registry) if against == "last" else against
    return Granted(tuple(given), _compliant(reference, key=key, registry=registry) if reference else None)


def gate_path(
    path: Path, policy: Path | None, *, key: Path | None, registry: Path, waivers: Sequence[Path] = (),
    against: str | None = None, terms: Terms | None = None, outputs: Mapping[str, Path] | None = None,
) -> tuple[VerifiedEvidence, Verdict, bool]:
    """Verify the evidence, then decide anew against a policy file; None: the one that was signed with the version.

    ``waivers`` and ``against``: see ``grant``; without ``against`` a comparison that the signed verdict holds counts
    on. ``outputs`` is a file for each of ``gate.formats.FORMATS`` that is wanted. The last value says whether a key
    was given.
    """
    loaded = load_policy(policy, ended=True) if policy else None
    # The gate itself compares the policy's content: a comment edited since is no other policy.
    verified = check(path, key=key, registry=registry, need_verdict=False)
    file = policy or verified.folder / POLICY_NAME
    loaded = loaded or load_policy(file, ended=True)
    place = verified.evidence.lineage
    own = place.version if place and place.name == loaded.policy.metadata.name else None
    granted = grant(loaded.policy, waivers=waivers, against=against, own=own, key=key, registry=registry)
    verdict = decide(verified, loaded.policy, waivers=granted.waivers, previous=granted.previous,
                     compared=verified.verdict.compared if verified.verdict else None, terms=terms)
    if outputs:
        status = may_release(verified, key=key, registry=registry, verdict=verdict)
        report = compose(loaded.policy, verified, verdict, version=version_name(verified.evidence),
                         sign_offs=verified.sign_offs, release=status)
        write_outputs(report, Places(_in_repository(file), loaded.rule_places()), outputs)
    return verified, verdict, key is not None


def export(path: Path, outputs: Mapping[str, Path], *, policy: Path | None = None) -> Report:
    """Write a report (its folder, or report.json itself) in other formats. Nothing is verified here.

    ``policy`` is the file that findings are placed in; policy.yaml beside the report unless given.
    """
    file = path / DOCUMENT if path.is_dir() else path
    report = read_report(file)
    source = policy or file.with_name(POLICY_NAME)
    places = Places(POLICY_NAME)
    if policy is not None or source.is_file():
        loaded = load_policy(source)
        if (found := loaded.policy.content_digest()) != report.verdict.policy_digest:
            raise UsageError(f"{file} is about the policy {report.verdict.policy_digest}, found {found} in {source}")
        places = Places(_in_repository(source), loaded.rule_places())
    write_outputs(report, places, outputs)
    return report


def _compliant(reference: str, *, key: Path | None, registry: Path) -> Previous:
    """A version to compare with, verified."""
    then = check(Path(reference), key=key, registry=registry, need_verdict=True)
    name = version_name(then.evidence) or reference
    if then.verdict is None or not may_release(then, key=key, registry=registry).released:
        found = then.verdict.outcome if then.verdict else "no verdict"
        raise UsageError(f"{name} is no compliant version: found {found}, expected a version that may be released",
                         hint="Give --against last.")
    return Previous(name, then)


def _last(name: str, own: int | None, key: Path | None, registry: Path) -> str | None:
    """The version that was released last, as the signed chain says; without one, the last that passed.

    Each only if it may still be released: it may have been recalled or rejected since.
    """
    if key is None and not key_folder(registry).exists():
        return None  # Nothing was signed here yet.
    pinned = pinned_keys(key, registry)
    log = chain(registry, name, pinned)
    there = {entry.number: entry for entry in list_versions(registry, name=name)}
    passed = [number for number, entry in there.items()
              if entry.outcome is Outcome.PASS and (own is None or number < own)]
    for number in (log.compliant, *reversed(passed)):
        if number is None or number == own:
            continue
        then = check_entry(there[number], registry, pinned) if number in there else None
        # One that is gone or does not hold is no reason to compare with less: it is named here, and fails.
        if then is None or then.released or then.state is State.INVALID:
            return f"{name}/{number}"
    return None


def _in_repository(path: Path) -> str:
    """``path`` as CI systems link to it: relative to where the command runs; of a file elsewhere the name alone."""
    full, here = path.resolve(), Path.cwd().resolve()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else path.name
