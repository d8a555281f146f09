"""mace-gov audit: look at a model made here or elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Device, PolicyOption, Registry, Reports


def audit(
    model: Annotated[
        str, typer.Argument(help="Governed model: a folder, a hub id, registry:NAME/N.", show_default=False)
    ],
    policy: PolicyOption,
    base: Annotated[
        str | None, typer.Option("--base", help="Base model to compare with. Default: the policy's.")
    ] = None,
    registry: Registry = Path("registry"),
    reports: Reports = Path("reports"),
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Audit a model against a policy, side by side with its base; sign, gate and report."""
    from mace_gov import workflow
    from mace_gov.cli.output import finish
    from mace_gov.cli.progress import progress

    with progress() as shown:
        audited = workflow.audit_model(
            model, policy, base=base, registry=registry, reports=reports, device=device, progress=shown
        )
    raise typer.Exit(finish(audited, as_json=as_json))
