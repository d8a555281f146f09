"""mace-gov plan: what would run."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from mace_gov.cli.options import AsJson, Model, PolicyPath, Registry, Revision


def plan(
    policy: PolicyPath,
    model: Model = None,
    revision: Revision = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Show every setting that an apply would use, filled in for the base model. Nothing runs."""
    from mace_gov import workflow

    made = workflow.plan_policy(policy, model=model, revision=revision, registry=registry)[1]
    if as_json:
        typer.echo(json.dumps(made.to_json()))
        return
    typer.echo(f"base      {made.base.ref}  sha256:{made.base.digest}")
    typer.echo(f"method    {made.method}, seed {made.seed}, {len(made.templates)} templates")
    typer.echo(f"refine    {made.refine.to_json()}")
    typer.echo(f"fuse      {made.fuse.to_json()}")
    kept = made.preserve
    typer.echo(f"preserve  prior {kept.prior} x {kept.scale:g}, {len(kept.concepts)} concepts x {kept.concept_scale:g}")
    typer.echo(
        f"sampler   {made.generation.steps} steps, guidance {made.generation.guidance:g}, {made.generation.size} px"
    )
    for target in made.targets:
        lora = target.lora
        typer.echo(
            f"target    {target.target} -> {target.anchor} ({target.kind}): rank {lora.rank}, {lora.steps} steps at "
            f"{lora.learning_rate:g}, {lora.images} images, {lora.sampling} timesteps, masks {lora.masks}"
        )
    for note in made.notes:
        typer.echo(f"note      {note}")
