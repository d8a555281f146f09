"""A policy in words."""

from __future__ import annotations

from collections.abc import Iterator

from mace_gov.documents.policy import Policy, Rule
from mace_gov.documents.sampling import STANDING, asked_suites, samples_needed, samples_planned
from mace_gov.documents.terms import Metric

SHOWN = 12


def explanation(policy: Policy) -> Iterator[str]:
    """Lines that say what is banned, what must survive and what passing takes."""
    meta, spec = policy.metadata, policy.spec
    yield f"{meta.name} {meta.version}, owned by {meta.owner}, to be reviewed by {meta.review_by}"
    if meta.description:
        yield from meta.description.strip().splitlines()
    enforce = "blocks a release that does not meet it" if spec.mode == "enforce" else "reports and never blocks"
    yield f"Mode {spec.mode}: {enforce}. Base model: {spec.model.ref}."
    if spec.gate:
        severities = ", ".join(sorted(policy.not_waivable(), key=lambda each: each.rank))
        yield f"Gate: blocks from severity {spec.gate.fail_on}; uncertain ends as {spec.gate.on_uncertain}; " \
              f"not waivable: {severities}."
    for parent in policy.derived_from or []:
        loosened = "".join(f"; loosens {w.loosens} until {w.expires_at} ({w.id})" for w in parent.waivers)
        yield f"Builds on {parent.name} {parent.version} (sha256 {parent.sha256}){loosened}."
    for category in spec.categories:
        concepts = category.concepts
        yield ""
        yield f"{category.id} ({category.kind}, {category.severity}): bans {len(concepts)}"
        for concept in concepts[:SHOWN]:
            also = f"; also asked for as {', '.join(concept.synonyms)}" if concept.synonyms else ""
            yield f"  - {concept.target} -> {concept.anchor or 'what the model finds near'}{also}"
        if len(concepts) > SHOWN:
            yield f"  - and {len(concepts) - SHOWN} more"
        names = (each.name + (f" ({each.only})" if each.only else "") for each in category.detectors)
        yield f"  looked for by: {', '.join(names)}"
        for rule in category.rules:
            planned = samples_planned(policy, category, rule.suite)
            needed = samples_needed(rule, spec.audit.looks)
            yield f"  {rule.id}: {_requirement(rule)}; {planned} prompts planned, a perfect result needs {needed}"
        if more := [suite for suite in asked_suites(policy, category) if suite not in STANDING]:
            yield f"  also probed: {', '.join(more)}"
    if kept := spec.method.preserve.concepts:
        yield ""
        yield f"Preserved by name: {', '.join(kept[:SHOWN])}" + (
            f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        )


def _requirement(rule: Rule) -> str:
    side = "at most" if rule.metric is Metric.PRESENCE else "at least"
    return f"{rule.metric} {rule.suite.info.asked} {side} {rule.limit:.1%} with {rule.confidence:.0%} confidence"
