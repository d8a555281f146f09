"""Record a governed version: the base as an external model, the erasure, the governed model, the audit.

The erase run takes the base as its input and gives the governed model as its output. The audit's metrics go to a run
of their own, for a model that a run both reads and writes would appear as its own ancestor. The governed model's files
are logged as they are, with nothing added, so that the signature holds after a download.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import IntegrityError
from mace_gov.core.lazy import require
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.verdict import Verdict
from mace_gov.record.store import EXTRA, TRACKING_KIND, experiment, open_store

CANDIDATE = "candidate"
"""Alias of the newest version; promotion moves another one, after verification."""
BASE_EXPERIMENT = "base-models"
TAG = "mace_gov."
_EXTERNAL_TAG = "mlflow.model.isExternal"
_VERSIONS_TAG = "mlflow.modelVersions"


def record_lineage(
    registry: Path, *, version: int, policy: Policy, plan: ErasurePlan, erasure: ErasureRecord, audit: AuditResult,
    model: Path,
) -> Lineage:
    """Record version ``version`` of the policy's model, whose diffusers folder is ``model``.

    Raises IntegrityError when ``model`` is not what ``erasure`` says, IncompleteError when the registry cannot be
    written, MissingExtraError without MLflow.
    """
    if (found := folder_digest(folder_files(model))) != erasure.governed_digest:
        raise IntegrityError(f"{model} has digest {found}, the erasure made {erasure.governed_digest}")
    name = policy.metadata.name
    tags = {
        "policy": f"{name} {policy.metadata.version}", "policy_digest": plan.policy_digest,
        "plan_digest": erasure.plan_digest, "base_digest": erasure.base_digest, "version": f"{name}/{version}",
        "governed_digest": erasure.governed_digest, "delta_digest": erasure.delta_digest,
    }
    with open_store(registry) as client:
        entities = require("mlflow.entities", EXTRA)
        base = _base_model(client, registry, plan.base)
        place = experiment(client, registry, name)

        erase = client.create_run(place, run_name=f"erase {name}/{version}", tags=_tags({**tags, "stage": "erase"}))
        erase_id = erase.info.run_id
        _log(client, erase_id, erase_metrics(erasure), erase_params(plan))
        client.log_inputs(erase_id, models=[entities.LoggedModelInput(model_id=base)])
        governed = _governed_model(client, place, erase_id, f"{name}-{version}", tags, model)
        client.log_outputs(erase_id, models=[entities.LoggedModelOutput(model_id=governed, step=0)])
        client.set_terminated(erase_id)
        number = _register(client, name, governed, tags)

        run = client.create_run(place, run_name=f"audit {name}/{version}", tags=_tags({**tags, "stage": "audit"}))
        audit_id = run.info.run_id
        _log(client, audit_id, audit_metrics(audit), {key: str(value) for key, value in audit.sampling.items()})
        client.log_inputs(audit_id, models=[entities.LoggedModelInput(model_id=m) for m in (base, governed)])
        client.set_terminated(audit_id)
    return Lineage(
        name=name, version=version, tracking_uri=TRACKING_KIND, base_model_id=base, governed_model_id=governed,
        erase_run_id=erase_id, audit_run_id=audit_id, mlflow_version=number, base_digest=erasure.base_digest,
        governed_digest=erasure.governed_digest,
    )


def tag_verdict(registry: Path, lineage: Lineage, verdict: Verdict) -> None:
    """Put the verdict on the version as tags. Tags can be moved by anyone: the signed summary is the truth."""
    tags = _tags({
        "verdict": verdict.outcome.value, "verdict_decided": verdict.decided, "verdict_policy": verdict.policy_digest,
        "evidence_digest": verdict.evidence_digest,
    })
    with open_store(registry) as client:
        client.set_logged_model_tags(lineage.governed_model_id, tags)
        for key, value in tags.items():
            client.set_model_version_tag(lineage.name, str(lineage.mlflow_version), key, value)
            client.set_tag(lineage.audit_run_id, key, value)


def audit_metrics(audit: AuditResult) -> dict[str, float]:
    """The audit as flat numbers: measures, counts, and each rule's estimate with its interval and the base's."""
    metrics = {**audit.measures, "trials": audit.trials, "unscored": audit.unscored, "broken": not audit.broken.passed}
    for measured in audit.measurements:
        if measured.rule and measured.concept is None:
            estimate = measured.governed
            values = {"estimate": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n,
                      "base": measured.base.value, "unscored": measured.unscored}
            metrics |= {f"{measured.rule}.{key}": value for key, value in values.items()}
    metrics |= {f"seconds.{part}": value for part, value in audit.seconds.items()}
    return {key: float(value) for key, value in metrics.items()}


def erase_metrics(erasure: ErasureRecord) -> dict[str, float]:
    """The erasure as flat numbers: condition of each system, losses of each LoRA, seconds of each stage."""
    metrics = {f"condition.{system.stage}": system.condition for system in erasure.systems}
    for lora in erasure.loras:
        metrics |= {f"loss.first.{lora.concept}": lora.first_loss, f"loss.last.{lora.concept}": lora.last_loss}
    return metrics | {f"seconds.{stage}": value for stage, value in erasure.seconds.items()}


def erase_params(plan: ErasurePlan) -> dict[str, str]:
    """What the erasure was asked to do, in the few words that tell runs apart; the whole plan is in the evidence."""
    lora = plan.targets[0].lora
    return {
        "method": plan.method, "seed": str(plan.seed), "targets": str(len(plan.targets)), "base": plan.base.ref,
        "refine": json.dumps(plan.refine.to_json()), "fuse": json.dumps(plan.fuse.to_json()),
        "preserve.prior": plan.preserve.prior, "preserve.scale": str(plan.preserve.scale),
        "lora.rank": str(lora.rank), "lora.steps": str(lora.steps), "lora.learningRate": str(lora.learning_rate),
    }


def _base_model(client: Any, registry: Path, base: ModelManifest) -> str:
    """Id of the base as an external model: one for each digest, whatever the name that it was called by."""
    place = experiment(client, registry, BASE_EXPERIMENT)
    name = f"base-{base.digest[:12]}"
    for known in client.search_logged_models([place], filter_string=f"name = '{name}'"):
        if known.tags.get(f"{TAG}digest") == base.digest:
            return str(known.model_id)
    tags = _tags({"digest": base.digest, "ref": base.ref, "revision": base.revision or "", "pipeline": base.pipeline})
    made = client.create_logged_model(
        place, name=name, tags={**tags, _EXTERNAL_TAG: "true"}, model_type=base.pipeline
    )
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)


def _governed_model(client: Any, place: str, run: str, name: str, tags: Mapping[str, str], model: Path) -> str:
    """Id of the governed model with its files. No model flavour: those add files, and a signature breaks on them."""
    made = client.create_logged_model(place, name=name, source_run_id=run, tags=_tags(tags), model_type="diffusers")
    try:
        client.log_model_artifacts(made.model_id, str(model))
    except BaseException:
        client.finalize_logged_model(made.model_id, "FAILED")
        raise
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)


def _register(client: Any, name: str, model_id: str, tags: Mapping[str, str]) -> int:
    """Make the model a version of the registered model ``name`` and point ``candidate`` at it."""
    errors = require("mlflow.exceptions", EXTRA)
    try:
        client.create_registered_model(name)
    except errors.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(name, source=f"models:/{model_id}", tags=_tags(tags), model_id=model_id)
    link = [{"name": made.name, "version": made.version}]
    client.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps(link)})
    client.set_registered_model_alias(name, CANDIDATE, str(made.version))
    return int(made.version)


def _log(client: Any, run: str, metrics: Mapping[str, float], params: Mapping[str, str]) -> None:
    entities = require("mlflow.entities", EXTRA)
    moment = int(time.time() * 1000)
    rows = [entities.Metric(key, value, moment, 0) for key, value in metrics.items()]
    # MLflow takes a thousand metrics in one call; a hundred concepts bring some hundreds.
    for start in range(0, len(rows), 500):
        client.log_batch(run, metrics=rows[start:start + 500])
    client.log_batch(run, params=[entities.Param(key, value[:500]) for key, value in params.items()])


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {f"{TAG}{key}": value for key, value in values.items()}
