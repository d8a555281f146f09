"""Make a governed version, or evidence about a model made elsewhere: all stages in order."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from mace_gov.attest.keys import KeyPair, ensure_key_pair, ensure_model_pair
from mace_gov.attest.sign import collect_files, sign_build, sign_evidence, sign_results, sign_summary
from mace_gov.attest.statement import POLICY_NAME
from mace_gov.attest.verify import verify
from mace_gov.audit.inputs import Inputs
from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.lazy import require
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.evidence import Evidence, VerifiedEvidence
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.verdict import Verdict
from mace_gov.gate.decide import decide
from mace_gov.plan.build import generation_settings
from mace_gov.planning import plan_policy
from mace_gov.policy.load import LoadedPolicy
from mace_gov.record.server import highest_number
from mace_gov.record.versions import new_version, version_folder
from mace_gov.workflow.deciding import Granted, grant, with_policy
from mace_gov.workflow.reporting import write_report


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves behind."""

    verdict: Verdict
    """The gate's decision."""
    audit: AuditResult
    """What was seen."""
    version: str | None
    """``NAME/N``; None for a model made elsewhere."""
    folder: Path
    """The version's or audit's folder."""
    model: Path
    """The governed model."""
    report: Path
    """The report's folder."""
    model_key: Path | None = None
    """The public key of the model's OpenSSF signature; None for a model made elsewhere, which is not signed."""


def apply(
    path: Path, *, model: str | None = None, revision: str | None = None, unmeasured: bool = False,
    exact: bool = False, waivers: Sequence[Path] = (), against: str | None = None, registry: Path, reports: Path,
    device: str | None = None, progress: Progress | None = None,
) -> Outcome:
    """All stages: a policy in; a governed version, its signed evidence, a verdict and a report out.

    ``waivers`` and ``against``, as for the gate, go into the verdict that is signed; see ``deciding.grant``.
    """
    progress = progress or Silent()
    loaded, plan = plan_policy(
        path, model=model, revision=revision, unmeasured=unmeasured, exact=exact, registry=registry
    )
    _require_everything()
    from mace_gov.audit.engine import audit
    from mace_gov.diffusion.manifest import read_manifest
    from mace_gov.erase.engine import erase
    from mace_gov.record.lineage import publish, record_lineage

    policy = loaded.policy
    granted = grant(policy, waivers=waivers, against=against, key=None, registry=registry)
    pair, model_pair = _signing_key(registry, progress), ensure_model_pair(registry)
    cache = registry / "cache"
    with ExitStack() as undo:
        above = highest_number(registry, policy.metadata.name)
        with new_version(registry, policy.metadata.name, above=above) as (number, folder):
            version = f"{policy.metadata.name}/{number}"
            erasure = erase(plan, folder, cache=cache, device=device, progress=progress)
            governed = read_manifest(str(folder / "model"), unmeasured=unmeasured)
            seen = audit(
                policy, plan.base, governed, plan.generation, folder / "evidence", cache=cache, device=device,
                progress=progress, trained_on=plan.templates, inputs=Inputs(calibrations=registry / "calibrations"),
            )
            lineage = record_lineage(
                registry, version=number, policy=policy, plan=plan, erasure=erasure, audit=seen, model=folder / "model"
            )
            # The evidence names the version's place in MLflow, so it is recorded before its folder is complete.
            undo.callback(_forget, registry, lineage)
            verified, verdict = _attest(
                folder, loaded, plan, erasure, seen, lineage, granted, pair=pair, model_pair=model_pair,
                governed=governed,
            )
        undo.pop_all()
    publish(registry, lineage, verdict)
    folder = version_folder(registry, policy.metadata.name, number)
    report = write_report(policy, verified, verdict, version, folder, reports, pair)
    return Outcome(verdict, seen, version, folder, folder / "model", report, model_pair.public_path)


