"""mace-gov plan: what would run."""

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
    Registry,
    Revision,
    Threads,
    Unmeasured,
)


def plan(
    policy: PolicyPath,
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
    calibrate: Annotated[
        bool | None,
        typer.Option("--calibrate/--no-calibrate", show_default=False,
                     help="Time one step of each kind on this device. Default: where that takes a few seconds."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every setting that an apply would use, what it would reuse, and what it takes here. Nothing is made.

    A quick measurement of the device is kept in the registry's cache.
    """
    from mace_gov.cli.progress import progress
    from mace_gov.core.resources import using
    from mace_gov.documents.method_info import method_info
    from mace_gov.documents.registry import Layout
    from mace_gov.plan.fitting import fitted, kept_fit, minutes, pictures, searched
    from mace_gov.plan.foresee import foresee
    from mace_gov.preflight.checks import plan_notes
    from mace_gov.preflight.costs import apply_costs, audit_costs, told, told_apply
    from mace_gov.preflight.timing import timing_of
    from mace_gov.workflow.planning import BaseChoice, plan_policy

    loaded, made, own = plan_policy(
        policy, BaseChoice(model, revision, allow_unmeasured), exact=exact, registry=registry, plugins=plugin or ())
    settings = searched(loaded.policy, made)
    if settings and (found := kept_fit(made, Layout(registry).cache)):
        made = fitted(made, found)
    costs = audit_costs(loaded.policy, made, own, registry)
    warnings = plan_notes(loaded.policy, made)
    foreseen = foresee(made, Layout(registry).cache)
    with progress() as shown, using(batch=batch, precision=dtype, threads=threads):
        timing = timing_of(made, registry, device=device, wanted=calibrate, progress=shown)
    whole = timing and apply_costs(
        made, costs, foreseen, timing,
        fit_pictures=pictures(loaded.policy, made) if settings and not made.fit else 0)
    if as_json:
        typer.echo(json.dumps({**made.to_json(), "reuse": [each.to_json() for each in foreseen],
                               "audit": costs.to_json(), "warnings": warnings,
                               "apply": whole and whole.to_json()}))
        return
    typer.echo(f"base      {made.base.ref}  sha256:{made.base.digest}")
    info = method_info(made.method)
    typer.echo(f"method    {made.method}, seed {made.seed}, {len(made.templates)} templates: {info.does}")
    for stage in info.closed_forms:
        typer.echo(f"{stage:10}{getattr(made, stage).to_json()}")
    kept = made.preserve
    if info.closed_forms:
        typer.echo(f"preserve  prior {kept.prior} x {kept.scale:g}, {len(kept.concepts)} concepts x "
                   f"{kept.concept_scale:g}{', beside what is erased' if kept.relative else ', sums'}")
    if settings and made.fit:
        typer.echo(f"fit       {' and '.join(settings)} were found on this model before, by {made.fit.by}")
    elif settings:
        typer.echo(f"fit       {' and '.join(settings)} are searched on this model before the erasure, and which "
                   f"concepts need a LoRA: up to {pictures(loaded.policy, made)} pictures, "
                   f"{minutes(loaded.policy):g} minutes")
    typer.echo(
        f"sampler   {made.generation.steps} steps, guidance {made.generation.guidance:g}, {made.generation.size} px"
    )
    if masks := made.segmenter:
        typer.echo(f"masks     {masks.detector}  sha256:{masks.detector_digest}, score {masks.threshold:g} or more; "
                   f"{masks.segmenter}  sha256:{masks.segmenter_digest}")
    if hard := made.harden:
        typer.echo(f"harden    up to {hard.rounds} rounds of {hard.searches} searches for each concept, "
                   f"{hard.vectors} vectors, {hard.steps} steps")
    if guard := made.guard:
        typer.echo(f"guard     experimental: all layers that read no text are trained, {guard.steps} steps at "
                   f"{guard.learning_rate:g}, rounds of search: {guard.rounds}, pictures of other things: "
                   f"{guard.pictures}")
    for target in made.targets:
        lora = target.lora
        step = f"{lora.learning_rate:g}" if lora.step_size is None else f"{lora.step_size:g} of the answer"
        training = (f": rank {lora.rank}, {lora.steps} steps at {step}, {lora.images} images, {lora.sampling} "
                    f"timesteps, masks {lora.masks}") if info.trains == "loras" else ""
        typer.echo(f"target    {target.target} -> {target.anchor} ({target.kind}){training}")
    if foreseen:
        reused, trained = (sum(each.lora == what for each in foreseen) for what in ("reused", "trained"))
        typer.echo(f"reuse     {reused} LoRAs reused, {trained} trained")
    for each in foreseen:
        drawn = "" if each.pictures or each.lora != "trained" else "; its pictures are drawn first"
        typer.echo(f"lora      {each.concept}: {each.lora}, {each.why}{drawn}")
    for line in told(costs):
        typer.echo(f"audit     {line}")
    for line in told_apply(whole) if whole else ["time and memory not known: nothing was timed here"]:
        typer.echo(f"apply     {line}")
    for note in (*made.notes, *warnings):
        typer.echo(f"note      {note}")
