"""May this model be released now? The one place that knows; whatever uses a version asks here.

The verdict, the reviewers' decisions, recalls in every chain of releases, waivers that ended, the policy's date of
review: ``gate.review`` joins them, this module gathers them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mace_gov.attest.decisions import home_of, read_decisions
from mace_gov.attest.keys import registry_trust
from mace_gov.attest.releases import read_releases
from mace_gov.attest.signed import read_signed
from mace_gov.attest.statement import version_name
from mace_gov.attest.trust import Trust
from mace_gov.core.clock import timestamp, wall_clock
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError, PolicyError
from mace_gov.documents.evidence import Evidence, VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import EVIDENCE_NAME, POLICY_NAME, REPORT_NAME, Layout
from mace_gov.documents.release import Action, Release, ReleaseLog
from mace_gov.documents.release_check import ReleaseCheck, State
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.gate.review import Known, check_release, recall_in_words, same_decision
from mace_gov.policy.load import load_policy
from mace_gov.record.server import pull_releases
from mace_gov.record.versions import VersionEntry
from mace_gov.report.read import read_report
from mace_gov.report.render import DOCUMENT

__all__ = ["Logs", "chain", "chains", "check_entry", "recall_of", "recalled_models", "registries_of", "release_check"]

Logs = dict[str, list[ReleaseLog]]
"""Chains of releases by the model's name: one of each registry at hand."""


def release_check(
    verified: VerifiedEvidence, *, registry: Path, trust: Trust, verdict: Verdict | None = None,
    logs: Logs | None = None,
) -> ReleaseCheck:
    """Whether the model of ``verified`` may be released now.

    ``verdict``: one that was decided just now; the signed one unless given. Where both say the same, the signed one
    answers, with what reviewers approved; what they rejected counts anyhow. ``logs``: chains that were just read.
    Raises IntegrityError for a chain of releases that does not hold, or where there is no verdict at all.
    """
    signed, asked = verified.verdict, verdict or verified.verdict
    if asked is None:
        raise IntegrityError(f"{verified.folder}: no signed verdict, expected one to release by")
    same, policy = same_decision(asked, signed), None
    if signed and same:
        asked, policy = signed.model_copy(update={"mode": asked.mode}), _policy(verified.folder, verified.evidence)
    if logs is None:
        logs = chains(registries_of(verified.folder, registry), verified.evidence, trust)
    known = Known(
        sign_offs=verified.sign_offs if same else (), unverified=verified.unverified,
        elsewhere=verified.elsewhere if same else sorted((*verified.elsewhere, *verified.sign_offs), key=_moment),
        recall=recall_of(verified.evidence, logs), told=_told(verified, registry),
        remarks=_superseded(verified.evidence, logs),
    )
    return check_release(asked, policy, known, wall_clock().date())


def check_entry(
    entry: VersionEntry, registry: Path, trust: Trust, *, policy: Policy | None = None
) -> ReleaseCheck:
    """The same for a version in a list: signatures are checked, and no file is re-hashed.

    policy: the one of its evidence, where it was read already.
    """
    try:
        signed = read_signed(entry.folder, trust, need_verdict=False)
        if signed.summary is None:
            return _nothing(State.REVIEW, Outcome.REVIEW.exit_code, "no verdict: the gate has not decided")
        said = read_decisions([entry.folder], registry, signed, trust, wall_clock())
        logs = chains([registry], signed.evidence, trust)
        known = Known(said.sign_offs, said.elsewhere, said.unverified, recall_of(signed.evidence, logs),
                      remarks=_superseded(signed.evidence, logs))
        policy = policy or _policy(entry.folder, signed.evidence)
        return check_release(signed.summary.verdict, policy, known, wall_clock().date())
    except (IntegrityError, PolicyError) as error:  # one version that cannot be read does not hide the others
        return _nothing(State.INVALID, error.exit_code, error.message)


def recalled_models(registry: Path) -> dict[str, str]:
    """Every model that a chain in ``registry`` calls back, by digest, in words; under the registry's own keys."""
    names = set(Layout(registry).released_names())
    logs = [chain(registry, name, registry_trust(registry)) for name in sorted(names)]
    return {entry.governed_digest: f"this very model was called back: {recall_in_words(entry)}"
            for log in logs for entry in log.entries if entry.action is Action.RECALL}


def chain(registry: Path, name: str, trust: Trust) -> ReleaseLog:
    """The chain of releases of ``name``, checked; what a tracking server has of it is fetched first."""
    pull_releases(registry, name, Layout(registry).chain(name))
    return read_releases(registry, name, trust)


def chains(registries: Iterable[Path], evidence: Evidence, trust: Trust) -> Logs:
    """Every chain of releases at hand by model, that of the model in ``evidence`` among them."""
    own = {evidence.lineage.name} if evidence.lineage else set()
    found: Logs = {}
    for registry in registries:
        names = set(Layout(registry).released_names())
        for name in sorted(names | own):
            found.setdefault(name, []).append(chain(registry, name, trust))
    return found


def recall_of(evidence: Evidence, logs: Logs) -> Release | None:
    """The entry that calls back this version, or this very model under whatever name."""
    name, version = (evidence.lineage.name, evidence.lineage.version) if evidence.lineage else (None, None)
    recalls = (log.recall_of(name, version, evidence.audit.governed_digest) for each in logs.values() for log in each)
    return next((entry for entry in recalls if entry), None)


def registries_of(folder: Path, registry: Path) -> list[Path]:
    """The registry that was given, and the one that ``folder`` lies in."""
    home = home_of(folder)
    return [registry] if home is None or home.resolve() == registry.resolve() else [registry, home]


def _told(verified: VerifiedEvidence, registry: Path) -> ReleaseCheck | None:
    """What a verified report says of its version, unless that very version is at hand, and knows it better."""
    if not (verified.folder / REPORT_NAME).exists():
        return None
    name = version_name(verified.evidence)
    envelope = Layout(registry).versions / name / EVIDENCE_NAME if name else None
    if envelope and envelope.is_file() and sha256_file(envelope) == verified.evidence_digest:
        return None
    return read_report(verified.folder / DOCUMENT).release


def _superseded(evidence: Evidence, logs: Logs) -> list[str]:
    place = evidence.lineage
    for log in logs.get(place.name, ()) if place else ():
        if place and log.state_of(place.name, place.version, evidence.audit.governed_digest) == "superseded":
            now = f"{place.name}/{log.compliant} is compliant now" if log.compliant else "no version is compliant now"
            return [f"superseded: {now}"]
    return []


def _policy(folder: Path, evidence: Evidence) -> Policy:
    path = folder / POLICY_NAME
    if not path.is_file() or (found := sha256_file(path)) != evidence.policy_file_digest:
        raise IntegrityError(f"{path}: is {found if path.is_file() else 'missing'}, the evidence is about the policy "
                             f"file {evidence.policy_file_digest}")
    return load_policy(path, ended=True).policy


def _moment(said: object) -> str:
    return str(getattr(said, "signed", ""))


def _nothing(state: State, code: int, reason: str) -> ReleaseCheck:
    return ReleaseCheck(state=state, released=False, exit_code=code, reasons=[reason], at=timestamp())
