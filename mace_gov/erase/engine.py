"""The verb ``erase``: from a plan and the pristine base to a governed model, its delta and its LoRAs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch

from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.digest import folder_digest, folder_files, sha256_file
from mace_gov.core.environment import environment_facts
from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Progress, Silent
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import check_unchanged
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.save import save_governed
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.erasure import ErasureRecord, SystemRecord
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.erase import delta as delta_file
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.focal import focal_directions
from mace_gov.erase.fuse import fuse, naive_sum
from mace_gov.erase.lora import FILE_NAME, factors, train
from mace_gov.erase.pictures import TrainingPictures, drawable, training_pictures
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import Refinement, refine
from mace_gov.erase.reuse import TrainedLora, finished, keep, lora_key, recall
from mace_gov.erase.systems import CONDITION_WARNING

Fusion = Literal["closed-form", "sum", "none"]
"""closed-form is the method; sum and none are for the ablation."""


@dataclass(frozen=True)
class Erasure:
    """All stages' results, before anything is written."""

    delta: ErasureDelta
    """The governed model, as a difference."""
    systems: list[SystemRecord]
    """Linear systems solved."""
    loras: list[TrainedLora]
    """In the plan's order; empty when no target has steps."""
    seconds: dict[str, float]
    """Wall time by stage."""
    warnings: list[str]
    """What looked odd."""


def erase(
    plan: ErasurePlan, out: Path, *, cache: Path | None = None, device: str | None = None,
    progress: Progress | None = None,
) -> ErasureRecord:
    """Run a plan; ``out`` gets ``model/``, ``delta/`` and ``loras/``, all or none of them.

    Starts from the pristine base, which is only read. cache: folder where LoRAs, pictures and priors are kept by
    content and reused; without it everything is made anew.
    Raises UsageError when ``out`` already holds a model, ModelError for a base that changed or does not load,
    NumericalError for a system that is ill-conditioned or weights that are not finite.
    """
    progress = progress or Silent()
    for name in ("model", "delta", "loras"):
        if (out / name).exists():
            raise UsageError(f"{out / name} exists already, expected a new place", hint="Give another folder.")
    check_unchanged(plan.base)
    seconds: dict[str, float] = {}
    with _timed(seconds, "load"):
        pipe = load_pipeline(plan.base.path, device=device)
    result = compute(plan, pipe, cache=cache, progress=progress)
    with ExitStack() as folders, _timed(seconds, "save"):
        model, delta, loras = (folders.enter_context(new_folder(out / name)) for name in ("model", "delta", "loras"))
        result.delta.write(delta / delta_file.FILE_NAME)
        written = delta_file.read_delta(delta / delta_file.FILE_NAME)
        weights = written.apply({name: layer.weight for name, layer in projections(pipe.unet).items()})
        save_governed(Path(plan.base.path), model, {f"{name}.weight": weight for name, weight in weights.items()})
        for lora in result.loras:
            write_bytes(loras / lora.concept / FILE_NAME, lora.weights)
        files = folder_files(model)
        delta_digest = sha256_file(delta / delta_file.FILE_NAME)
    return ErasureRecord(
        plan_digest=plan.content_digest(),
        base_digest=plan.base.digest,
        governed_digest=folder_digest(files),
        governed_files=files,
        delta_digest=delta_digest,
        systems=result.systems,
        loras=[lora.record for lora in result.loras],
        seconds={**seconds, **result.seconds},
        environment=environment_facts(),
        warnings=result.warnings,
    )


def compute(
    plan: ErasurePlan, pipe, *, cache: Path | None = None, progress: Progress | None = None,
    fusion: Fusion = "closed-form",
) -> Erasure:
    """All three stages in memory, on a loaded base pipeline, whose weights are the base's again at the end.

    fusion: ``sum`` adds the LoRAs up, ``none`` stops after the refinement; both are there to be compared with.
    """
    progress = progress or Silent()
    seconds: dict[str, float] = {}
    reader = TextReader.of(pipe)
    with _timed(seconds, "preserve"):
        preserve = preserve_term(reader, plan, cache)
    with _timed(seconds, "refine"):
        refined = refine(reader, plan, preserve, progress.start("refining", len(plan.targets)))
    trained = [target for target in plan.targets if target.lora.steps > 0 and drawable(plan, target)]
    trained = trained if fusion != "none" else []
    loras = _loras(plan, trained, pipe, refined, preserve, cache, progress, seconds)
    systems = [refined.system.record]
    delta = ErasureDelta(refined.matrix)
    if loras:
        with _timed(seconds, "fuse"):
            learnt = {lora.concept: factors(lora.weights) for lora in loras}
            if fusion == "sum":
                delta = naive_sum(refined.matrix, learnt)
            else:
                advance = progress.start("fusing", len(learnt))
                delta, system = fuse(refined.matrix, refined.moments, learnt, plan.fuse, preserve, advance)
                systems.append(system.record)
    about = {
        "baseDigest": plan.base.digest, "planDigest": plan.content_digest(), "method": plan.method,
        "fusion": fusion if loras else "none", "concepts": [target.id for target in plan.targets],
    }
    delta = ErasureDelta(delta.matrix, delta.left, delta.right, about)
    return Erasure(delta, systems, loras, seconds, _warnings(plan, systems, loras))


