"""mace-gov gate: may this be released under this policy?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Key, PolicyOption, Registry


def gate(
    path: Annotated[Path, typer.Argument(help="A version, a report folder or a model folder.", show_default=False)],
    policy: PolicyOption,
    key: Key = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Verify the evidence, then decide anew against a policy file. The exit code is the decision."""
    from mace_gov import workflow
    from mace_gov.cli.output import finish_verified

    verified, verdict, pinned = workflow.gate_path(path, policy, key=key, registry=registry)
    raise typer.Exit(finish_verified(verified, verdict, pinned=pinned, as_json=as_json))
