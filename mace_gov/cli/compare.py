"""mace-gov compare: several erasure methods on one policy."""

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
    Reports,
    Revision,
    Threads,
    Unmeasured,
    Workers,
)


def compare(
    policy: PolicyPath,
    methods: Annotated[
        str,
        typer.Option("--methods", help="Comma-separated: mace, uce, nullspace, oce, cure, valuespace, neurons, esd.")
    ] = "mace,uce,nullspace,esd",
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Erasures of each method with seeds of their own: 1, or 3 or more.")
    ] = 1,
    model: Model = None,
    revision: Revision = None,
    allow_unmeasured: Unmeasured = False,
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
    """Erase and audit with each method from the same base: one table with intervals, one page of pictures."""
    from typing import get_args

    from mace_gov.audit.inputs import AuditRun, Inputs
    from mace_gov.cli.running import running
    from mace_gov.core.errors import UsageError
    from mace_gov.documents.method import MethodName
    from mace_gov.report.comparison_page import DOCUMENT, PAGE, show_comparison
    from mace_gov.workflow import comparing
    from mace_gov.workflow.planning import BaseChoice

    given = [name.strip() for name in methods.split(",") if name.strip()]
    known: dict[str, MethodName] = {name: name for name in get_args(MethodName)}
    names = [known[name] for name in given if name in known]
    if not given or len(names) < len(given):
        found = ", ".join(sorted(set(given) - known.keys())) or "none"
        raise UsageError(f"--methods: found {found}, expected any of {', '.join(known)}")
    with running(batch=batch, dtype=dtype, threads=threads, workers=workers, ray=ray, device=device) as shown:
        made, folder = comparing.compare(
            policy, names, base=BaseChoice(model, revision, allow_unmeasured), seeds=seeds, registry=registry,
            reports=reports, run=AuditRun(device=device, progress=shown, inputs=Inputs(plugins=tuple(plugin or ()))),
        )
    if as_json:
        paths = {"page": str(folder / PAGE), "comparison": str(folder / DOCUMENT)}
        typer.echo(json.dumps({"comparison": made.to_json(), "paths": paths}))
        return
    show_comparison(made, folder / PAGE)
