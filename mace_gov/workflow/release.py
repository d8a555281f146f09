"""Promote, recall, roll back: each a signed entry in the chain of releases, repeated in MLflow for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.keys import PRIVATE_NAME, own_key_pair, registry_trust
from mace_gov.attest.releases import add_release
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.registry import Layout, parse_reference
from mace_gov.documents.release import Action, Release, ReleaseLog
from mace_gov.documents.verdict import Verdict
from mace_gov.record.releases import mirror
from mace_gov.record.server import push_release, send_version
from mace_gov.record.versions import find
from mace_gov.workflow.checking import may_release
from mace_gov.workflow.deciding import Exceptions, gate_path
from mace_gov.workflow.release_check import chain


@dataclass(frozen=True)
class Released:
    """How an attempt to promote or to roll back ended."""

    version: str
    """``NAME/N``."""
    verdict: Verdict
    """The gate's decision, made anew."""
    exit_code: int
    """0: it is the compliant version now. Otherwise nothing was changed, and this is why, after review."""
    reasons: tuple[str, ...] = ()
    """What reviewers said, or what is missing."""


def promote(
    version: str, *, registry: Path, key: Path | None = None, by: str, reason: str | None = None,
    waivers: Sequence[Path] = (),
) -> Released:
    """Verify a version, ask the gate anew, and make it the compliant one if gate and reviewers let it through.

    In audit mode too: such a policy never stops a pipeline, and never releases what it would have stopped.

    Raises IntegrityError or RecalledError as ``verify`` does.
    """
    return _promote(version, Action.PROMOTE, registry=registry, key=key, by=by, reason=reason, waivers=waivers)


def rollback(
    name: str, *, registry: Path, key: Path | None = None, by: str, reason: str | None = None,
    waivers: Sequence[Path] = (),
) -> Released:
    """Make the version before the compliant one compliant again, after verification and gate like any other."""
    target = chain(registry, name, registry_trust(registry)).rollback_target
    if target is None:
        raise UsageError(f"no version of {name} was compliant before the present one, or all of them were recalled",
                         hint="See `mace-gov registry list`.")
    version = f"{name}/{target}"
    return _promote(version, Action.ROLLBACK, registry=registry, key=key, by=by, reason=reason, waivers=waivers)


def recall(version: str, *, registry: Path, by: str, reason: str) -> ReleaseLog:
    """Call a version back: from now on it fails ``verify``, and nothing is compliant until another one is promoted.

    Needs no file of the version but its envelope; if even that is gone, an entry that released it once is enough.
    """
    name, number = parse_reference(version)
    pair = _own(registry)
    log = chain(registry, name, registry_trust(registry))
    known = next((entry for entry in log.entries if entry.version == number), None)
    claimed = known or find(registry, version)
    if log.recall_of(name, number, claimed.governed_digest) is None:
        log = _add(registry, log, pair, Release(
            number=1, action=Action.RECALL, name=name, version=number, governed_digest=claimed.governed_digest,
            evidence_digest=claimed.evidence_digest, reason=reason, by=by, at=timestamp(),
        ))
    mirror(registry, name, log)
    return log


def _promote(
    version: str, action: Action, *, registry: Path, key: Path | None, by: str, reason: str | None,
    waivers: Sequence[Path],
) -> Released:
    verified, verdict, decided = gate_path(Path(version), None, key=key, registry=registry, asked=Exceptions(waivers))
    lineage = verified.evidence.lineage
    if verified.verdict is None or lineage is None:
        raise IntegrityError(f"{version}: has no signed verdict, or is no version of this registry")
    name = f"{lineage.name}/{lineage.version}"
    # Audit mode lets a pipeline go on; it releases nothing.
    if verdict.mode == "audit":
        enforced = verdict.model_copy(update={"mode": "enforce"})
        decided = may_release(verified, key=key, registry=registry, verdict=enforced)
    if not decided.released:
        return Released(name, verdict, decided.exit_code, tuple(decided.reasons))
    pair = _own(registry)
    send_version(registry, lineage, verified.folder)
    log = chain(registry, lineage.name, registry_trust(registry))
    if log.compliant != lineage.version:
        log = _add(registry, log, pair, Release(
            number=1, action=action, name=lineage.name, version=lineage.version, reason=reason, by=by, at=timestamp(),
            governed_digest=verdict.governed_digest, evidence_digest=verdict.evidence_digest,
            waivers=[waiver.digest for waiver in verdict.waivers],
        ))
    mirror(registry, lineage.name, log)
    return Released(name, verdict, 0, tuple(decided.remarks))


def _own(registry: Path) -> KeyPair:
    """The registry's signing key. Raises UsageError where it is not here: a new one is pinned nowhere."""
    pair = own_key_pair(registry, registry_trust(registry))
    if pair is None:
        raise UsageError(f"{Layout(registry).keys / PRIVATE_NAME} is not the pipeline's private key, or is not here",
                         hint="Run it where the key is. `mace-gov keys init` makes a new one after a revocation.")
    return pair


def _add(registry: Path, log: ReleaseLog, pair: KeyPair, entry: Release) -> ReleaseLog:
    path, log = add_release(registry, log, entry, pair)
    push_release(registry, entry.name, path)
    return log
