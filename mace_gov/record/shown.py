"""What people look for in MLflow beside numbers: source, description, the prompts as a dataset, report and policy.

None of it is signed, and anyone who may write there can change it: the version's folder is the truth.
"""

from __future__ import annotations

import getpass
import json
from collections import Counter
from pathlib import Path
from typing import Any

from mace_gov.core.lazy import require
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.lineage import Lineage
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy
from mace_gov.record.database import EXTRA
from mace_gov.record.store import open_store

TRIALS_NAME = "trials.jsonl"
SHOWN = "shown"
"""Artifact folder of the audit run with report and policy."""


def source_tags(policy: Policy, reference: str, stage: str) -> dict[str, str]:
    """MLflow's own tags of a run: which command made it, who ran it, and a sentence."""
    return {
        "mlflow.source.type": "LOCAL", "mlflow.source.name": f"mace-gov apply {policy.metadata.name}",
        "mlflow.user": _user(), "mlflow.note.content": f"{stage.capitalize()} of {reference}. {describe(policy)}",
    }


def describe(policy: Policy) -> str:
    """What the policy bans, in a sentence or two."""
    bans = ", ".join(f"{len(category.concepts)} of {category.id}" for category in policy.spec.categories)
    return f"Policy {policy.metadata.name} {policy.metadata.version}: {policy.metadata.description} Banned: {bans}."


def version_description(policy: Policy, plan: ErasurePlan, reference: str) -> str:
    """A model version's description."""
    return (f"{reference}: {plan.base.ref} (sha256:{plan.base.digest[:12]}) governed by {plan.method}. "
            f"{describe(policy)} Before use: `mace-gov verify {reference}`.")


def trials_dataset(audit: AuditResult) -> Any:
    """The audit's prompts with what was seen as an input of its run: the file, its digest, and pictures by suite."""
    entities = require("mlflow.entities", EXTRA)
    digest = audit.files.get(TRIALS_NAME, audit.policy_digest)
    suites = Counter[str]()
    for measured in audit.measurements:
        if measured.rule is None:
            suites[f"{measured.suite}"] += measured.governed.n
    profile = {"num_rows": audit.trials, "governed pictures by suite": dict(sorted(suites.items()))}
    data = entities.Dataset(name="audit-trials", digest=digest[:32], source_type="local",
                            source=json.dumps({"uri": f"evidence/{TRIALS_NAME}"}), profile=json.dumps(profile))
    return entities.DatasetInput(data, [entities.InputTag("mlflow.data.context", "audit")])


def show(registry: Path, lineage: Lineage, files: list[Path]) -> None:
    """Put copies of a version's report and policy beside its audit run. Raises IncompleteError when that fails."""
    with open_store(registry) as client:
        for path in files:
            client.log_artifact(lineage.audit_run_id, str(path), SHOWN)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"