def audit_model(
    model: str, path: Path, *, base: str | None = None, registry: Path, reports: Path, inputs: Inputs | None = None,
    device: str | None = None, progress: Progress | None = None,
) -> Outcome:
    """Audit a model, or pictures, made elsewhere against a policy and its base; sign, gate and report."""
    progress = progress or Silent()
    loaded, plan = plan_policy(path, model=base, revision=None, registry=registry)
    from mace_gov.audit.engine import audit, check_inputs
    from mace_gov.audit.imported import picture_manifest
    from mace_gov.diffusion.manifest import read_manifest

    policy = loaded.policy
    images = inputs.images if inputs else None
    governed = picture_manifest(model, images, plan.base) if images else read_manifest(model, registry=registry)
    if inputs:
        check_inputs(policy, plan.base, governed, inputs, trained_on=plan.templates)
    pair = _signing_key(registry, progress)
    with new_version(registry, policy.metadata.name, shelf="audits") as (number, folder):
        seen = audit(
            policy, plan.base, governed, generation_settings(plan.base), folder / "evidence",
            cache=registry / "cache", device=device, progress=progress, trained_on=plan.templates, inputs=inputs,
        )
        verified, verdict = _attest(
            folder, loaded, plan, None, seen, None, Granted(), pair=pair, model_pair=None, governed=governed
        )
    folder = registry / "audits" / policy.metadata.name / str(number)
    report = write_report(policy, verified, verdict, None, folder, reports, pair)
    return Outcome(verdict, seen, None, folder, Path(governed.path), report)


def erase_model(
    path: Path, out: Path, *, model: str | None, revision: str | None, unmeasured: bool = False,
    exact: bool = False, registry: Path, device: str | None = None, progress: Progress | None = None,
) -> tuple[ErasureRecord, Path]:
    """The erasure alone. Returns its record and the folder of delta, LoRAs and record, ``OUT-erasure``."""
    extras = out.with_name(out.name + "-erasure")
    for folder in (out, extras):
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty, expected a new folder", hint="Give another --out.")
    _, plan = plan_policy(
        path, model=model, revision=revision, unmeasured=unmeasured, exact=exact, registry=registry
    )
    from mace_gov.erase.engine import erase

    with new_folder(extras) as scratch:
        record = erase(plan, scratch, cache=registry / "cache", device=device, progress=progress or Silent())
        write_bytes(scratch / "erasure.json", record.canonical())
        if out.exists():
            out.rmdir()
        shutil.move(scratch / "model", out)
    return record, extras


def _attest(
    folder: Path, loaded: LoadedPolicy, plan: ErasurePlan, erasure: ErasureRecord | None, seen: AuditResult,
    lineage: Lineage | None, granted: Granted, *, pair: KeyPair, model_pair: KeyPair | None, governed: ModelManifest,
) -> tuple[VerifiedEvidence, Verdict]:
    """Sign the evidence, read it back as a stranger would, decide, sign the decision."""
    write_bytes(folder / POLICY_NAME, loaded.data)
    if erasure and lineage and model_pair:
        sign_build(folder, f"{lineage.name}/{lineage.version}", loaded.policy, loaded.file_digest, plan, erasure, seen,
                   pair=pair, model_pair=model_pair)
    evidence = Evidence(
        created=timestamp(),
        policy_digest=loaded.policy.content_digest(),
        policy_file_digest=loaded.file_digest,
        plan=plan,
        erasure=erasure,
        audit=seen,
        lineage=lineage,
        files=collect_files(folder),
    )
    sign_evidence(folder, evidence, pair, model_files=None if erasure else governed.files)
    verified = verify(folder, key=pair.public, model=None if erasure else Path(governed.path), need_verdict=False)
    verified = with_policy(verified, loaded.policy, loaded.policy)
    verdict = decide(verified, loaded.policy, waivers=granted.waivers, previous=granted.previous)
    sign_results(folder, verified.evidence, verdict, pair)
    sign_summary(folder, verified.evidence, verdict, pair)
    return verified, verdict


def _forget(registry: Path, lineage: Lineage) -> None:
    """Withdraw a version that failed, if that can be done: what went wrong first is what the user must read."""
    from mace_gov.record.lineage import withdraw

    with suppress(IncompleteError):
        withdraw(registry, lineage)


def _signing_key(registry: Path, progress: Progress) -> KeyPair:
    pair = ensure_key_pair(registry)
    if pair.made:
        progress.note(
            f"A signing key was made in {pair.private_path}. Whoever holds it can sign in your name: keep it from "
            f"others, and hand {pair.public_path} (sha256:{pair.public.fingerprint}) to those who verify."
        )
    return pair


def _require_everything() -> None:
    """Miss an extra before the work, not after it."""
    for module, extra in (("torch", "models"), ("diffusers", "models"), ("peft", "models"), ("mlflow", "mlflow")):
        require(module, extra)
