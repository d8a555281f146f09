"""Check one file of either kind, a policy or its waivers: errors and warnings, each with its place."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.core.terminal import printable
from mace_gov.documents.anchors import doubtful_anchors
from mace_gov.documents.document import Location
from mace_gov.documents.policy import Policy
from mace_gov.documents.sampling import samples_needed, samples_planned
from mace_gov.policy import preflight
from mace_gov.policy.load import load_file
from mace_gov.policy.reading import fail, read_file
from mace_gov.policy.waivers import check_waivers


def lint(
    path: Path, today: date, plugins: Collection[str] = (), side: int | None = None
) -> tuple[list[str], list[str]]:
    """Errors and warnings of one file. One that cannot be read is one error.

    plugins: names of detectors that ``--plugin`` brings. side: of the pictures of the model that it is meant for, in
    pixels; None where none was named.
    """
    try:
        file = read_file(path, "policy")
        if file.source.value.get("kind") == "Waivers":
            check_waivers(file, today=today, late=False)
            return [], []
        loaded = load_file(file, today=today)
        if found := [*preflight.problems(loaded.policy, plugins), *preflight.unseen(loaded.policy, side)]:
            raise fail(path, loaded.source, found)
    except PolicyError as error:
        return list(error.problems) or [printable(error.message)], []
    except UsageError as error:
        return [printable(error.message)], []
    warnings = []
    for where, message in (*advice(loaded.policy, today), *preflight.warnings(loaded.policy)):
        line, column = loaded.source.place(where)
        warnings.append(printable(f"{path}:{line}:{column}: warning: {message}"))
    return [], warnings


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
