"""Sign a reviewer's decision on a verdict, once what it is about was verified."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mace_gov.attest.keypair import KeyPair, load_key_pair
from mace_gov.attest.sign_off import ReviewerDecision, sign_off
from mace_gov.attest.statement import version_name
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.registry import EVIDENCE_NAME, SIGN_OFFS, Layout
from mace_gov.record.releases import note_sign_offs
from mace_gov.workflow.checking import pinned_keys, verify_path


def sign_off_path(
    path: Path, made: ReviewerDecision, *, signing_key: Path, key: Path | None, registry: Path
) -> tuple[Path, VerifiedEvidence]:
    """Verify a report or a version, then sign a reviewer's decision on its verdict.

    The sign-off goes to the folder of the version or audit and to the registry's decisions/, where the registry has
    it, else beside what was looked at.
    """
    if not signing_key.is_file():
        raise UsageError(f"{signing_key} is not a file, expected the reviewer's private key",
                         hint="Make one with `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.")
    return sign_off_with(load_key_pair(signing_key), path, made, key=key, registry=registry)


def sign_off_with(
    pair: KeyPair, path: Path, made: ReviewerDecision, *, key: Path | None, registry: Path, seen: str | None = None
) -> tuple[Path, VerifiedEvidence]:
    """``sign_off_path`` with a key that is open.

    seen: SHA-256 of the report's envelope as it was looked at; UsageError when the report is another one by now.
    """
    verified, _, _ = verify_path(path, key=key, registry=registry)
    trust = pinned_keys(key, registry)
    for entry, _ in trust.keys:
        # Such a sign-off would stand in the way of whoever verifies.
        if entry.keyid == pair.public.fingerprint and (ended := entry.revoked or entry.retired):
            raise UsageError(f"{pair.private_path} is the key of '{entry.name}', which was "
                             f"{'revoked' if entry.revoked else 'retired'} on {ended}: it decides nothing any more",
                             hint="Make another one with `mace-gov keys generate`, and have it pinned.")
    pinned = trust.name_of(pair.public.fingerprint)
    if pinned is not None and phrase_key(pinned) != phrase_key(made.reviewer):
        raise UsageError(f"--reviewer is '{made.reviewer}', but {pair.private_path} is pinned as the key of "
                         f"'{pinned}', in whose name its decisions count",
                         hint=f"Give --reviewer '{pinned}', or your own key.")
    held = _version_folder(verified, registry)
    written = sign_off(verified, pair, made, out=held, registry=held and registry, seen=seen)
    lineage = verified.evidence.lineage
    if held and lineage:
        # A third place to know it from. It is signed and filed, whether or not MLflow is here and may be written.
        with suppress(IncompleteError):
            note_sign_offs(registry, lineage, held, len(list((held / SIGN_OFFS).iterdir())))
    return written, verified


def _version_folder(verified: VerifiedEvidence, registry: Path) -> Path | None:
    """The folder of the verified version or audit in the registry, if it holds this very evidence."""
    name = version_name(verified.evidence)
    layout = Layout(registry)
    claimed = [layout.versions / name] if name else sorted(layout.shelf("audits").glob("*/*"))
    envelopes = (folder / EVIDENCE_NAME for folder in claimed)
    return next((envelope.parent for envelope in envelopes
                 if envelope.is_file() and sha256_file(envelope) == verified.evidence_digest), None)
