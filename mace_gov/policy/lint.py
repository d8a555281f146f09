"""Check one file of either kind, a policy or its waivers: errors and warnings, each with its place."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.core.terminal import printable
from mace_gov.policy import preflight
from mace_gov.policy.advice import advice
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
