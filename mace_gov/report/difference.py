"""What differs between two versions, in words: concepts, settings, LoRAs, model, figures, verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mace_gov.documents.evidence import Evidence
from mace_gov.documents.verdict import Finding, Verdict
from mace_gov.report.words import sentence

Change = tuple[str, str | None, str | None]
"""What, before and after; None where there was nothing."""


def differences(
    before: Evidence, after: Evidence, decided_before: Verdict | None, decided_after: Verdict | None
) -> list[Change]:
    """Every difference in the order of work; empty for two versions that are the same in all but their numbers."""
    return [
        *_differing([("policy", before.policy_digest, after.policy_digest),
                     ("base model", before.plan.base.digest, after.plan.base.digest)]),
        *_by_name("concept", _concepts(before), _concepts(after)),
        *_by_name("setting", _settings(before), _settings(after)),
        *_by_name("LoRA", _loras(before), _loras(after)),
        *_differing([("governed model", before.audit.governed_digest, after.audit.governed_digest)]),
        *_by_name("measure", _measures(before), _measures(after)),
        *_by_name("rule", _rules(decided_before), _rules(decided_after)),
        *_differing([("verdict", _outcome(decided_before), _outcome(decided_after))]),
    ]


def _differing(pairs: list[Change]) -> Iterator[Change]:
    return (pair for pair in pairs if pair[1] != pair[2])


def _by_name(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    names = [*before, *(name for name in after if name not in before)]
    return _differing([(f"{what} {name}", before.get(name), after.get(name)) for name in names])


def _concepts(evidence: Evidence) -> dict[str, str]:
    return {t.id: f"{t.target} to {t.anchor} ({t.kind}, {t.category})" for t in evidence.plan.targets}


def _settings(evidence: Evidence) -> dict[str, str]:
    plan = evidence.plan.to_json()
    kept = {name: plan[name] for name in ("method", "seed", "templates", "refine", "fuse", "preserve", "generation")}
    loras = {f"lora.{target.id}": target.lora.to_json() for target in evidence.plan.targets}
    return dict(_flat({**kept, **loras}))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _flat(below, f"{name}.{key}" if name else key)
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _loras(evidence: Evidence) -> dict[str, str]:
    return {lora.concept: lora.digest for lora in evidence.erasure.loras} if evidence.erasure else {}


def _measures(evidence: Evidence) -> dict[str, str]:
    return {name: f"{value:.4g}" for name, value in evidence.audit.measures.items()}


def _rules(verdict: Verdict | None) -> dict[str, str]:
    return {finding.rule: _rule(finding) for finding in verdict.findings} if verdict else {}


def _rule(finding: Finding) -> str:
    return f"{finding.requirement}: {sentence(finding.estimate)}, {finding.outcome.value}"


def _outcome(verdict: Verdict | None) -> str | None:
    return verdict.outcome.value if verdict else None
