"""What the governed model is made of, as a CycloneDX 1.6 ML-BOM (https://cyclonedx.org/docs/1.6/json/).

Its digest is in the signed evidence. It says what was measured, not what was decided: the verdict comes later.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from mace_gov.attest.provenance import FACTS, Build, base_uri
from mace_gov.attest.statement import software
from mace_gov.core.clock import timestamp
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.rate import Estimate
from mace_gov.documents.registry import DELTA_NAME, MODEL_PREFIX, POLICY_NAME

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
FOLDER_DIGEST = "SHA-256 of the folder's sorted `sha256sum` lines"


def bill_of_materials(build: Build) -> bytes:
    """The ML-BOM of a version as JSON bytes."""
    policy, policy_file_digest, plan = build.policy, build.policy_file_digest, build.plan
    erasure, audit = build.erasure, build.audit
    name, number = build.version.rsplit("/", 1)
    model = {
        "type": "machine-learning-model", "bom-ref": "governed-model", "name": name, "version": number,
        "hashes": _hash(erasure.governed_digest), "pedigree": _pedigree(plan),
        "description": f"{plan.base.pipeline} governed by the policy {name} {policy.metadata.version}",
        "modelCard": {
            "modelParameters": {
                "task": "text-to-image", "architectureFamily": "latent diffusion",
                "modelArchitecture": plan.base.pipeline, "inputs": [{"format": "text"}],
                "outputs": [{"format": "image"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": list(_metrics(audit))},
            "considerations": {"technicalLimitations": audit.limitations},
        },
        "properties": _properties({
            "policy": f"{name} {policy.metadata.version}", "policy.file.sha256": policy_file_digest,
            "policy.sha256": plan.policy_digest, "plan.sha256": erasure.plan_digest, "digest.of": FOLDER_DIGEST,
        }),
    }
    document = {
        "$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"mace-gov:{build.version}@{erasure.governed_digest}").urn,
        "metadata": {"timestamp": timestamp(), "tools": {"components": _tools()}, "component": model},
        "components": [*_files(policy_file_digest, erasure), *_libraries(erasure.environment)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"


def _hash(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


def _properties(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"mace-gov:{key}", "value": value} for key, value in values.items()]


def _tools() -> list[dict[str, str]]:
    return [{"type": "application", "name": name, "version": version} for name, version in software().items()]


def _pedigree(plan: ErasurePlan) -> dict[str, Any]:
    base = plan.base
    ancestor = {"type": "machine-learning-model", "bom-ref": "base-model", "name": base.ref,
                **({"version": base.revision} if base.revision else {}), "hashes": _hash(base.digest),
                "properties": _properties({"uri": base_uri(plan), "digest.of": FOLDER_DIGEST})}
    erased = ", ".join(f"{target.target} -> {target.anchor}" for target in plan.targets)
    return {"ancestors": [ancestor], "notes": f"{plan.method} erased {len(plan.targets)} concepts: {erased}"}


def _metrics(audit: AuditResult) -> Iterator[dict[str, Any]]:
    for measured in audit.measurements:
        if measured.rule and measured.concept is None:
            place = f"{measured.rule}: {measured.category}, {measured.suite} prompts"
            yield _metric(measured.metric, measured.governed, place)
            yield _metric(measured.metric, measured.base, f"{place}, base model")
    for name, value in audit.measures.items():
        yield {"type": name, "value": f"{value:.6g}"}


def _metric(kind: str, estimate: Estimate, place: str) -> dict[str, Any]:
    return {
        "type": str(kind), "value": f"{estimate.value:.6g}", "slice": f"{place}, n = {estimate.n}",
        "confidenceInterval": {"lowerBound": f"{estimate.low:.6g}", "upperBound": f"{estimate.high:.6g}"},
    }


def _files(policy_file_digest: str, erasure: ErasureRecord) -> Iterator[dict[str, Any]]:
    files = {f"{MODEL_PREFIX}{name}": digest for name, digest in erasure.governed_files.items()}
    files |= {lora.file: lora.digest for lora in erasure.loras}
    files |= {DELTA_NAME: erasure.delta_digest, POLICY_NAME: policy_file_digest}
    for name in sorted(files):
        yield {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": _hash(files[name])}


def _libraries(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name in sorted(set(environment) - set(FACTS)):
        purl = f"pkg:pypi/{name}@{environment[name]}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": environment[name], "purl": purl}
