"""Write a report's folder: when a version or an audit is finished, and again whenever there is more to say."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.keys import own_key_pair
from mace_gov.attest.sign import sign_report
from mace_gov.attest.sign_off import sign_off_names
from mace_gov.attest.statement import version_name
from mace_gov.attest.verify import verify
from mace_gov.core.atomic import new_folder
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import EVIDENCE_NAME, POLICY_NAME, REPORT_NAME, SIGN_OFFS, VERDICT_NAME
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.verdict import Verdict
from mace_gov.policy.load import load_policy
from mace_gov.report.compose import compose
from mace_gov.report.pdf import PRINTED, require_printer, write_pdf
from mace_gov.report.render import PAGE, render
from mace_gov.workflow.checking import folder_of, pinned_keys
from mace_gov.workflow.release_check import release_check


@dataclass(frozen=True)
class Told:
    """What a report tells of."""

    policy: Policy
    """The policy of the evidence."""
    verified: VerifiedEvidence
    """The evidence."""
    verdict: Verdict
    """The decision on it."""
    check: ReleaseCheck
    """How the version stands now."""


def write_report(told: Told, folder: Path, reports: Path, pair: KeyPair | None, *, pdf: bool = False) -> Path:
    """Render the report of the finished version or audit in ``folder`` into a folder of its own, and sign it.

    ``pair`` is None where the pipeline's key is not at hand: then the page says that it is unsigned, and never takes
    the place of a signed one. Sign-offs beside an older report stay there. pdf: print the page, too. Raises UsageError
    when the folder holds the report of something else, IncompleteError when there is nothing to print with.
    """
    verified = told.verified
    version = version_name(verified.evidence)
    out = _target(version, folder, reports, pair)
    report = compose(told.policy, verified, told.verdict, version=version, folder=str(folder), release=told.check,
                     signed=pair is not None)
    with TemporaryDirectory(dir=_made(out.parent), prefix=f".{out.name}.old.") as aside, new_folder(out) as scratch:
        render(report, folder / "evidence", scratch)
        if pdf:
            write_pdf(scratch / PAGE, scratch / PRINTED)
        for part in (POLICY_NAME, EVIDENCE_NAME, VERDICT_NAME):
            shutil.copyfile(folder / part, scratch / part)
        for part, signed in ((POLICY_NAME, verified.evidence.policy_file_digest),
                             (EVIDENCE_NAME, verified.evidence_digest), (VERDICT_NAME, verified.verdict_digest)):
            # a verdict that was signed just now was not verified
            if signed is not None and (found := sha256_file(scratch / part)) != signed:
                raise IntegrityError(f"{folder / part}: changed after it was verified: digest is {found}")
        if pair is not None:
            sign_report(scratch, pair)
        if (out / SIGN_OFFS).is_dir():
            shutil.copytree(out / SIGN_OFFS, scratch / SIGN_OFFS)
        if out.exists():
            out.rename(Path(aside) / out.name)
    return out


def _target(version: str | None, folder: Path, reports: Path, pair: KeyPair | None) -> Path:
    """The folder to write the report of ``folder`` into. See ``write_report``."""
    out = report_place(version, folder, reports)
    if pair is None and (out / REPORT_NAME).exists():
        out = out.with_name(f"{out.name}-unsigned")
    refuse_taken(out, sha256_file(folder / EVIDENCE_NAME))
    return out


def refuse_taken(out: Path, evidence_digest: str | None) -> None:
    """Raise UsageError when ``out`` holds anything but a report on the evidence of that digest; None: on no evidence.

    A report's folder is named after a version, and another registry has a version of that name, too.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    envelope = out / EVIDENCE_NAME
    if evidence_digest is None or not envelope.is_file() or sha256_file(envelope) != evidence_digest:
        raise UsageError(f"{out} holds the report of another version of that name, expected a new folder",
                         hint="Give another --reports folder, or move this one away. Nothing was changed in it.")


def report_again(
    path: Path, *, registry: Path, reports: Path, key: Path | None, pdf: bool = False
) -> tuple[Path, ReleaseCheck]:
    """Verify a version and render its report anew from the signed evidence, the verdict and the sign-offs since.

    The report of a recalled or rejected version is rendered, too, and says so. It is signed where the pipeline's key
    is, and no key is made. pdf: print the page, too. Returns its folder and how the version stands. Raises UsageError
    when sign-offs lie beside the old report that the version's folder has not, IncompleteError when there is nothing
    to print with.
    """
    if pdf:
        require_printer()
    folder, trust = folder_of(path, registry), pinned_keys(key, registry)
    verified = verify(folder, key=trust, registry=registry)
    if verified.verdict is None:
        raise IntegrityError(f"{path}: no signed verdict, expected {VERDICT_NAME}")
    pair = own_key_pair(registry, trust)
    out = _target(version_name(verified.evidence), verified.folder, reports, pair)
    if left := sorted({*sign_off_names(out)} - {*sign_off_names(verified.folder)}):
        raise UsageError(f"{out}: found {', '.join(left)}, expected no sign-off that {verified.folder} has not",
                         hint=f"Move it to {verified.folder / SIGN_OFFS} first: the report's folder is written anew.")
    check = release_check(verified, registry=registry, trust=trust)
    policy = load_policy(verified.folder / POLICY_NAME, ended=True).policy
    out = write_report(Told(policy, verified, verified.verdict, check), verified.folder, reports, pair, pdf=pdf)
    return out, check


def report_place(version: str | None, folder: Path, reports: Path) -> Path:
    """The folder below ``reports`` that is named after a version, or after an audit's folder."""
    return reports / (version.replace("/", "-v") if version else f"{folder.parent.name}-audit-{folder.name}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
