"""Check what was made, as every use of it begins. No model runs here."""

from __future__ import annotations

import shutil
from pathlib import Path

from mace_gov.attest.keys import TRUST_NAME, registry_trust
from mace_gov.attest.trust import Trust, load_trust
from mace_gov.attest.verify import Expectations, also_checked, verify
from mace_gov.core.errors import IntegrityError, MaceGovError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.registry import VERDICT_NAME, Layout, version_in
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.verdict import Verdict
from mace_gov.record.releases import Registered, is_registered, resolve
from mace_gov.record.versions import find
from mace_gov.workflow.refusals import refuse_ended, refuse_moved, refuse_recalled
from mace_gov.workflow.release_check import Logs, chains, registries_of, release_check


def verify_path(
    path: Path, *, key: Path | None, registry: Path, resource_uri: str | None = None
) -> tuple[VerifiedEvidence, Verdict, ReleaseCheck]:
    """Verify a version, report or model folder, or ``models:/NAME@ALIAS``, and that it still stands.

    resource_uri: what the verdict must be about; a version's own name unless given. The last value says whether it may
    be released now. Raises what ``check`` does, and NotReleasedError when a waiver that its verdict rests on has ended.
    """
    verified, trust, logs = _checked(path, key, registry, need_verdict=True, resource_uri=resource_uri)
    if verified.verdict is None:
        raise IntegrityError(f"{path}: no signed verdict, expected {VERDICT_NAME}")
    now = release_check(verified, registry=registry, trust=trust, logs=logs)
    refuse_ended(verified, now)
    return verified, verified.verdict, now


def may_release(
    verified: VerifiedEvidence, *, key: Path | None, registry: Path, verdict: Verdict | None = None
) -> ReleaseCheck:
    """Whether what was verified may be released now, under the keys that count. See ``release_check``."""
    return release_check(verified, registry=registry, trust=pinned_keys(key, registry), verdict=verdict)


def folder_of(path: Path, registry: Path) -> Path:
    """The folder that is meant: an existing one, ``NAME/N`` in the registry, or where MLflow leads ``models:/...``."""
    return _locate(path, registry)[0]


def check(path: Path, *, key: Path | None, registry: Path, need_verdict: bool) -> VerifiedEvidence:
    """Verify what ``path`` leads to, as every use of a version begins.

    Raises IntegrityError, also for a reference that was moved past the signed releases, and RecalledError.
    """
    return _checked(path, key, registry, need_verdict=need_verdict)[0]


def _checked(
    path: Path, key: Path | None, registry: Path, *, need_verdict: bool, resource_uri: str | None = None
) -> tuple[VerifiedEvidence, Trust, Logs]:
    """See ``check``; also the keys and every chain of releases that were read for it, so that none is read twice."""
    folder, registered = _locate(path, registry)
    trust = pinned_keys(key, registry)
    try:
        verified = verify(
            folder, key=trust, registry=registry, need_verdict=need_verdict,
            expected=Expectations(resource_uri=resource_uri))
    except MaceGovError:
        if registered and registered.fetched:
            # What does not hold is not kept: the server may be mended, and the next command fetches it anew.
            shutil.rmtree(folder.parent)
        raise
    logs = chains(registries_of(verified.folder, registry), verified.evidence, trust)
    standing = refuse_recalled(verified, logs)
    if registered:
        refuse_moved(registered, verified, registry, trust)
    return also_checked(verified, standing), trust, logs


def verified_base(ref: str, registry: Path) -> str | None:
    """The signed digest of the governed version that ``ref`` names as a base model, verified and not recalled.

    None for a reference of another kind, or to a version that is not there. Raises what ``check`` does.
    """
    if (version := version_in(ref)) is None:
        return None
    folder = Layout(registry).version(*version)
    if not (folder / "model").is_dir():
        return None
    return check(folder, key=None, registry=registry, need_verdict=False).evidence.audit.governed_digest


def _locate(path: Path, registry: Path) -> tuple[Path, Registered | None]:
    if is_registered(str(path)):
        registered = resolve(registry, str(path))
        return registered.model, registered
    return path if path.exists() else find(registry, str(path)).folder, None


def pinned_keys(key: Path | None, registry: Path) -> Trust:
    """The keys that count: those of ``key`` (a public key or a trust file), else the registry's own."""
    if key is None or key.resolve() == (Layout(registry).keys / TRUST_NAME).resolve():
        return registry_trust(registry)
    return load_trust(key)
