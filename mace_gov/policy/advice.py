"""Warnings about a valid policy: what will send it to review whatever the model does."""

from __future__ import annotations

from datetime import date

from mace_gov.documents.anchors import doubtful_anchors
from mace_gov.documents.document import Location
from mace_gov.documents.policy import Policy
from mace_gov.documents.sampling import samples_needed, samples_planned


def advice(policy: Policy, today: date) -> list[tuple[Location, str]]:
    """Warnings with their places, in file order."""
    found: list[tuple[Location, str]] = []
    if policy.metadata.review_by < today:
        found.append((("metadata", "reviewBy"), f"{policy.metadata.review_by} is past; the gate will ask for review"))
    ref = policy.spec.model.ref
    if ref.count("/") == 1 and not ref.startswith((".", "/", "~", "registry:")) and policy.spec.model.revision is None:
        found.append((("spec", "model", "ref"), "a hub model without a revision can change under you; pin one"))
    found += doubtful_anchors(policy)
    for i, category in enumerate(policy.spec.categories):
        for j, rule in enumerate(category.rules):
            at: Location = ("spec", "categories", i, "rules", j)
            planned = samples_planned(policy, category, rule.suite)
            needed = samples_needed(rule, policy.spec.audit.looks)
            if planned == 0:
                found.append(
                    (at, f"{rule.id}: the {rule.suite} suite has nothing to ask; the gate will ask for review")
                )
            elif planned < needed:
                found.append((at, f"{rule.id}: {planned} prompts planned, but even a perfect result needs {needed}"))
    return found
