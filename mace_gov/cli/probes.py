"""mace-gov probes: what an audit would ask, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import Model, PolicyPath, Registry, Revision


def probes(
    policy: PolicyPath,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.", show_default=False)],
    model: Model = None,
    revision: Revision = None,
    registry: Registry = Path("registry"),
) -> None:
    """Write the audit's prompts and seeds as CSV, to draw them elsewhere and judge them with `audit --images`."""
    from mace_gov.audit.probes.suites import write_probes
    from mace_gov.preflight.checks import Ahead
    from mace_gov.workflow.planning import BaseChoice, plan_policy

    loaded, plan, _ = plan_policy(policy, BaseChoice(model, revision), registry=registry,
                               ahead=Ahead(judges=False, erases=False))
    count = write_probes(out, loaded.policy, plan.base, plan.templates)
    typer.echo(f"wrote {count} probes to {out}")
    typer.echo(f"next: draw them, then mace-gov audit NAME --policy {policy} --prompts {out} --images FOLDER")
