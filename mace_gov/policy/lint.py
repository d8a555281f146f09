"""Check one file of either kind, a policy or its waivers: errors and warnings, each with its place."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

from mace_gov.core.errors import PolicyError
from mace_gov.policy import preflight
from mace_gov.policy.advice import advice
from mace_gov.policy.load import load_policy
from mace_gov.policy.reading import fail, read_file
from mace_gov.policy.waivers import ended, load_waivers


def lint(path: Path, today: date, plugins: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """Errors and warnings of one file. plugins: names of detectors that ``--plugin`` brings.

    Raises UsageError when it cannot be read.
    """
    try:
        if read_file(path, "policy").source.value.get("kind") == "Waivers":
            waivers = load_waivers(path, today=today)
            if late := ended(waivers.document.spec.waivers, today):
                raise fail(path, waivers.file.source, late)
            return [], []
        loaded = load_policy(path, today=today)
        if found := preflight.problems(loaded.policy, plugins):
            raise fail(path, loaded.source, found)
    except PolicyError as error:
        return list(error.problems) or [error.message], []
    warnings = []
    for where, message in (*advice(loaded.policy, today), *preflight.warnings(loaded.policy)):
        line, column = loaded.source.place(where)
        warnings.append(f"{path}:{line}:{column}: warning: {message}")
    return [], warnings
