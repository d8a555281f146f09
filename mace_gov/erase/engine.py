"""The verb ``erase``: from a plan and the pristine base to a governed model, its delta and its LoRAs."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.digest import folder_digest, folder_files, sha256_file
from mace_gov.core.environment import environment_facts
from mace_gov.core.errors import UsageError
from mace_gov.core.lazy import lookup
from mace_gov.core.progress import Progress, Silent, working
from mace_gov.diffusion.exact import Unchanged, exact_files
from mace_gov.diffusion.families import JOINT
from mace_gov.diffusion.load import device_name, load_pipeline
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.precision import multiplies_in
from mace_gov.diffusion.projections import denoiser, guarded_layers, pooled_projection, projections
from mace_gov.diffusion.save import save_governed
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.method_info import method_info
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.reuse import drawable
from mace_gov.erase import delta as delta_file
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.guard import guard
from mace_gov.erase.lora_file import FILE_NAME
from mace_gov.erase.methods import JOINT_METHOD
from mace_gov.erase.methods.method_protocol import EraseMethod, Erasure, Stopwatch, condition_warnings
from mace_gov.erase.pooled import pooled_edit

POOLED_LEFT = "leaves the pooled text as it is, which reaches the U-Net past cross-attention"


def erase(
    plan: ErasurePlan, out: Path, *, cache: Path | None = None, device: str | None = None,
    progress: Progress | None = None,
) -> ErasureRecord:
    """Run a plan; ``out`` gets ``model/``, ``delta/`` and ``loras/``, all or none of them.

    Starts from the pristine base, which is only read. cache: folder where LoRAs, pictures, text states and
    their moments are kept by content and reused; without it everything is made anew.
    Raises UsageError when ``out`` already holds a model, ModelError for a base that changed or does not load,
    NumericalError for a system that is ill-conditioned or weights that are not finite.
    """
    progress = progress or Silent()
    for name in ("model", "delta", "loras"):
        if (out / name).exists():
            raise UsageError(f"{out / name} exists already, expected a new place", hint="Give another folder.")
    with ExitStack() as stack:
        with working(progress, "re-hashing the base model"):
            base, unchanged = stack.enter_context(exact_files(plan.base, texts=True))
        return _erase(plan, base, unchanged, out, cache, device, progress)


def _erase(
    plan: ErasurePlan, base: Path, unchanged: Unchanged, out: Path, cache: Path | None, device: str | None,
    progress: Progress,
) -> ErasureRecord:
    """``erase`` from the files in ``base``, of which ``unchanged`` says at the end whether they were left alone."""
    clock = Stopwatch()
    with clock.stage("load"), working(progress, "loading the base model"):
        pipe = load_pipeline(base, device=device)
    machine = {"device": device_name(pipe.device),
               "precision": str(multiplies_in(pipe.device)).removeprefix("torch.")}
    result = compute(plan, pipe, cache=cache, progress=progress)
    layers = edited_layers(pipe, result.delta)
    pristine = {name: layer.weight.detach().cpu().clone() for name, layer in layers.items()}
    # the model is written from its files: two copies of it need not be in memory
    del pipe, layers
    gc.collect()
    with ExitStack() as folders, clock.stage("save"), working(progress, "writing the governed model"):
        model, delta, loras = (folders.enter_context(new_folder(out / name)) for name in ("model", "delta", "loras"))
        result.delta.write(delta / delta_file.FILE_NAME)
        written = delta_file.read_delta(delta / delta_file.FILE_NAME)
        weights = written.apply(pristine)
        save_governed(base, model, {f"{name}.weight": weight for name, weight in weights.items()}, written.neurons)
        for lora in result.loras:
            write_bytes(loras / lora.concept / FILE_NAME, lora.read())
        files = folder_files(model)
        delta_digest = sha256_file(delta / delta_file.FILE_NAME)
        unchanged()
    return ErasureRecord(
        plan_digest=plan.content_digest(),
        base_digest=plan.base.digest,
        governed_digest=folder_digest(files),
        governed_files=files,
        delta_digest=delta_digest,
        systems=result.systems,
        loras=[lora.record for lora in result.loras],
        left=result.left, hardening=result.hardening, guard=result.guard,
        seconds={**clock.seconds, **result.seconds},
        environment={**environment_facts(), **machine},
        warnings=result.warnings,
    )


def edited_layers(pipe: Pipeline, delta: ErasureDelta) -> dict[str, nn.Linear | nn.Conv2d]:
    """The layers of a loaded base whose weights a delta changes, by name."""
    network = denoiser(pipe)
    pooled = pooled_projection(network) if delta.pooled else {}
    return {**projections(network), **pooled, **(guarded_layers(network) if delta.guard else {})}


def compute(
    plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None = None, progress: Progress | None = None, **of_method: Any,
) -> Erasure:
    """The plan's method in memory, on a loaded base pipeline, whose weights are the base's again at the end.

    of_method: what one method alone understands, for the ablation (mace's ``fusion``).
    """
    joint = plan.base.family in JOINT.values()
    method: EraseMethod = lookup(JOINT_METHOD if joint else method_info(plan.method).erase)
    made = method(plan, pipe, cache=cache, progress=progress or Silent(), **of_method)
    if plan.guard and not any(drawable(plan, target) for target in plan.targets):
        made = replace(made, warnings=[*made.warnings, "no guard was trained: no picture of any concept may be made"])
    elif plan.guard:
        clock = Stopwatch()
        with clock.stage("guard"):
            gained, record = guard(plan, pipe, cache=cache, progress=progress or Silent())
        made = replace(made, delta=replace(made.delta, guard=gained), guard=record,
                       seconds={**made.seconds, **clock.seconds})
    layers = {} if joint else pooled_projection(pipe.unet)
    if not layers:
        return made
    if not method_info(plan.method).edits_pooled:
        return replace(made, warnings=[*made.warnings, f"{plan.base.family}: {plan.method} {POOLED_LEFT}"])
    clock = Stopwatch()
    with clock.stage("pooled"), working(progress or Silent(), "editing the pooled text"):
        matrix, system = pooled_edit(TextReader.of(pipe), plan)
    return replace(
        made, delta=replace(made.delta, pooled=dict.fromkeys(layers, matrix)), systems=[*made.systems, system.record],
        seconds={**made.seconds, **clock.seconds}, warnings=[*made.warnings, *condition_warnings([system.record])],
    )
