"""Record a governed version: the base as an external model, the erasure, the governed model, the audit.

The erase run takes the base as its input and gives the governed model as its output. The audit's metrics go to a run
of their own, for a model that a run both reads and writes would appear as its own ancestor. On this machine MLflow
points at the version's own folder; a tracking server is sent the files as they are, with nothing added, so that the
signature holds after a download.

A version is recorded before it is signed, for the signed evidence names its place in MLflow. So ``record_lineage`` sets
no alias: ``publish`` does, once the version is complete, and ``withdraw`` takes an unfinished one out again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.core.lazy import require
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import Layout
from mace_gov.documents.verdict import Verdict
from mace_gov.record.database import EXTRA
from mace_gov.record.metrics import audit_metrics, erase_metrics, erase_params
from mace_gov.record.recorded import close_dead, unpublished
from mace_gov.record.server import upload
from mace_gov.record.shown import describe, source_tags, trials_dataset, version_description
from mace_gov.record.store import (
    TAG,
    VERSION_TAG,
    experiment,
    home_of,
    open_store,
    server_uri,
    tracking_kind,
    versions_runs,
)
from mace_gov.record.versions import number_in

CANDIDATE = "candidate"
"""Alias of the newest complete version; promotion moves another one, after verification."""
BASE_EXPERIMENT = "base-models"
_EXTERNAL_TAG = "mlflow.model.isExternal"
_VERSIONS_TAG = "mlflow.modelVersions"


def prepare_lineage(registry: Path, name: str) -> int:
    """See before the work that versions of ``name`` can be recorded after it, and mend what killed runs left there.

    Records of a run that never completed its version end as KILLED and go; a version that is complete and was not
    published is published. Returns the highest number that MLflow knows of them, whether or not its folder is at hand;
    0 if none. Raises IncompleteError, also for an experiment that was deleted.
    """
    with open_store(registry) as client:
        for each in (BASE_EXPERIMENT, name):
            experiment(client, registry, each)
        known = [version.tags for version in client.search_model_versions(f"name = '{name}'")]
        known += [run.data.tags for run in versions_runs(client, name)]  # of a run that was killed there may be no more
        for reference in close_dead(client, registry, name):
            logging.getLogger("mace_gov").warning("ended MLflow's runs of %s, which was killed", reference)
        late = unpublished(client, registry, name)
    for entry in late:
        if (lineage := entry.evidence().lineage) and (verdict := entry.verdict()):
            publish(registry, lineage, verdict)
    return max((number_in(tags.get(VERSION_TAG, "")) for tags in known), default=0)


def record_lineage(
    registry: Path, *, version: int, policy: Policy, plan: ErasurePlan, erasure: ErasureRecord, audit: AuditResult,
    model: Path,
) -> Lineage:
    """Record version ``version`` of the policy's model, whose diffusers folder is ``model`` for now.

    All or nothing: what was recorded before an error is taken out again. Raises IntegrityError when ``model`` is not
    what ``erasure`` says, IncompleteError when the registry cannot be written, MissingExtraError without MLflow.
    """
    if (found := folder_digest(folder_files(model))) != erasure.governed_digest:
        raise IntegrityError(f"{model} has digest {found}, the erasure made {erasure.governed_digest}")
    name = policy.metadata.name
    tags = {
        "policy": f"{name} {policy.metadata.version}", "policy_digest": plan.policy_digest,
        "plan_digest": erasure.plan_digest, "base_digest": erasure.base_digest, "version": f"{name}/{version}",
        "governed_digest": erasure.governed_digest, "delta_digest": erasure.delta_digest,
        "home": home_of(registry),
    }
    reference, ended = f"{name}/{version}", int(1000 * time.time())
    between = ended - int(1000 * sum(audit.seconds.values()))  # the erasure ended, the audit began
    begun = between - int(1000 * sum(erasure.seconds.values()))
    with open_store(registry) as client, ExitStack() as undo:
        base = _base_model(client, registry, plan.base)
        place = experiment(client, registry, name)
        of_stage = {stage: {**_tags({**tags, "stage": stage}), **source_tags(policy, reference, stage)}
                    for stage in ("erase", "audit")}
        with _run(client, place, f"erase {reference}", of_stage["erase"], (begun, between), undo) as erase_id:
            _log(client, erase_id, erase_metrics(erasure), erase_params(plan))
            _inputs(client, erase_id, base)
            governed = _governed_model(client, place, erase_id, f"{name}-{version}", tags, undo, model)
            entities = require("mlflow.entities", EXTRA)
            client.log_outputs(erase_id, models=[entities.LoggedModelOutput(model_id=governed, step=0)])
        here = (Layout(registry).version(name, version) / "model").resolve().as_uri()
        source = f"models:/{governed}" if server_uri() else here
        number = _register(client, policy, governed, tags, source, version_description(policy, plan, reference))
        undo.callback(client.delete_model_version, name, str(number))
        _refuse_taken(client, name, version, number)
        with _run(client, place, f"audit {reference}", of_stage["audit"], (between, ended), undo) as audit_id:
            _log(client, audit_id, audit_metrics(audit), {key: str(value) for key, value in audit.sampling.items()},
                 model=governed)
            _inputs(client, audit_id, base, governed)
            client.log_inputs(audit_id, datasets=[trials_dataset(audit)])
        undo.pop_all()
    return Lineage(
        name=name, version=version, tracking_uri=tracking_kind(), base_model_id=base, governed_model_id=governed,
        erase_run_id=erase_id, audit_run_id=audit_id, mlflow_version=number, base_digest=erasure.base_digest,
        governed_digest=erasure.governed_digest,
    )


def publish(registry: Path, lineage: Lineage, verdict: Verdict) -> None:
    """Point ``candidate`` at a complete version and put its verdict on it as tags. A server gets its other files too.

    Tags and aliases can be moved by anyone: the signed summary is the truth.
    """
    tags = _tags({
        "verdict": verdict.outcome.value, "verdict_decided": verdict.decided, "verdict_policy": verdict.policy_digest,
        "evidence_digest": verdict.evidence_digest,
    })
    with open_store(registry) as client:
        if server_uri():
            upload(client, lineage.erase_run_id, Layout(registry).version(lineage.name, lineage.version))
        client.set_logged_model_tags(lineage.governed_model_id, tags)
        for key, value in tags.items():
            client.set_model_version_tag(lineage.name, str(lineage.mlflow_version), key, value)
            client.set_tag(lineage.audit_run_id, key, value)
        client.set_registered_model_alias(lineage.name, CANDIDATE, str(lineage.mlflow_version))


def withdraw(registry: Path, lineage: Lineage) -> None:
    """Take a version out of MLflow again, as far as it is there: its folder never came to be, or is gone."""
    with open_store(registry) as client:
        errors = require("mlflow.exceptions", EXTRA)
        for delete, *what in (
            (client.delete_model_version, lineage.name, str(lineage.mlflow_version)),
            (client.delete_logged_model, lineage.governed_model_id),
            (client.delete_run, lineage.audit_run_id),
            (client.delete_run, lineage.erase_run_id),
        ):
            with suppress(errors.MlflowException):
                delete(*what)


@contextmanager
def _run(
    client: Any, place: str, name: str, tags: Mapping[str, str], when: tuple[int, int], undo: ExitStack
) -> Iterator[str]:
    """A run of MLflow, finished when the block ends well and deleted when anything fails later on.

    when: milliseconds since 1970 in which what it stands for began and ended.
    """
    run = client.create_run(place, start_time=when[0], run_name=name, tags=dict(tags)).info.run_id
    undo.callback(_drop, client, run)
    yield run
    client.set_terminated(run, end_time=when[1])


def _drop(client: Any, run: str) -> None:
    """Delete a run, so that not even among deleted ones it looks as if it went on."""
    client.set_terminated(run, "KILLED")
    client.delete_run(run)


def _inputs(client: Any, run: str, *models: str) -> None:
    entities = require("mlflow.entities", EXTRA)
    client.log_inputs(run, models=[entities.LoggedModelInput(model_id=model) for model in models])


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


def _governed_model(
    client: Any, place: str, run: str, name: str, tags: Mapping[str, str], undo: ExitStack, model: Path
) -> str:
    """Id of the governed model. A server gets its files, as they are; SQLite is told that they lie elsewhere."""
    where = {} if server_uri() else {_EXTERNAL_TAG: "true"}
    made = client.create_logged_model(
        place, name=name, source_run_id=run, tags={**_tags(tags), **where}, model_type="diffusers"
    )
    undo.callback(client.delete_logged_model, made.model_id)
    if server_uri():
        client.log_model_artifacts(made.model_id, str(model))
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)


def _register(
    client: Any, policy: Policy, model_id: str, tags: Mapping[str, str], source: str, description: str
) -> int:
    """Make the model a version of the policy's registered model, with its files at ``source``."""
    errors, name = require("mlflow.exceptions", EXTRA), policy.metadata.name
    try:
        client.create_registered_model(name, description=describe(policy))
    except errors.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(name, source=source, tags=_tags(tags), model_id=model_id,
                                       description=description)
    link = [{"name": made.name, "version": made.version}]
    client.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps(link)})
    return int(made.version)


def _refuse_taken(client: Any, name: str, version: int, number: int) -> None:
    """Two machines that share a server may have allocated the same number: the later one starts over."""
    same = client.search_model_versions(f"name = '{name}'")
    if any(v.tags.get(VERSION_TAG) == f"{name}/{version}" and int(v.version) < number for v in same):
        raise IncompleteError(f"version {name}/{version} was just taken by another run that records in the same MLflow",
                              hint="Run again: finished work is reused.")


def _log(
    client: Any, run: str, metrics: Mapping[str, float], params: Mapping[str, str], model: str | None = None
) -> None:
    """Numbers and words of a run. model: the logged model that the numbers are about."""
    entities = require("mlflow.entities", EXTRA)
    moment = int(time.time() * 1000)
    rows = [entities.Metric(key, value, moment, 0, model_id=model) for key, value in metrics.items()]
    # MLflow takes a thousand metrics in one call; a hundred concepts bring some hundreds.
    for start in range(0, len(rows), 500):
        client.log_batch(run, metrics=rows[start:start + 500])
    client.log_batch(run, params=[entities.Param(key, value[:500]) for key, value in params.items()])


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {f"{TAG}{key}": value for key, value in values.items()}
