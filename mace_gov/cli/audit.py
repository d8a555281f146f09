"""mace-gov audit: look at a model made here or elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import (
    AsJson,
    Batch,
    Device,
    Plugins,
    PolicyOption,
    Precision,
    Registry,
    Reports,
    Threads,
    Unmeasured,
)
from mace_gov.documents.registry import Layout


class Tier(StrEnum):
    """How hard to look beyond the policy; the audit's own words, for the help."""

    STATIC = "static"
    TRANSFERRED = "transferred"
    ADAPTIVE = "adaptive"
    EMBEDDINGS = "embeddings"
    TEXT_FREE = "text-free"
    DEEP = "deep"


def audit(
    model: Annotated[
        str, typer.Argument(help="Governed model: a folder, a hub id, registry:NAME/N.", show_default=False)
    ],
    policy: PolicyOption,
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
    allow_unmeasured: Unmeasured = False,
    registry: Registry = Path("registry"),
    reports: Reports = Path("reports"),
    device: Device = None,
    batch: Batch = None,
    dtype: Precision = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Audit a model against a policy, side by side with its base; sign, gate and report."""
    from mace_gov import workflow
    from mace_gov.audit.inputs import Inputs
    from mace_gov.cli.output import finish
    from mace_gov.cli.progress import progress
    from mace_gov.core.resources import using

    inputs = Inputs(prompts=tuple(prompts or ()), images=images, plugins=tuple(plugin or ()),
                    tiers=frozenset(each.value for each in tier or ()), budget=budget, searches=searches,
                    loras=tuple(lora or ()), calibrations=Layout(registry).calibrations)
    with progress() as shown, using(batch=batch, precision=dtype, threads=threads):
        audited = workflow.audit_model(
            model, policy, base=base, unmeasured=allow_unmeasured, registry=registry, reports=reports, inputs=inputs,
            device=device, progress=shown,
        )
    raise typer.Exit(finish(audited, as_json=as_json))
