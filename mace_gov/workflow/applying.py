"""Make a governed version, or evidence about a model made elsewhere: all stages in order."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mace_gov.attest.keys import KeyPair, ensure_key_pair, ensure_model_pair, registry_trust
from mace_gov.attest.provenance import Build
from mace_gov.attest.sign import collect_files, sign_build, sign_evidence, sign_results, sign_summary
from mace_gov.attest.verify import verify
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.lazy import require
from mace_gov.core.progress import Progress, working
from mace_gov.core.store import Store
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.evidence import Evidence, VerifiedEvidence
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.registry import POLICY_NAME, Layout
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.verdict import Verdict
from mace_gov.gate.decide import NOTHING_BESIDE, DecisionInputs, decide
from mace_gov.policy.load import LoadedPolicy
from mace_gov.preflight.checks import Ahead, check_machine, check_plan, check_sight
from mace_gov.preflight.costs import audit_costs, erasure_bytes
from mace_gov.record.versions import find, highest_number, new_version
from mace_gov.workflow.attempt import erase_and_audit
from mace_gov.workflow.deciding import NO_EXCEPTIONS, Exceptions, decision_inputs, with_policy
from mace_gov.workflow.planning import POLICYS_OWN, BaseChoice, plan_policy
from mace_gov.workflow.release_check import chain, check_entry, recalled_models
from mace_gov.workflow.reporting import Told, refuse_taken, report_place, write_report
from mace_gov.workflow.sharding import drawer_of


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves behind."""

    verdict: Verdict
    """The gate's decision."""
    check: ReleaseCheck
    """Whether it may be released: the very same model may have been recalled or rejected before."""
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
    path: Path, *, base: BaseChoice = POLICYS_OWN, exact: bool = False, asked: Exceptions = NO_EXCEPTIONS,
    registry: Path, reports: Path, run: AuditRun | None = None,
) -> RunResult:
    """All stages: a policy in; a governed version, its signed evidence, a verdict and a report out.

    exact: reuse no LoRA that was trained on another refinement. ``asked`` goes into the verdict that is signed.
    ``run`` says where to work, whom to tell, and which plugins and seams to take; the rest of it is filled in here.
    """
    run = run or AuditRun()
    plugins, device, progress = run.inputs.plugins, run.device, run.progress
    loaded, plan, own = plan_policy(path, base, exact=exact, registry=registry, plugins=plugins)
    _require_everything()
    check_machine(loaded.policy, registry, reports,
                  needs=audit_costs(loaded.policy, plan, own, registry).disk_bytes)
    for note in plan.notes:
        if note.startswith(("erase-only: ", "people: ")):
            progress.note(note)
    from mace_gov.audit.engine import check_detectors
    from mace_gov.fitting.fit import fit
    from mace_gov.record.lineage import prepare_lineage, publish, record_lineage
    from mace_gov.record.shown import show

    policy, inputs = loaded.policy, Inputs(plugins=plugins, calibrations=Layout(registry).calibrations)
    with working(progress, "loading detectors"):
        check_detectors(policy, inputs)
    given = decision_inputs(policy, asked, key=None, registry=registry)
    pair, model_pair = _signing_key(registry, progress), ensure_model_pair(registry)
    recalled_models(registry)  # A chain of releases that does not hold is better known before the work.
    cache = Layout(registry).cache
    run = replace(run, cache=cache, inputs=inputs, own=own)
    with working(progress, "opening MLflow"):
        recorded = prepare_lineage(registry, policy.metadata.name)
    with Store(cache).lease([f"fit {plan.content_digest()}"], progress):
        plan = fit(policy, plan, cache=cache, device=device, progress=progress, plugins=plugins, detector=run.detector,
                   lexicon=run.lexicon)
    above = _highest_taken(registry, policy.metadata.name, recorded, progress)
    with ExitStack() as undo:
        with new_version(registry, policy.metadata.name, above=above) as (number, folder):
            version = f"{policy.metadata.name}/{number}"
            refuse_taken(report_place(version, folder, reports), None)
            made = erase_and_audit(policy, plan, folder, run, cache=cache)
            erasure, seen = made.erasure, made.audit
            with working(progress, "recording in MLflow"):
                lineage = record_lineage(registry, version=number, policy=policy, plan=plan, erasure=erasure,
                                         audit=seen, model=folder / "model")
            # The evidence names the version's place in MLflow, so it is recorded before its folder is complete.
            undo.callback(_forget, registry, lineage)
            facts = _Facts(plan, made.governed, made.audit, made.erasure, lineage, model_pair)
            verified, verdict = _attest(folder, loaded, facts, given, pair, registry, progress)
        undo.pop_all()
    with working(progress, "publishing in MLflow"):
        publish(registry, lineage, verdict)
    folder = Layout(registry).version(policy.metadata.name, number)
    check = check_entry(find(registry, version), registry, registry_trust(registry), policy=policy)
    with working(progress, "writing the report"):
        report = write_report(Told(policy, verified, verdict, check), folder, reports, pair)
    with working(progress, "showing the report in MLflow"):
        show(registry, lineage, [report, folder / POLICY_NAME])
    return RunResult(verdict, check, seen, version, folder, folder / "model", report, model_pair.public_path)


