"""Does a version that verifies still stand? Recalls and MLflow's word, held against the signed chain; ended waivers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.attest.releases import read_releases, release_folder
from mace_gov.attest.statement import POLICY_NAME
from mace_gov.attest.trust import Trust
from mace_gov.core.clock import wall_clock
from mace_gov.core.errors import IntegrityError, NotReleasedError, RecalledError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.release import ReleaseLog
from mace_gov.documents.verdict import Outcome
from mace_gov.gate.waive import ended_since
from mace_gov.policy.load import load_policy
from mace_gov.record.server import pull_releases

if TYPE_CHECKING:
    from mace_gov.record.releases import Registered

HINT = "Do not deploy by this reference. `mace-gov registry list` shows what is compliant by the signed chain."


def chain(registry: Path, name: str, trust: Trust) -> ReleaseLog:
    """The chain of releases of ``name``, checked; what a tracking server has of it is fetched first."""
    pull_releases(registry, name, release_folder(registry, name))
    return read_releases(registry, name, trust)


def refuse_recalled(verified: VerifiedEvidence, registry: Path, trust: Trust) -> str:
    """What the signed releases at hand say, in words; "not recalled" is worth what they know.

    Raises RecalledError when any chain in the registry recalls this version or this model.
    """
    lineage, digest = verified.evidence.lineage, verified.evidence.audit.governed_digest
    place = (lineage.name, lineage.version) if lineage else (None, None)
    names = {folder.name for folder in (registry / "releases").glob("[!.]*")} | ({lineage.name} if lineage else set())
    known = 0
    for name in sorted(names):
        log = chain(registry, name, trust)
        known += len(log.entries)
        if found := log.recall_of(*place, digest):
            version = f"{found.name}/{found.version}"
            raise RecalledError(f"{version} was recalled on {found.at} by {found.by}: {found.reason}")
    if not known:
        return "releases: no signed chain at hand; whether this version was recalled since is not known"
    return f"releases: not recalled by the {known} signed entries at hand"


def refuse_ended(verified: VerifiedEvidence) -> None:
    """Raise NotReleasedError (exit code 1) when a waiver has ended that the signed verdict rests on.

    Nothing is raised in audit mode, nor for a version that its verdict holds back anyhow.
    """
    verdict = verified.verdict
    if verdict is None or verdict.mode == "audit" or verdict.exit_code == Outcome.FAIL.exit_code:
        return
    policy = load_policy(verified.folder / POLICY_NAME, ended=True).policy
    if reasons := ended_since(verdict, policy, wall_clock().date()):
        raise NotReleasedError(f"{verified.resource_uri}: {'; '.join(reasons)}", code=Outcome.FAIL.exit_code,
                               hint="Renew the waiver: `mace-gov apply --waivers` signs a verdict with it.")


def refuse_moved(registered: Registered, verified: VerifiedEvidence, registry: Path, trust: Trust) -> None:
    """Raise IntegrityError when MLflow leads elsewhere than signed evidence and signed releases say."""
    from mace_gov.record.releases import COMPLIANT

    lineage = verified.evidence.lineage
    signed = f"{lineage.name}, version {lineage.mlflow_version}" if lineage else "no version of MLflow"
    found = f"{registered.name}, version {registered.mlflow_version}"
    if signed != found:
        raise IntegrityError(f"{registered.uri}: MLflow leads from {found} to files whose signed evidence is about "
                             f"{signed}: its database was changed", hint=HINT)
    digest = verified.evidence.audit.governed_digest
    if registered.digest is not None and registered.digest != digest:
        raise IntegrityError(f"{registered.uri}: MLflow says that its digest is {registered.digest}, and the signed "
                             f"evidence is about {digest}", hint=HINT)
    if registered.recalled:
        raise RecalledError(f"{registered.uri}: MLflow says that {lineage.name}/{lineage.version} was recalled")
    if registered.alias == COMPLIANT:
        compliant = chain(registry, registered.name, trust).compliant
        if compliant != lineage.version:
            expected = f"{registered.name}/{compliant}" if compliant else "none"
            raise IntegrityError(
                f"{registered.uri}: MLflow leads to {lineage.name}/{lineage.version}, expected {expected}: the signed "
                "chain of releases says so, and the alias was moved past it", hint=HINT,
            )
