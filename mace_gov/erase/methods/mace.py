"""MACE: refine in closed form, train a LoRA for each concept on the refined model, fuse in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress, working
from mace_gov.core.resources import asked
from mace_gov.core.store import Store
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.reuse import drawable, lora_key, refinement_key
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.focal import focal_directions
from mace_gov.erase.fuse import fuse, kept_shares, naive_sum
from mace_gov.erase.harden import harden
from mace_gov.erase.lora import CHECKED_EVERY, Training, train, training_batch_size
from mace_gov.erase.lora_file import Factors, Learnt
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about, condition_warnings
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import Refinement, refine, refined_weights
from mace_gov.erase.reuse import TrainedLora, finished, load_lora
from mace_gov.erase.second_moments import Moments, target_moments
from mace_gov.erase.systems import Factored
from mace_gov.erase.texts import KeptReader, kept_reader
from mace_gov.erase.training_pictures import TrainingPictures, training_pictures, undrawn
from mace_gov.erase.training_workers import trained_by

MOST_LEFT, LEAST_KEPT = 0.5, 0.2
"""Bounds of what is an erasure at all: see ``check_moved`` and ``lost_loras``."""

Fusion = Literal["closed-form", "sum", "none"]
"""closed-form is the method; sum and none are for the ablation."""


def mace(
    plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress, fusion: Fusion = "closed-form"
) -> Erasure:
    """All three stages. See ``EraseMethod``.

    fusion: ``sum`` adds the LoRAs up, ``none`` stops after the refinement; both are there to be compared with.
    """
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("preserve"):
            preserve, kept = (preserve_term(reader, plan, cache, progress, stage) for stage in ("refine", "fuse"))
        with clock.stage("refine"):
            refined = refine(reader, plan, preserve, progress.start("refining", len(plan.targets)))
            if plan.fit is None or not plan.fit.seen_to_erase:
                check_moved(refined.left)
        with clock.stage("harden") if plan.harden else nullcontext():
            drawn = [target for target in plan.targets if drawable(plan, target)]
            refined, hardening = harden(plan, pipe, reader, refined, preserve, drawn, cache=cache, progress=progress)
        trained = [target for target in plan.targets if target.lora.steps > 0 and drawable(plan, target)]
        trained = trained if fusion != "none" else []
        leased = None if cache is None or not trained else Store(cache).lease(
            [lora_key(plan, target) for target in trained] + [refinement_key(plan)], progress)
        with leased or nullcontext():
            loras = _loras(plan, trained, pipe, reader, refined, preserve, cache, progress, clock)
        chosen = plan.fit is None or plan.fit.loras is None  # the policy's own choice, not the fit's
        idle = _idle_loras(loras, chosen=chosen)
        loras = [lora for lora in loras if lora not in idle]
        systems, lost = [refined.system.record], {}
        delta = ErasureDelta(refined.matrix)
        if loras:
            with clock.stage("fuse"):
                moments, learnt = _moments(reader, plan), Learnt({lora.concept: lora.read for lora in loras})
                if fusion == "sum":
                    delta = naive_sum(refined.matrix, learnt)
                else:
                    def fused(those: Mapping[str, Factors]) -> tuple[ErasureDelta, Factored]:
                        return fuse(refined.matrix, refined.total, lambda concept: moments(concept).every, those,
                                    plan.fuse, kept, progress.start("fusing", len(those)),
                                    as_refined=bool(plan.preserve.relative))

                    delta, system = fused(learnt)
                    systems.append(system.record)
                    shares = kept_shares(system, moments, learnt)
                    lost = lost_loras(shares, chosen=chosen)
                    if lost:
                        delta, _ = fused(Learnt({lora.concept: lora.read for lora in loras
                                                 if lora.concept not in lost}))
                    loras = [replace(lora, kept=shares[lora.concept]) for lora in loras if lora.concept not in lost]
    delta = ErasureDelta(delta.matrix, delta.left, delta.right, about(plan, fusion if loras else "none"))
    warnings = condition_warnings(systems) + _warnings(plan, [*loras, *idle], lost)
    return Erasure(delta, systems, loras, clock.seconds, warnings, refined.left, hardening or None)


def check_moved(left: float) -> None:
    """Raise NumericalError when a refinement leaves its targets more than half way from their anchors.

    Where pictures showed that it erases nevertheless, nobody asks.
    """
    if left > MOST_LEFT:
        raise NumericalError(
            f"refine: {left:.0%} of the way from the targets to their anchors is left, expected at most "
            f"{MOST_LEFT:.0%}: the concepts would be drawn as before",
            hint="Lower preserve.weight (or preserve.scale and conceptScale), or refine.relativeRidge.")


def _idle_loras(loras: Sequence[TrainedLora], *, chosen: bool) -> list[TrainedLora]:
    """LoRAs that do not suppress the attention that they were trained to suppress.

    Of fewer than ten steps nobody can tell: those are warned of. chosen: as in ``lost_loras``.
    """
    idle = [lora for lora in loras if lora.last_loss >= lora.first_loss and lora.steps >= CHECKED_EVERY]
    if idle and chosen:
        named = ", ".join(f"'{lora.concept}' ({lora.first_loss:.4g} before, {lora.last_loss:.4g} after)"
                          for lora in idle)
        raise NumericalError(
            f"lora: the attention loss did not fall for {named}, expected less after training than before",
            hint="Raise lora.stepSize or lora.learningRate, or lora.steps; 0 steps leave stages 2 and 3 out.")
    return idle


def lost_loras(shares: Mapping[str, float], *, chosen: bool) -> dict[str, float]:
    """Concepts of whose LoRA the fusion keeps less than a fifth, with the share: training it was in vain.

    chosen: whether the policy asked for it. Then it is a NumericalError; a LoRA that the fit thought of is left out.
    """
    lost = {concept: share for concept, share in sorted(shares.items()) if share < LEAST_KEPT}
    if lost and chosen:
        named = ", ".join(f"'{concept}' ({share:.1%})" for concept, share in lost.items())
        raise NumericalError(
            f"fuse: of the LoRAs of {named} less than {LEAST_KEPT:.0%} is kept",
            hint="Lower preserve.weight (or preserve.scale and conceptScale), or fuse.relativeRidge.")
    return lost


def _moments(reader: TextReader, plan: ErasurePlan) -> Callable[[str], Moments]:
    """What gives a concept's moments, read when asked for."""
    targets = {target.id: target for target in plan.targets}
    return lambda concept: target_moments(reader, plan, targets[concept])