def audit_model(
    model: str, path: Path, *, base: BaseChoice = POLICYS_OWN, registry: Path, reports: Path,
    run: AuditRun | None = None, shards: Sequence[Path] = (),
) -> RunResult:
    """Audit a model, or pictures, made elsewhere against a policy and its base; sign, gate and report.

    ``shards``: folders in which several machines drew all pictures; then none is drawn here. ``run``: see ``apply``.
    """
    run = run or AuditRun()
    inputs, images, progress = run.inputs, run.inputs.images, run.progress
    loaded, plan, own = plan_policy(path, base, registry=registry, plugins=inputs.plugins,
                                    ahead=Ahead(asks=images is None, judges=False, erases=False))
    if images is None:
        check_sight(loaded, plan.base.image_size)
    check_machine(loaded.policy, registry, reports)
    from mace_gov.audit.engine import audit
    from mace_gov.audit.imported import picture_manifest
    from mace_gov.audit.prepare import check_tiers, prepare
    from mace_gov.diffusion.manifest import read_manifest

    policy = loaded.policy
    run = replace(run, cache=Layout(registry).cache, trained_on=plan.templates, own=own)
    asked = prepare(policy, plan.base, run)
    governed = (picture_manifest(model, images, plan.base, asked.pictures) if images else
                read_manifest(model, registry=registry, unmeasured=base.unmeasured, whole=True))
    check_tiers(governed, inputs)
    if not images:
        check_plan(loaded, plan, Ahead(asks=False, erases=False))
    if shards:
        run = replace(run, cache=None, drawer=drawer_of(shards, loaded, plan, governed, run.inputs))
    pair = _signing_key(registry, progress)
    recalled_models(registry)
    with new_version(registry, policy.metadata.name, shelf="audits") as (number, folder):
        final = Layout(registry).version(policy.metadata.name, number, "audits")
        refuse_taken(report_place(None, final, reports), None)
        seen = audit(policy, plan.base, governed, plan.generation, folder / "evidence", run, asked=asked)
        # a folder of pictures may hold others too; those that were judged were hashed as they were read
        facts = _Facts(plan, governed, seen, elsewhere=None if images else Path(governed.path))
        verified, verdict = _attest(folder, loaded, facts, NOTHING_BESIDE, pair, registry, progress)
    entry = find(registry, f"{policy.metadata.name}/{number}", shelf="audits")
    check = check_entry(entry, registry, registry_trust(registry), policy=policy)
    with working(progress, "writing the report"):
        report = write_report(Told(policy, verified, verdict, check), final, reports, pair)
    return RunResult(verdict, check, seen, None, final, Path(governed.path), report)


