"""How the governed model was built, as SLSA Provenance v1 (https://slsa.dev/spec/v1.0/provenance)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mace_gov.attest.statement import described, software
from mace_gov.core.clock import timestamp
from mace_gov.core.environment import source_digest
from mace_gov.core.version import __version__
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.evidence import Statement, Subject
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import DELTA_NAME, POLICY_NAME

PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://mace-gov.dev/erase/v1"
BUILDER = "https://mace-gov.dev/cli"
FACTS = ("python", "platform", "cpus")
"""Entries of an environment that are no package."""


@dataclass(frozen=True)
class Build:
    """How a version was made, which is what other tools read about it (SLSA's word for it)."""

    version: str
    """``NAME/N``."""
    policy: Policy
    """What was asked."""
    policy_file_digest: str
    """SHA-256 of its file."""
    plan: ErasurePlan
    """Every setting, and the base model."""
    erasure: ErasureRecord
    """What was done."""
    audit: AuditResult
    """What was measured."""


def provenance_statement(build: Build) -> Statement:
    """The erasure that made a version: policy and settings in, model and delta out."""
    version, policy_file_digest, plan, erasure = build.version, build.policy_file_digest, build.plan, build.erasure
    settings = plan.to_json()
    base = settings.pop("base")
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "policy": described(POLICY_NAME, policy_file_digest),
                "model": {key: base[key] for key in ("ref", "revision") if key in base},
                "settings": settings,
            },
            "internalParameters": {key: erasure.environment[key] for key in FACTS if key in erasure.environment},
            "resolvedDependencies": [
                described(POLICY_NAME, policy_file_digest),
                {"name": "base model", **described(base_uri(plan), plan.base.digest)},
                *packages(erasure.environment),
            ],
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": software()},
            "metadata": {"invocationId": f"{version}@{erasure.plan_digest}", "finishedOn": timestamp()},
            "byproducts": [described(lora.file, lora.digest) for lora in erasure.loras],
        },
    }
    subjects = [
        Subject(name=version, digest={"sha256": erasure.governed_digest}),
        Subject(name=DELTA_NAME, digest={"sha256": erasure.delta_digest}),
    ]
    return Statement(subject=subjects, predicate_type=PROVENANCE_TYPE, predicate=predicate)


def base_uri(plan: ErasurePlan) -> str:
    """The base model by name: the embedded one, a hub's by commit, or a folder by digest alone."""
    base = plan.base
    if base.embedded:
        return "mace-gov:embedded"
    if base.revision:
        return f"pkg:huggingface/{base.ref}@{base.revision}"
    return f"mace-gov:sha256:{base.digest}"


def packages(environment: dict[str, str]) -> list[dict[str, Any]]:
    """The packages that ran, as package URLs; this one by the digest of its source as well."""
    here = described(f"pkg:pypi/mace-gov@{__version__}", source_digest())
    others = sorted(name for name in environment if name not in (*FACTS, "mace-gov"))
    return [here, *({"uri": f"pkg:pypi/{name}@{environment[name]}"} for name in others)]
