"""What can be known of a valid policy before any work, without a model: lint says it, and so does every command."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib.metadata import entry_points

from mace_gov.core.phrases import phrase_key
from mace_gov.documents.detector_info import lacking, spec_problems
from mace_gov.documents.document import Location
from mace_gov.documents.drawable import ban_of, forbidden, never_drawn
from mace_gov.documents.method_info import method_info
from mace_gov.documents.policy import Policy
from mace_gov.policy.reading import Problem

PLUGIN_GROUP = "mace_gov.detectors"
"""Entry points of this group are detectors by name."""


def _installed_detectors() -> set[str]:
    """Names of the detectors that installed packages offer; none of them is imported."""
    return {point.name for point in entry_points(group=PLUGIN_GROUP)}


def problems(policy: Policy, plugins: Collection[str] = ()) -> list[Problem]:
    """Everything that would end the work later on. plugins: names of detectors that ``--plugin`` brings."""
    known = {*_installed_detectors(), *plugins}
    found: list[Problem] = []
    for i, category in enumerate(policy.spec.categories):
        for j, spec in enumerate(category.detectors):
            at: Location = ("spec", "categories", i, "detectors", j)
            found += [((*at, *where), message) for where, message in spec_problems(spec, known)]
    return [*found, *_templates(policy), *_drawn_by_the_method(policy)]


def unseen(policy: Policy, side: int | None = None) -> list[Problem]:
    """Every rule that no detector of its category can ever answer, with what to add.

    side: of the model's pictures, in pixels; None where no model is known.
    """
    return [
        (("spec", "categories", i, "rules", j), told)
        for i, category in enumerate(policy.spec.categories) for j, rule in enumerate(category.rules)
        if (told := lacking(category, rule, side))
    ]


def warnings(policy: Policy) -> Iterator[Problem]:
    """What keeps a rule from passing whatever the model does, beside what ``advice`` says."""
    found, ban = never_drawn(policy), ban_of(policy)
    undrawn = {concept.id for _, _, concept, _ in found}
    for where, category, concept, why_not in found:
        yield where, (f"{concept.id} of {category.id} is erase-only by the rule {why_not}: it is erased, and no "
                      "picture of it is ever made, neither to train nor to audit")
    kept = [*(policy.spec.method.preserve.concepts or []), *(policy.spec.audit.subjects or [])]
    for i, category in enumerate(policy.spec.categories):
        at: Location = ("spec", "categories", i)
        only = undrawn.issuperset(concept.id for concept in category.concepts)
        for j, rule in enumerate(category.rules):
            if only and rule.suite.banned:
                yield (*at, "rules", j), (f"{rule.id}: every concept of {category.id} is erase-only, so nothing can "
                                          "be asked; the gate will ask for review")
        for phrase in dict.fromkeys([*category.neighbours, *kept]):
            if why := forbidden(category.kind, phrase, ban):
                yield at, f"{phrase!r} is not asked for in {category.id}, by the rule {why}"


def _templates(policy: Policy) -> Iterator[Problem]:
    trained = {phrase_key(template) for template in policy.spec.method.refine.templates or []}
    for i, template in enumerate(policy.spec.audit.templates or []):
        if phrase_key(template) in trained:
            yield ("spec", "audit", "templates", i), (f"found '{template}', which the erasure trains on, expected "
                                                      "captions that it never saw")


def _drawn_by_the_method(policy: Policy) -> Iterator[Problem]:
    method = policy.spec.method.name
    if method_info(method).draws_targets:
        for where, _, concept, rule in never_drawn(policy):
            yield where, (f"{method} draws what it erases, and no picture of {concept.id} may ever be made ({rule}); "
                          "expected mace")