def _loras(
    plan: ErasurePlan, targets: list[Target], pipe, refined: Refinement, preserve: torch.Tensor, cache: Path | None,
    progress: Progress, seconds: dict[str, float],
) -> list[TrainedLora]:
    """A LoRA for each target, from the cache or trained now.

    A batch of which any is missing runs whole, for a product's last digits depend on the batch that it is taken in;
    those that the cache holds stay as they are.
    """
    found = {target.id: recall(lora_key(plan, target), target, cache) for target in targets}
    batches = [
        batch for batch in _together(targets, plan.generation.batch) if any(found[t.id] is None for t in batch)
    ]
    reused = sum(lora is not None for lora in found.values())
    if reused:
        progress.note(f"reusing {reused} of {len(targets)} LoRAs")
    missing = [target for batch in batches for target in batch]
    pictures: dict[str, TrainingPictures] = {}
    with _timed(seconds, "pictures"):
        advance = progress.start("drawing training pictures", len(missing))
        for target in missing:
            pictures[target.id] = training_pictures(pipe, plan, target, cache)
            advance(1)
    with _timed(seconds, "lora"), _refined_weights(pipe.unet, refined.matrix):
        focal = [target for target in missing if target.lora.init == "focal"]
        directions = focal_directions(TextReader.of(pipe), plan, preserve, focal) if focal else {}
        advance = progress.start("training LoRAs", len(missing))
        for batch in batches:
            held = directions if batch[0].lora.init == "focal" else None
            for target, training in zip(batch, train(pipe, plan, batch, pictures, held), strict=True):
                if found[target.id] is None:
                    found[target.id] = finished(lora_key(plan, target), target, training)
                    keep(found[target.id], cache)
            advance(len(batch))
    return [lora for lora in found.values() if lora is not None]


def _together(targets: list[Target], most: int) -> Iterator[list[Target]]:
    """Targets that can share their forward passes, ``most`` at a time."""
    def shared(target: Target) -> tuple:
        return target.lora.rank, target.lora.steps, target.lora.learning_rate, target.lora.init

    for _, alike in groupby(sorted(targets, key=shared), key=shared):
        group = list(alike)
        yield from (group[start:start + most] for start in range(0, len(group), most))


@contextmanager
def _refined_weights(unet, matrix: torch.Tensor) -> Iterator[None]:
    """W' = W M in every projection inside the block, W again after it."""
    layers = projections(unet)
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.weight.data.copy_((before[name].cpu().double() @ matrix).float())
        yield
    finally:
        for name, layer in layers.items():
            layer.weight.data.copy_(before[name])


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def _warnings(plan: ErasurePlan, systems: list[SystemRecord], loras: list[TrainedLora]) -> list[str]:
    warnings = [
        f"{system.stage}: condition number {system.condition:.2g}; a larger ridge would be steadier"
        for system in systems if system.condition > CONDITION_WARNING
    ]
    for lora in loras:
        if lora.last_loss >= lora.first_loss:
            warnings.append(f"{lora.concept}: training did not lower the attention "
                            f"({lora.first_loss:.3g} to {lora.last_loss:.3g})")
        if lora.coverage is not None and not 0.02 <= lora.coverage <= 0.9:
            warnings.append(f"{lora.concept}: the masks cover {lora.coverage:.0%} of the pictures")
    undrawn = [target.id for target in plan.targets if not drawable(plan, target)]
    if undrawn:
        warnings.append(f"refined alone, since no picture of it may ever be made: {', '.join(undrawn)}")
    idle = [target.id for target in plan.targets if target.lora.steps == 0 and target.id not in undrawn]
    if idle and loras:
        warnings.append(f"refined but without a LoRA of their own: {', '.join(idle)}")
    return warnings
