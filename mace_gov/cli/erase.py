"""mace-gov erase: the erasure alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import (
    AsJson,
    Batch,
    Device,
    Exact,
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


def erase(
    policy: PolicyPath,
    out: Annotated[
        Path, typer.Option("--out", help="New diffusers folder for the governed model.", show_default=False)
    ],
    model: Model = None,
    revision: Revision = None,
    allow_unmeasured: Unmeasured = False,
    exact: Exact = False,
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
    """Erase what a policy bans and write a plain diffusers folder. Nothing is audited, signed or recorded."""
    from mace_gov import workflow
    from mace_gov.audit.inputs import AuditRun, Inputs
    from mace_gov.cli.running import running
    from mace_gov.workflow.planning import BaseChoice

    with running(batch=batch, dtype=dtype, threads=threads, workers=workers, ray=ray, device=device) as shown:
        record, extras = workflow.erase_model(
            policy, out, base=BaseChoice(model, revision, allow_unmeasured), exact=exact, registry=registry,
            run=AuditRun(device=device, progress=shown, inputs=Inputs(plugins=tuple(plugin or ()))),
        )
    if as_json:
        paths = {
            "model": str(out),
            "delta": str(extras / "delta" / "erasure.safetensors"),
            "loras": str(extras / "loras"),
        }
        typer.echo(json.dumps({"model_digest": record.governed_digest, "paths": paths, "erasure": record.to_json()}))
        return
    typer.echo(f"governed model  {out}  sha256:{record.governed_digest}")
    typer.echo(f"delta and LoRAs {extras}")
    for warning in record.warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"next: mace-gov audit {out} --policy {policy}")
