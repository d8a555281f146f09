"""Write a report's folder: when a version or an audit is finished, and again whenever there is more to say."""

from __future__ import annotations

import shutil
from pathlib import Path

from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.keys import ensure_key_pair
from mace_gov.attest.sign import sign_report
from mace_gov.attest.sign_off import sign_off_names
from mace_gov.attest.statement import EVIDENCE_NAME, POLICY_NAME, SIGN_OFFS, VERDICT_NAME, version_name
from mace_gov.attest.verify import verify
from mace_gov.core.atomic import new_folder
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.verdict import Verdict
from mace_gov.policy.load import load_policy
from mace_gov.report.compose import compose
from mace_gov.report.render import render
from mace_gov.workflow.checking import folder_of, pinned_keys


def write_report(
    policy: Policy, verified: VerifiedEvidence, verdict: Verdict, version: str | None, folder: Path, reports: Path,
    pair: KeyPair,
) -> Path:
    """Render the report of a finished version or audit into its folder below ``reports``, and sign it."""
    out = _place(version, folder, reports)
    if out.exists():
        shutil.rmtree(out)
    report = compose(policy, verified, verdict, version=version, folder=str(folder), sign_offs=verified.sign_offs)
    with new_folder(out) as scratch:
        render(report, folder / "evidence", scratch)
        for part in (POLICY_NAME, EVIDENCE_NAME, VERDICT_NAME):
            shutil.copyfile(folder / part, scratch / part)
        for part, signed in ((POLICY_NAME, verified.evidence.policy_file_digest),
                             (EVIDENCE_NAME, verified.evidence_digest)):
            if (found := sha256_file(scratch / part)) != signed:
                raise IntegrityError(f"{folder / part}: changed after it was verified: digest is {found}")
        sign_report(scratch, pair)
    return out


def report_again(path: Path, *, registry: Path, reports: Path, key: Path | None) -> Path:
    """Verify a version and render its report anew from the signed evidence, the verdict and the sign-offs since.

    Raises UsageError when sign-offs lie beside the old report that the version's folder has not.
    """
    folder = folder_of(path, registry)
    verified = verify(folder, key=pinned_keys(key, registry), registry=registry)
    if verified.verdict is None:
        raise IntegrityError(f"{path}: no signed verdict, expected {VERDICT_NAME}")
    policy = load_policy(verified.folder / POLICY_NAME).policy
    version = version_name(verified.evidence)
    out = _place(version, verified.folder, reports)
    if left := sorted({*sign_off_names(out)} - {*sign_off_names(verified.folder)}):
        raise UsageError(f"{out}: found {', '.join(left)}, expected no sign-off that {verified.folder} has not",
                         hint=f"Move it to {verified.folder / SIGN_OFFS} first: the report's folder is written anew.")
    pair = ensure_key_pair(registry)
    return write_report(policy, verified, verified.verdict, version, verified.folder, reports, pair)


def _place(version: str | None, folder: Path, reports: Path) -> Path:
    return reports / (version.replace("/", "-v") if version else f"{folder.parent.name}-audit-{folder.name}")
