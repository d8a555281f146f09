"""A policy that is not the one the evidence was made under: which of it does the evidence answer?

Limits, confidences, severities, modes, the gate's settings and who answers for the policy decide nothing about what was
erased, asked and seen: they are decided anew, from the counts that were signed. What would have been erased, asked or
looked at otherwise is named, and goes to review.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mace_gov.core.phrases import phrase_key
from mace_gov.core.proportion import clopper_pearson
from mace_gov.documents.audit import AuditResult, Measurement
from mace_gov.documents.policy import Category, Concept, Policy, Rule
from mace_gov.documents.rate import Estimate
from mace_gov.documents.sampling import look_confidence


@dataclass(frozen=True)
class Gap:
    """Something that a policy asks and the evidence does not answer."""

    category: str | None
    """Category id; None for the policy as a whole."""
    words: str
    """What is missing."""


def gaps(signed: Policy, policy: Policy, audit: AuditResult) -> list[Gap]:
    """What ``policy`` asks that evidence made under ``signed``, of which ``audit`` is a part, does not answer."""
    before = {category.id: category for category in signed.spec.categories}
    found = [
        Gap(category.id, words) for category in policy.spec.categories
        for words in _category(category, before.get(category.id), signed)
    ]
    found += [
        Gap(None, f"{category.id}: {rule.id} bounds {rule.metric} on {rule.suite}, which was not asked")
        for category in policy.spec.categories if category.id in before
        for rule in category.rules if not _about(rule, category, audit)
    ]
    asked, ask = signed.spec, policy.spec
    for what, old, new in (("model", asked.model, ask.model), ("method", asked.method, ask.method),
                           ("audit", asked.audit, ask.audit)):
        if fields := _differing(old.to_json(), new.to_json()):
            found.append(Gap(None, f"{what}: made with other settings of {', '.join(fields)}"))
    return found


def remeasured(audit: AuditResult, signed: Policy, policy: Policy) -> AuditResult:
    """``audit`` with its counts put to the rules of ``policy``: bounds anew where a confidence differs.

    A rule on what was not asked has no measurement.
    """
    of_rules = [
        measured for category in policy.spec.categories for rule in category.rules
        if (measured := _for_rule(rule, category, audit, signed)) is not None
    ]
    others = [measured for measured in audit.measurements if measured.rule is None]
    return audit.model_copy(update={"measurements": [*of_rules, *others]})


def _category(category: Category, before: Category | None, signed: Policy) -> Iterator[str]:
    if before is None:
        asked = ", ".join(concept.target for concept in category.concepts)
        yield f"the category is new: {asked} were not asked for in it"
        return
    if category.kind is not before.kind:
        yield f"kind: made as {before.kind}, not as {category.kind}"
    yield from _concepts(category, before, signed)
    yield from _words("neighbours", before.neighbours, category.neighbours)
    old, new = ([spec.model_dump_json() for spec in each.detectors] for each in (before, category))
    if sorted(old) != sorted(new):
        names = [", ".join(spec.name for spec in each.detectors) for each in (before, category)]
        yield (f"detectors: {names[0]} looked, not {names[1]}" if names[0] != names[1] else
               f"detectors: {names[0]} looked with other settings")


def _concepts(category: Category, before: Category, signed: Policy) -> Iterator[str]:
    old, new = ({phrase_key(c.target): c for c in each.concepts} for each in (before, category))
    elsewhere = {phrase_key(concept.target): where.id for where, concept in signed.concepts()}
    for key, concept in new.items():
        if key not in elsewhere:
            yield f"{concept.target} is new: it was neither erased nor asked for"
        elif key not in old:
            yield f"{concept.target} was asked for in {elsewhere[key]}, not here"
        elif fields := _differing(_asked(old[key]), _asked(concept)):
            yield f"{concept.target}: made with other {', '.join(fields)}"
    if gone := [concept.target for key, concept in old.items() if key not in new]:
        yield f"{', '.join(gone)}: banned no more, and the rates count it too"


def _asked(concept: Concept) -> dict[str, object]:
    return {name: value for name, value in concept.to_json().items() if name not in ("id", "target")}


def _words(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    old, new = ({phrase_key(word): word for word in words} for words in (before, after))
    if more := [word for key, word in new.items() if key not in old]:
        yield f"{what}: {', '.join(more)} were not asked for"
    if fewer := [word for key, word in old.items() if key not in new]:
        yield f"{what}: {', '.join(fewer)} were asked for too"


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def _for_rule(rule: Rule, category: Category, audit: AuditResult, signed: Policy) -> Measurement | None:
    """The measurement of the rule's category, suite and metric; every one of them holds the same counts."""
    found = _about(rule, category, audit)
    if not found:
        return None
    # As many looks were taken as the signed policy says, whatever this one does.
    confidence = look_confidence(rule.confidence, signed.spec.audit.looks)
    kept = next((m for m in found if m.governed.confidence == confidence), None)
    if kept is None:
        kept = found[0].model_copy(update={
            "base": _at(found[0].base, confidence), "governed": _at(found[0].governed, confidence), "corrected": None,
        })
    return kept.model_copy(update={"rule": rule.id})


def _about(rule: Rule, category: Category, audit: AuditResult) -> list[Measurement]:
    about = (category.id, rule.suite, rule.metric, None)
    return [m for m in audit.measurements if (m.category, m.suite, m.metric, m.concept) == about]


def _at(estimate: Estimate, confidence: float) -> Estimate:
    """The same counts with bounds at another confidence; how much their clusters are worth does not depend on it."""
    low, high = clopper_pearson(estimate.value * estimate.effective_n, estimate.effective_n, confidence)
    return estimate.model_copy(update={"low": low, "high": high, "confidence": confidence})
