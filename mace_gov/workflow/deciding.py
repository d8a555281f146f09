"""The wiring of a decision on what was made before: verify, decide anew, tell it in formats that other tools read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mace_gov.attest.signed import read_signed
from mace_gov.attest.statement import version_name
from mace_gov.attest.verify import ONE_POLICY, also_checked
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import POLICY_NAME, Layout
from mace_gov.documents.release_check import ReleaseCheck, State
from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.gate.decide import DecisionInputs, Previous, Terms, decide
from mace_gov.policy.diff import diff, headline
from mace_gov.policy.load import load_policy
from mace_gov.policy.waivers import load_waivers
from mace_gov.record.versions import find, version_numbers
from mace_gov.report.compose import compose
from mace_gov.report.formats import write_outputs
from mace_gov.report.formats.rows import Places
from mace_gov.report.read import read_report
from mace_gov.report.render import DOCUMENT
from mace_gov.workflow.checking import check, may_release, pinned_keys
from mace_gov.workflow.release_check import chain, check_entry


@dataclass(frozen=True)
class Exceptions:
    """What a caller brings to a decision beside policy and evidence; ``decision_inputs`` reads and checks it, before
    any work is done."""

    waivers: Sequence[Path] = ()
    """Files of waivers."""
    against: str | None = None
    """The version to compare with: ``last``, which may find none, ``NAME/N`` or a version's folder."""


NO_EXCEPTIONS = Exceptions()


def decision_inputs(
    policy: Policy, asked: Exceptions, *, name: str | None = None, own: int | None = None, key: Path | None,
    registry: Path,
) -> DecisionInputs:
    """Read waivers files, and verify the version to compare with.

    ``name`` is the governed model's, unless it is the policy's, ``own`` the number of the version that is decided on,
    if it has one yet. Raises PolicyError for a waiver that matches nothing, UsageError for a version that did not
    comply, IntegrityError for one that cannot be read, and what ``check`` raises.
    """
    given = [waiver for each in asked.waivers for waiver in load_waivers(each, policy=policy).document.spec.waivers]
    reference = asked.against
    if reference == "last":
        reference = _last(name or policy.metadata.name, own, key, registry)
    return DecisionInputs(tuple(given), _compliant(reference, key=key, registry=registry) if reference else None)


def gate_path(
    path: Path, policy: Path | None, *, key: Path | None, registry: Path, asked: Exceptions = NO_EXCEPTIONS,
    terms: Terms | None = None, outputs: Mapping[str, Path] | None = None,
) -> tuple[VerifiedEvidence, Verdict, ReleaseCheck]:
    """Verify the evidence, then decide anew against a policy file; None: the one that was signed with the version.

    A policy file that is not the one that was signed is decided under as far as the evidence answers it; what it does
    not answer is a REVIEW, see ``gate.changed``.

    Without ``asked.against`` a comparison that the signed verdict holds counts on. ``outputs`` is a file for each of
    ``report.formats.FORMATS`` that is wanted. The last value says whether the model may be
    released now, by that decision.
    """
    loaded = load_policy(policy, ended=True) if policy else None
    # The gate itself compares the policy's content: a comment edited since is no other policy.
    verified = check(path, key=key, registry=registry, need_verdict=False)
    file = policy or verified.folder / POLICY_NAME
    loaded = loaded or load_policy(file, ended=True)
    signed = _signed_policy(verified, loaded.policy)
    if policy:
        verified = with_policy(verified, loaded.policy, signed)
    place = verified.evidence.lineage
    given = decision_inputs(loaded.policy, asked, key=key, registry=registry,
                            name=place.name if place else signed.metadata.name, own=place.version if place else None)
    verdict = decide(verified, loaded.policy, signed=signed if policy else None, given=given, terms=terms)
    status = may_release(verified, key=key, registry=registry, verdict=verdict)
    if outputs:
        report = compose(loaded.policy, verified, verdict, version=version_name(verified.evidence),
                         release=status)
        write_outputs(report, Places(in_repository(file), loaded.rule_places()), outputs)
    return verified, verdict, status


def with_policy(verified: VerifiedEvidence, policy: Policy, signed: Policy) -> VerifiedEvidence:
    """``verified`` with a word on the policy that was given beside the ``signed`` one."""
    if policy.content_digest() == verified.evidence.policy_digest:
        said = "the policy that was given asks what the signed one asks, word for word"
    else:
        said = (f"the policy that was given ({policy.content_digest()}) is not the signed one "
                f"({verified.evidence.policy_digest}); decided anew under it: {headline(diff(signed, policy))}")
    return also_checked(verified, said, instead_of=ONE_POLICY)


def _signed_policy(verified: VerifiedEvidence, given: Policy) -> Policy:
    """The policy that the evidence was made under: the one that was given, or else the one beside the evidence."""
    if given.content_digest() == verified.evidence.policy_digest:
        return given
    return load_policy(verified.folder / POLICY_NAME, ended=True).policy


def export_report(path: Path, outputs: Mapping[str, Path], *, policy: Path | None = None) -> Report:
    """Write a report (its folder, or report.json itself) in other formats. Nothing is verified here.

    ``policy`` is the file that findings are placed in; policy.yaml beside the report unless given.
    """
    file = path / DOCUMENT if path.is_dir() else path
    report = read_report(file)
    source = policy or file.with_name(POLICY_NAME)
    places = Places(POLICY_NAME)
    if policy is not None or source.is_file():
        loaded = load_policy(source, ended=True)  # a waiver that ended since changes no report
        if (found := loaded.policy.content_digest()) != report.verdict.policy_digest:
            raise UsageError(f"{file} is about the policy {report.verdict.policy_digest}, found {found} in {source}")
        places = Places(in_repository(source), loaded.rule_places())
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

    Each only if it may still be released: it may have been recalled or rejected since. Raises IntegrityError when a
    version that it may be cannot be read: what is not known is not left out.
    """
    numbers = [number for number in version_numbers(registry, name) if own is None or number < own]
    if key is None and not numbers and not Layout(registry).keys.exists():
        return None  # Nothing was signed here yet.
    pinned = pinned_keys(key, registry)
    log = chain(registry, name, pinned)
    for number in (log.compliant, *reversed(numbers)):
        if number is None or number == own:
            continue
        reference = f"{name}/{number}"
        if number == log.compliant and not Layout(registry).version(name, number).is_dir():
            return reference  # One that is gone is no reason to compare with less: it is named, and fails.
        try:
            signed = read_signed(Layout(registry).version(name, number), pinned, need_verdict=True)
        except IntegrityError as error:
            raise IntegrityError(
                f"{error.message}\nso whether {reference} is the last compliant version is not known",
                hint=f"Mend {reference}, or say which version to compare with: --against {name}/N.",
            ) from error
        passed = signed.summary is not None and signed.summary.verdict.outcome is Outcome.PASS
        if number != log.compliant and not passed:
            continue
        then = check_entry(find(registry, reference), registry, pinned)
        if then.released or then.state is State.INVALID:
            return reference
    return None


def in_repository(path: Path) -> str:
    """``path`` as CI systems link to it: relative to the repository's root; of a file outside of it the name alone.

    The repository is the working folder's, else the file's own; without any, the working folder is its root.
    """
    full, here = path.resolve(), Path.cwd().resolve()
    root = _repository(here) or _repository(full.parent) or here
    name = full.relative_to(root).as_posix() if full.is_relative_to(root) else path.name
    return name.encode("utf-8", "replace").decode("utf-8")  # a name may hold bytes that are no UTF-8


def _repository(folder: Path) -> Path | None:
    """The top of the git repository that holds a folder; a worktree's .git is a file."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
