"""Erasure and audit as the flat numbers and strings that MLflow's runs take. Pure."""

from __future__ import annotations

import json

from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.plan import ErasurePlan


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
