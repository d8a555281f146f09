"""mace-gov audit: look at a model made here or elsewhere."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mace_gov.cli.options import (
    AsJson,
    Batch,
    Device,
    Plugins,
    Precision,
    Ray,
    Registry,
    Reports,
    Threads,
    Unmeasured,
    Workers,
)
from mace_gov.documents.registry import Layout

if TYPE_CHECKING:
    from mace_gov.documents.shard import Shard

MERGE = "merge"
"""Stands in the model's place where shards are merged."""


class Tier(StrEnum):
    """How hard to look beyond the policy; the audit's own words, for the help."""

    STATIC = "static"
    TRANSFERRED = "transferred"
    ADAPTIVE = "adaptive"
    EMBEDDINGS = "embeddings"
    WEIGHTS = "weights"
    TEXT_FREE = "text-free"
    DEEP = "deep"


def audit(
    model: Annotated[
        str, typer.Argument(help="Governed model: a folder, a hub id, registry:NAME/N; or `merge`, then the shards.",
                            show_default=False)
    ],
    shards: Annotated[
        list[Path] | None, typer.Argument(help="With `merge`: the folders of all shards.", show_default=False)
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Policy file (YAML). A merge has it from its shards.", show_default=False),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Base model to compare with. Default: the policy's.")
    ] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option("--prompts", help="CSV of more prompts, of translations or of synonyms; repeat it.",
                     show_default=False),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder of pictures made elsewhere; MODEL is then only a name.",
                     show_default=False),
    ] = None,
    plugin: Plugins = None,
    tier: Annotated[
        list[Tier] | None,
        typer.Option("--tier", help="Look harder: static asks all suites, deep asks derivatives, the others attack.",
                     show_default=False),
    ] = None,
    lora: Annotated[
        list[Path] | None,
        typer.Option("--lora", help="With --tier deep: a user's LoRA to merge, .safetensors; repeat it.",
                     show_default=False),
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="Steps of each attack's search. Default: its own.")
    ] = None,
    searches: Annotated[
        int, typer.Option("--searches", min=1, max=1000, help="Searches of each attack for each concept.")
    ] = 3,
    shard: Annotated[
        str | None,
        typer.Option("--shard", help="Only draw, and only a share: I/N; auto in a Slurm array; auto/N there or in an "
                                     "indexed Kubernetes Job.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --shard: the folder for its pictures.", show_default=False)
    ] = None,
    allow_unmeasured: Unmeasured = False,
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
    """Audit a model against a policy, side by side with its base; sign, gate and report.

    On several machines: each draws a share with --shard I/N --out DIR, then `mace-gov audit merge DIR...` makes of them
    the evidence that one machine makes.
    """
    from mace_gov import workflow
    from mace_gov.audit.inputs import AuditRun, Inputs
    from mace_gov.cli.output import finish
    from mace_gov.cli.progress import progress
    from mace_gov.cli.running import running
    from mace_gov.core.resources import using
    from mace_gov.workflow.planning import BaseChoice

    inputs = Inputs(prompts=tuple(prompts or ()), images=images, plugins=tuple(plugin or ()),
                    tiers=frozenset(each.value for each in tier or ()), budget=budget, searches=searches,
                    loras=tuple(lora or ()), calibrations=Layout(registry).calibrations)
    _check(model, shards, policy, shard, out, hires=workers is not None or ray is not None)
    if model == MERGE:
        with progress() as shown, using(batch=batch, threads=threads):
            audited = workflow.merge_shards(shards or (), path=policy, registry=registry, reports=reports,
                                            run=AuditRun(device=device, progress=shown))
        raise typer.Exit(finish(audited, as_json=as_json))
    assert policy is not None
    asked = BaseChoice(base, unmeasured=allow_unmeasured)
    if shard is not None and out is not None:
        with running(batch=batch, dtype=dtype, threads=threads, workers=workers, ray=ray, device=device) as shown:
            drawn = workflow.draw_shard(model, policy, out, shard, base=asked, registry=registry,
                                        run=AuditRun(device=device, progress=shown, inputs=inputs))
        _say(drawn, out, as_json=as_json)
        raise typer.Exit(0)
    with running(batch=batch, dtype=dtype, threads=threads, workers=workers, ray=ray, device=device) as shown:
        audited = workflow.audit_model(
            model, policy, base=asked, registry=registry, reports=reports,
            run=AuditRun(device=device, progress=shown, inputs=inputs),
        )
    raise typer.Exit(finish(audited, as_json=as_json))


def _check(
    model: str, shards: list[Path] | None, policy: Path | None, shard: str | None, out: Path | None, *, hires: bool
) -> None:
    """Raises UsageError for arguments that do not go together."""
    from mace_gov.core.errors import UsageError

    if model == MERGE and not shards:
        raise UsageError("merge: found no folder, expected those of all shards", hint="A model in a folder called "
                         "merge is ./merge.")
    if model == MERGE and (shard or out or hires):
        raise UsageError("merge: found --shard, --out, --workers or --ray, expected none: a merge draws nothing")
    if model != MERGE and shards:
        raise UsageError(f"found {shards[0]} after the model, expected nothing",
                         hint="Merge shards with `mace-gov audit merge DIR...`.")
    if model != MERGE and policy is None:
        raise UsageError("--policy is missing, expected a policy file")
    if (shard is None) != (out is None):
        raise UsageError("found one of --shard and --out, expected both or neither")


def _say(drawn: Shard, out: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"shard": drawn.index, "of": drawn.facts.count, "pictures": drawn.drawn,
                               "folder": str(out), "exit_code": 0}))
        return
    typer.echo(f"shard {drawn.index} of {drawn.facts.count}: {sum(drawn.drawn.values())} pictures in {out}")
    typer.echo("next: mace-gov audit merge with the folders of all shards")
