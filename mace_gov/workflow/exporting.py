"""A signed version in a form that other tools load: verify, find its base, write.

What is written carries no signature of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.attest.statement import version_name
from mace_gov.core.atomic import write_text
from mace_gov.core.errors import IntegrityError, NotReleasedError
from mace_gov.core.private import private_copy
from mace_gov.documents.registry import DELTA_NAME, POLICY_NAME
from mace_gov.documents.verdict import Verdict
from mace_gov.policy.load import load_policy
from mace_gov.report.card import CARD, model_card
from mace_gov.report.compose import compose
from mace_gov.workflow.checking import verify_path

if TYPE_CHECKING:
    from mace_gov.erase.weight_export import Exported, Form



def export_version(
    version: Path, form: Form, out: Path, *, base: str | None = None, rank: int = 64, key: Path | None = None,
    registry: Path, unreleased: bool = False,
) -> tuple[Exported, Verdict]:
    """Export a governed version, given as a folder or as ``NAME/N``, if it may be released; its verdict comes along.

    base: where the base model lies, if its own reference does not lead there. unreleased: write it for study though it
    failed, was rejected or waits for review; a recalled one is never written. Its model card is written beside.
    Raises IntegrityError when the version does not verify or has no delta, NotReleasedError, RecalledError, and what
    ``erase.weight_export.export_weights`` raises.
    """
    verified, verdict, decided = verify_path(version, key=key, registry=registry)
    if decided.exit_code and not unreleased:
        raise NotReleasedError(f"{version} may not be exported, it is {decided.state}: {'; '.join(decided.reasons)}",
                               code=decided.exit_code, hint="Give --unreleased to write it for study, never to use.")
    plan = verified.evidence.plan
    delta = verified.folder / DELTA_NAME
    if not delta.is_file():
        raise IntegrityError(f"{verified.folder} has no {DELTA_NAME}, expected a version that was erased here")
    from mace_gov.diffusion.manifest import read_manifest
    from mace_gov.erase.weight_export import export_weights

    ref, signed = plan.base.ref if base is None else base, plan.base.digest
    found = read_manifest(ref, revision=plan.base.revision, registry=registry, unmeasured=True)
    if found.digest != signed:  # evidence of earlier releases accounts for every file of the base's folder
        whole = read_manifest(ref, revision=plan.base.revision, registry=registry, unmeasured=True, whole=True)
        found = whole if whole.digest == signed else found
    with private_copy({"delta": delta}) as (copy, digests):
        if digests["delta"] != verified.evidence.files.get(DELTA_NAME):
            raise IntegrityError(f"{delta}: changed after it was verified")
        written = export_weights(copy / "delta", found, form, out, rank=rank)
    policy = load_policy(verified.folder / POLICY_NAME, ended=True).policy
    report = compose(policy, verified, verdict, version=version_name(verified.evidence), folder=str(verified.folder),
                     release=decided)
    # Beside a model folder, not in it: the folder stays the signed model, file by file.
    write_text(out / CARD if form == "lora" else out.with_name(f"{out.stem}.{CARD}"), model_card(report))
    return written, verdict
