"""mace-gov tune: settings for a policy, within a time budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import (
    AsJson,
    Batch,
    Device,
    Model,
    Plugins,
    PolicyPath,
    Precision,
    Ray,
    Registry,
    Revision,
    Threads,
    Unmeasured,
    Workers,
)


def tune(
    policy: PolicyPath,
    budget: Annotated[float, typer.Option("--budget", min=0, help="Minutes to search.")] = 30.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="New file for the best settings. Default: standard output.")
    ] = None,
    model: Model = None,
    revision: Revision = None,
    allow_unmeasured: Unmeasured = False,
    plugin: Plugins = None,
    registry: Registry = Path("registry"),
    device: Device = None,
    batch: Batch = None,
    dtype: Precision = None,
    threads: Threads = None,
    workers: Workers = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Try what the fit of `apply` chooses from, with more pictures that no audit asks; write a `method` block."""
    from mace_gov.audit.inputs import AuditRun, Inputs
    from mace_gov.cli.running import running
    from mace_gov.core.atomic import write_text
    from mace_gov.core.errors import UsageError
    from mace_gov.report.tuning_table import method_block, show_tuning
    from mace_gov.workflow import settings_search
    from mace_gov.workflow.planning import BaseChoice

    if out is not None and out.exists():
        raise UsageError(f"{out} exists already, expected a new file", hint="Give another --out.")
    with running(batch=batch, dtype=dtype, threads=threads, workers=workers, ray=ray, device=device) as shown:
        made = settings_search.tune(
            policy, minutes=budget, base=BaseChoice(model, revision, allow_unmeasured), registry=registry,
            run=AuditRun(device=device, progress=shown, inputs=Inputs(plugins=tuple(plugin or ()))),
        )
    block = method_block(made)
    if out is not None:
        write_text(out, block)
    if as_json:
        typer.echo(json.dumps({"tuning": made.to_json(), "method": block, "path": str(out) if out else None}))
        return
    show_tuning(made)
    typer.echo(f"written  {out}" if out is not None else block, nl=out is not None)
