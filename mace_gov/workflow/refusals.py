"""Errors for a version that verifies and must not be used all the same: recalled, lapsed, or moved in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.attest.trust import Trust
from mace_gov.core.errors import IntegrityError, NotReleasedError, RecalledError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.release_check import ReleaseCheck, State
from mace_gov.gate.review import recall_in_words
from mace_gov.workflow.release_check import Logs, chain, recall_of

if TYPE_CHECKING:
    from mace_gov.record.releases import Registered

HINT = "Do not deploy by this reference. `mace-gov registry list` shows what is compliant by the signed chain."


def refuse_recalled(verified: VerifiedEvidence, logs: Logs) -> str:
    """What the signed releases at hand say, in words; "not recalled" is worth what they know.

    Raises RecalledError when any chain in ``logs`` recalls this version or this model.
    """
    if found := recall_of(verified.evidence, logs):
        raise RecalledError(recall_in_words(found))
    if not (known := sum(len(log.entries) for each in logs.values() for log in each)):
        return "releases: no signed chain at hand; whether this version was recalled since is not known"
    return f"releases: not recalled by the {known} signed entries at hand"


def refuse_ended(verified: VerifiedEvidence, check: ReleaseCheck) -> None:
    """Raise NotReleasedError (exit code 1) when a waiver has ended that the signed verdict rests on.

    Nothing is raised in audit mode, nor for a version that is held back anyhow.
    """
    if check.state is State.LAPSED and check.exit_code:
        raise NotReleasedError(f"{verified.resource_uri}: {'; '.join(check.reasons)}", code=check.exit_code,
                               hint="Renew the waiver: `mace-gov apply --waivers` signs a verdict with it.")


def refuse_moved(registered: Registered, verified: VerifiedEvidence, registry: Path, trust: Trust) -> None:
    """Raise IntegrityError when MLflow leads elsewhere than signed evidence and signed releases say."""
    from mace_gov.record.releases import COMPLIANT

    lineage = verified.evidence.lineage
    signed = f"{lineage.name}, version {lineage.mlflow_version}" if lineage else "no version of MLflow"
    found = f"{registered.name}, version {registered.mlflow_version}"
    if lineage is None or signed != found:
        raise IntegrityError(f"{registered.uri}: MLflow leads from {found} to files whose signed evidence is about "
                             f"{signed}: its database was changed", hint=HINT)
    digest = verified.evidence.audit.governed_digest
    if registered.digest is not None and registered.digest != digest:
        raise IntegrityError(f"{registered.uri}: MLflow says that its digest is {registered.digest}, and the signed "
                             f"evidence is about {digest}", hint=HINT)
    own = [one for one in verified.unverified if one.evidence_digest == verified.evidence_digest]
    if registered.sign_offs > (there := len(verified.sign_offs) + len(own)):
        raise IntegrityError(
            f"{registered.uri}: MLflow counts {registered.sign_offs} sign-offs on {lineage.name}/{lineage.version}, "
            f"found {there} in {verified.folder}: one was taken away, or this copy is older",
            hint="Put it back. A copy that was fetched from a server is fetched anew once its folder is removed.",
        )
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
