"""ESD-x (Gandikota et al., ICCV 2023): fine-tune cross-attention until the concept steers away from itself.

The model learns to predict, for a concept's prompt c, what the pristine model predicts without a prompt, pushed away
from what it predicts with it:

    min   | eps(x_t, c, t) - [ eps0(x_t, t) - eta (eps0(x_t, c, t) - eps0(x_t, t)) ] |^2

x_t comes from the model that is being trained, denoised for c from noise down to a random step. Of cross-attention,
the key and value projections are trained: they alone read the text, and they are what an erasure delta holds. The
formula is a sum of predictions whose weights add up to one, so it holds for noise and for v-prediction alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mace_gov.core.errors import NumericalError, UsageError
from mace_gov.core.progress import Progress, working
from mace_gov.diffusion.generate import predict, sample, schedule
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.reuse import derived_seed, drawable
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about

SIGNIFICANT = 1e-6
"""Singular values of a change under this share of its largest are rounding."""


def esd(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """Fine-tune for all concepts in turn. See ``EraseMethod``; nothing is cached.

    Raises UsageError for a target that must never be drawn: this method draws what it erases.
    """
    banned = [target.id for target in plan.targets if not drawable(plan, target)]
    if banned:
        raise UsageError(f"esd draws what it erases, and no picture may ever be made of: {', '.join(banned)}",
                         hint="Use mace, which refines these without a picture, or uce.")
    clock = Stopwatch()
    layers = projections(pipe.unet)
    pristine = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    with clock.stage("fine-tune"):
        try:
            losses = _fine_tune(plan, pipe, layers, pristine, progress)
            trained = {name: layer.weight.detach().clone() for name, layer in layers.items()}
        finally:
            for name, layer in layers.items():
                layer.weight.requires_grad_(False)
                layer.weight.data = pristine[name]
    left, right = {}, {}
    with clock.stage("factor"), working(progress, "factoring what was learnt"):
        for name in layers:
            left[name], right[name] = factored((trained[name].double() - pristine[name].double()).cpu())
    width = next(iter(right.values())).shape[1]
    delta = ErasureDelta(torch.eye(width, dtype=torch.float64), left, right, about(plan, "none"))
    return Erasure(delta, [], [], clock.seconds, _warnings(losses))


def _fine_tune(
    plan: ErasurePlan, pipe: Pipeline, layers: Mapping[str, nn.Linear], pristine: Mapping[str, torch.Tensor],
    progress: Progress,
) -> list[float]:
    settings = plan.esd
    if settings is None:
        raise UsageError("esd: found a plan without its settings", hint="Plan again.")
    reader = TextReader.of(pipe)
    empty = reader.conditions([""])
    parameters = [layer.weight.requires_grad_(True) for layer in layers.values()]
    optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate)
    generator = torch.Generator().manual_seed(derived_seed(plan.seed, "esd"))
    drawing = plan.generation.model_copy(update={"guidance": settings.start_guidance})
    total = settings.steps * len(plan.targets)
    advance = progress.start("fine-tuning cross-attention", total)
    losses: list[float] = []

    def pick(below: int) -> int:
        return int(torch.randint(below, (), generator=generator))

    for start in range(0, total, settings.batch):
        turns = range(start, min(start + settings.batch, total))
        prompt = reader.conditions([
            plan.templates[pick(len(plan.templates))].replace("{}", plan.targets[turn % len(plan.targets)].target)
            for turn in turns
        ])
        nothing = empty.repeated(len(turns))
        scheduler = schedule(pipe, plan.generation.steps)
        until = pick(len(scheduler.timesteps))
        latents = sample(pipe, prompt, empty, [pick(2**31) for _ in turns], drawing, until=until)
        step = scheduler.timesteps[until]
        seen = scheduler.scale_model_input(latents, step)
        with torch.no_grad(), _weights(layers, pristine):
            without, within = (predict(pipe, seen, step, text) for text in (nothing, prompt))
        wanted = without - settings.guidance * (within - without)
        loss = F.mse_loss(predict(pipe, seen, step, prompt), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if not torch.isfinite(loss):
            raise NumericalError(f"esd: the loss is {losses[-1]} at step {len(losses)}, expected a finite number",
                                 hint="Lower esd.learningRate.")
        advance(len(turns))
    return losses


@contextmanager
def _weights(layers: Mapping[str, torch.nn.Linear], weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Other weights in the layers inside the block; nothing is copied."""
    before = {name: layer.weight.data for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.weight.data = weights[name]
        yield
    finally:
        for name, layer in layers.items():
            layer.weight.data = before[name]


def factored(change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """B [out, k] and C [k, d] with B C = change [out, d], k its numerical rank."""
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    rank = int((values > SIGNIFICANT * values[0]).sum())
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]


def _warnings(losses: list[float]) -> list[str]:
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    if last >= first:
        return [f"esd: fine-tuning did not lower its loss ({first:.3g} to {last:.3g})"]
    return []