def erase_model(
    path: Path, out: Path, *, base: BaseChoice = POLICYS_OWN, exact: bool = False, registry: Path,
    run: AuditRun | None = None,
) -> tuple[ErasureRecord, Path]:
    """The erasure alone. Returns its record and the folder of delta, LoRAs and record, ``OUT-erasure``.

    ``run``: device, progress and plug-ins; the fit asks the policy's detectors.
    """
    run = run or AuditRun()
    extras = out.with_name(out.name + "-erasure")
    for folder in (out, extras):
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty, expected a new folder", hint="Give another --out.")
    loaded, plan, _ = plan_policy(path, base, exact=exact, registry=registry, plugins=run.inputs.plugins,
                                  ahead=Ahead(asks=False, judges=False))
    check_machine(None, out.parent, registry, needs=erasure_bytes(plan, Layout(registry).cache))
    from mace_gov.erase.engine import erase
    from mace_gov.fitting.fit import fit

    cache, device, progress = Layout(registry).cache, run.device, run.progress
    plan = fit(loaded.policy, plan, cache=cache, device=device, progress=progress, plugins=run.inputs.plugins)
    with new_folder(extras) as scratch:
        record = erase(plan, scratch, cache=cache, device=device, progress=progress)
        write_bytes(scratch / "erasure.json", record.canonical())
        if out.exists():
            out.rmdir()
        shutil.move(scratch / "model", out)
    return record, extras


@dataclass(frozen=True)
class _Facts:
    """What evidence is signed about."""

    plan: ErasurePlan
    """What was planned; of a model made elsewhere, its base."""
    governed: ModelManifest
    """The model."""
    audit: AuditResult
    """What was seen."""
    erasure: ErasureRecord | None = None
    """How it was erased here; None for a model made elsewhere."""
    lineage: Lineage | None = None
    """Its place in MLflow; likewise."""
    model_pair: KeyPair | None = None
    """What signs the model itself; likewise."""
    elsewhere: Path | None = None
    """An audited model, to be hashed once more."""


def _attest(
    folder: Path, loaded: LoadedPolicy, facts: _Facts, given: DecisionInputs, pair: KeyPair, registry: Path,
    progress: Progress,
) -> tuple[VerifiedEvidence, Verdict]:
    """Sign the evidence, verify it from the files alone, decide on what was verified, sign the decision."""
    write_bytes(folder / POLICY_NAME, loaded.data)
    erasure, lineage = facts.erasure, facts.lineage
    if erasure and lineage and facts.model_pair:
        build = Build(f"{lineage.name}/{lineage.version}", loaded.policy, loaded.file_digest, facts.plan, erasure,
                      facts.audit)
        sign_build(folder, build, pair=pair, model_pair=facts.model_pair)
    with working(progress, "hashing what is signed"):
        files = collect_files(folder)
    evidence = Evidence(
        created=timestamp(),
        policy_digest=loaded.policy.content_digest(),
        policy_file_digest=loaded.file_digest,
        plan=facts.plan,
        erasure=erasure,
        audit=facts.audit,
        lineage=lineage,
        files=files,
    )
    sign_evidence(folder, evidence, pair, model_files=None if erasure else facts.governed.files)
    verified = verify(folder, key=pair.public, model=facts.elsewhere, need_verdict=False, progress=progress)
    verified = with_policy(verified, loaded.policy, loaded.policy)
    recalled = recalled_models(registry).get(evidence.audit.governed_digest)
    verdict = decide(verified, loaded.policy, given=replace(given, recalled=recalled))
    sign_results(folder, verified.evidence, verdict, pair)
    sign_summary(folder, verified.evidence, verdict, pair)
    return verified, verdict


def _forget(registry: Path, lineage: Lineage) -> None:
    """Withdraw a version that failed, if that can be done: what went wrong first is what the user must read."""
    from mace_gov.record.lineage import withdraw

    with suppress(IncompleteError):
        withdraw(registry, lineage)


def _highest_taken(registry: Path, name: str, recorded: int, progress: Progress) -> int:
    """The highest number that a version of ``name`` ever had, by MLflow or by the signed releases.

    A number that was taken is never given again, though its folder was deleted: records and recalls speak about it.
    """
    log = chain(registry, name, registry_trust(registry))
    released = max((entry.version for entry in log.entries), default=0)
    if (taken := max(recorded, released)) > highest_number(registry, name):
        who = "MLflow" if recorded >= released else "the chain of releases"
        progress.note(f"{who} knows {name}/{taken}, whose folder is not here: numbers go on above it")
    return taken


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
