"""mace-gov apply: the main job, all stages."""

from __future__ import annotations

from pathlib import Path

import typer

from mace_gov.cli.options import (
    Against,
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
    Reports,
    Revision,
    Threads,
    Unmeasured,
    WaiverFiles,
    Workers,
)


def apply(
    policy: PolicyPath,
    model: Model = None,
    revision: Revision = None,
    allow_unmeasured: Unmeasured = False,
    exact: Exact = False,
    waivers: WaiverFiles = None,
    against: Against = None,
    plugin: Plugins = None,
    registry: Registry = Path("registry"),
    reports: Reports = Path("reports"),
    device: Device = None,
    batch: Batch = None,
    dtype: Precision = None,
    threads: Threads = None,
    workers: Workers = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Erase what a policy bans, audit, record, sign, gate and report. The exit code is the gate's."""
    from mace_gov import workflow
    from mace_gov.audit.inputs import AuditRun, Inputs
    from mace_gov.cli.output import finish, say_not_compared
    from mace_gov.cli.running import running
    from mace_gov.workflow.deciding import Exceptions
    from mace_gov.workflow.planning import BaseChoice

    with running(batch=batch, dtype=dtype, threads=threads, workers=workers, ray=ray, device=device) as shown:
        governed = workflow.apply(
            policy, base=BaseChoice(model, revision, allow_unmeasured), exact=exact,
            asked=Exceptions(waivers or (), against), registry=registry, reports=reports,
            run=AuditRun(device=device, progress=shown, inputs=Inputs(plugins=tuple(plugin or ()))),
        )
    say_not_compared(against, governed.verdict)
    raise typer.Exit(finish(governed, as_json=as_json))