def _loras(
    plan: ErasurePlan, targets: list[Target], pipe: Pipeline, reader: KeptReader, refined: Refinement,
    preserve: torch.Tensor, cache: Path | None, progress: Progress, clock: Stopwatch,
) -> list[TrainedLora]:
    """A LoRA for each target, from the cache or trained now."""
    found = {target.id: load_lora(plan, target, cache, progress) for target in targets}
    missing = [target for target in targets if found[target.id] is None]
    batches = list(_batches(training_batch_size(pipe, plan, missing).size, plan, targets, found))
    training = [target for batch in batches for target in batch]
    reused = sum(lora is not None for lora in found.values())
    if reused:
        progress.note(f"reusing {reused} of {len(targets)} LoRAs")
    with clock.stage("pictures"):
        folder = reader.store.folder  # without a cache, for this erasure alone
        advance = progress.start("drawing training pictures", undrawn(plan, training, folder))
        pictures = training_pictures(pipe, plan, training, folder, advance, progress)
    with clock.stage("lora"), refined_weights(pipe.unet, refined.matrix):
        focal = [target for target in training if target.lora.init == "focal"]
        with working(progress, "finding where LoRAs listen") if focal else nullcontext():
            directions = focal_directions(reader, plan, preserve, focal) if focal else {}
        advance = progress.start("training LoRAs (steps)", sum(batch[0].lora.steps * len(batch) for batch in batches))
        trainings = _trained(pipe, plan, batches, pictures, directions, refined, advance)
        for batch, made in zip(batches, trainings, strict=True):
            for target, trained in zip(batch, made, strict=True):
                if found[target.id] is None:
                    found[target.id] = finished(plan, target, trained, cache)
    return [lora for lora in found.values() if lora is not None]


def _trained(
    pipe: Pipeline, plan: ErasurePlan, batches: Sequence[list[Target]], pictures: Mapping[str, TrainingPictures],
    directions: Mapping[str, torch.Tensor], refined: Refinement, advance: Callable[[int], None],
) -> Iterator[list[Training]]:
    """What training gives for each batch, here on a U-Net that is refined, or by the run's workers on theirs."""
    if (workers := asked().workers) is not None:
        for batch, made in zip(batches, trained_by(workers, plan, batches, pictures, directions, refined.matrix),
                               strict=True):
            advance(batch[0].lora.steps * len(batch))
            yield made
        return
    for batch in batches:
        held = directions if batch[0].lora.init == "focal" else None
        yield train(pipe, plan, batch, pictures, held, advance)


def _batches(
    most: int, plan: ErasurePlan, targets: list[Target], found: dict[str, TrainedLora | None]
) -> Iterator[list[Target]]:
    """What is trained together: what is missing, and beside it what was trained on this very refinement.

    The latter only run along and keep the LoRAs that they have: a product's last digits depend on the batch that it is
    taken in, and a run that was interrupted, or whose cache was spoilt, shall end in the same bytes as any other.
    """
    for batch in _together(targets, most):
        missing = [target for target in batch if found[target.id] is None]
        kept = [lora for target in batch if (lora := found[target.id])]
        if missing:
            yield batch if all(lora.refinement == refinement_key(plan) for lora in kept) else missing


def _together(targets: list[Target], most: int) -> Iterator[list[Target]]:
    """Targets that can share their forward passes, ``most`` at a time."""
    def shared(target: Target) -> tuple[int, int, float, float, float, str]:
        lora = target.lora
        return lora.rank, lora.steps, lora.learning_rate or 0.0, lora.step_size or 0.0, lora.stop or 0.0, lora.init

    for _, alike in groupby(sorted(targets, key=shared), key=shared):
        group = list(alike)
        yield from (group[start:start + most] for start in range(0, len(group), most))


def _warnings(plan: ErasurePlan, loras: list[TrainedLora], lost: Mapping[str, float]) -> list[str]:
    warnings = [f"{concept}: its LoRA is left out, of which the fusion would have kept {share:.0%}"
                for concept, share in lost.items()]
    elsewhere = [lora.concept for lora in loras if lora.refinement != refinement_key(plan)]
    if elsewhere:
        warnings.append(f"trained on the refinement of other targets and kept: {', '.join(elsewhere)}; "
                        "--exact trains them anew")
    for lora in loras:
        if lora.last_loss >= lora.first_loss:
            warnings.append(f"{lora.concept}: {lora.steps} steps of training did not lower the attention "
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
