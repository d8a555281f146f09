"""A guard: the U-Net's other layers learn to draw the anchor where the base's keys and values would draw a concept.

Closed forms change keys and values alone. What draws the concept is still there, so that text states which give the
base's keys and values, or a word that is learnt, bring it back. Here all other layers but those of the time are trained
while keys and values are the base's, the most that any text can ask for:

    min  E |e'(x, concept) - e(x, anchor)|^2  +  E |e'(x, c) - e(x, c)|^2

with e the base's prediction and e' the trained U-Net's; x are noised pictures of concept or anchor in the
first term, of general captions c in the second. This is the layers' side of ESD (Gandikota et al., ICCV 2023: ESD-u)
with the anchor as its goal. The governed model has the edited keys and values as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn.utils import parametrize

from mace_gov.core.canonical import digest_of
from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.core.store import Store
from mace_gov.diffusion.batching import BatchSize, batch_size_of
from mace_gov.diffusion.generate import predict
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import guarded_layers
from mace_gov.documents.erasure import GuardRecord
from mace_gov.documents.plan import ErasurePlan, GuardSettings, Target
from mace_gov.documents.reuse import derived_seed, drawable, pictures_key
from mace_gov.erase.guard_lessons import CONTROLS, ERASED, KEPT, Lesson, Lessons

VERSION = 2
"""Raised whenever the same plan would give something else."""

FALLING = 0.2
"""Share of the steps, the last of them, over which the learning rate falls to 0."""


class Change(nn.Module):
    """What a weight changes by, in its own shape. It begins at 0."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.on = True
        self.change = nn.Parameter(torch.zeros_like(weight, dtype=torch.float32))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed weight, while it is on."""
        return weight + self.change.to(weight.dtype) if self.on else weight


def guard(
    plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress
) -> tuple[dict[str, torch.Tensor], GuardRecord]:
    """What each layer's weight changes by, and how well they do on draws that nothing was trained on.

    The pipeline's U-Net is the base's, before and after. Concepts of which no picture may be made have no part in it.
    Raises NumericalError when the training does not bring the U-Net nearer to the anchors.
    """
    settings = plan.guard
    if settings is None:
        raise ValueError("the plan has no guard")
    targets = [target for target in plan.targets if drawable(plan, target)]
    store, name = None if cache is None else Store(cache), f"guards/{_key(plan, settings, targets)}.safetensors"
    if store is not None and (data := store.get(name)) is not None:
        tensors = load(data)
    else:
        tensors = _trained(plan, pipe, settings, targets, cache, progress)
        if store is not None:
            store.put(name, save(tensors))
    erased, kept = tensors["losses"].tolist()
    record = GuardRecord(first_erased=erased[0], last_erased=erased[1], kept=kept[1], scale=kept[0],
                         concepts=[target.id for target in targets])
    if not erased[1] < erased[0]:
        raise NumericalError(
            f"guard: the distance to the anchors did not fall in training ({erased[0]:.3g} before, {erased[1]:.3g} "
            "after), expected less", hint="Raise guard.steps, or take the block out.")
    return {each: tensor for each, tensor in tensors.items() if each != "losses"}, record


def _key(plan: ErasurePlan, settings: GuardSettings, targets: Sequence[Target]) -> str:
    return digest_of({
        "what": f"guard/v{VERSION}", "settings": settings.to_json(), "seed": derived_seed(plan.seed, "guard"),
        "pictures": [pictures_key(plan, target) for target in targets], "kinds": [t.kind for t in plan.targets],
        "anchors": [target.anchor for target in targets], "templates": plan.templates,
        "preserve": plan.preserve.to_json(),
        "names": sorted({name for target in plan.targets for name in (target.target, *(target.other_names or []))}),
    })


def _trained(
    plan: ErasurePlan, pipe: Pipeline, settings: GuardSettings, targets: Sequence[Target], cache: Path | None,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Changes by layer, and ``losses`` [2, 2]."""
    lessons = Lessons(plan, pipe, settings, targets, cache, progress)
    chance = torch.Generator().manual_seed(derived_seed(plan.seed, "guard"))
    size = batch_size_of(pipe, f"guard {plan.generation.size}", ERASED + KEPT)
    advance = progress.start("training the guard (steps)", settings.steps)
    with changing(pipe.unet) as changes:
        weights = [each.change for each in changes.values()]
        optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0)
        falling = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (1 - step / settings.steps) / FALLING))
        control = [lessons.draw(CONTROLS, 0, torch.Generator().manual_seed(1)),
                   lessons.draw(0, CONTROLS, torch.Generator().manual_seed(2), held_out=True)]
        before = [_distance(pipe, changes, each, size) for each in control]
        searched = searched_at(settings.steps, settings.rounds)
        for step in range(settings.steps):
            if step in searched:
                with _frozen(weights):
                    lessons.find_words(settings.search_steps, step)
            lesson = lessons.draw(ERASED, KEPT, chance)
            for weight, grad in zip(weights, _gradient(pipe, changes, lesson, weights, size), strict=True):
                weight.grad = grad
            optimizer.step()
            falling.step()
            advance(1)
        after = [_distance(pipe, changes, each, size) for each in control]
        scale = lessons.scale(control[1])
        found = {name: each.change.detach().cpu().contiguous() for name, each in changes.items()}
    return {**found, "losses": torch.tensor([[before[0], after[0]], [scale, after[1]]])}


def searched_at(steps: int, rounds: int) -> set[int]:
    """The steps before which words are searched, spread between two and seven ninths of them all.

    Before, there is next to nothing to find a way around; after, little is learnt from what is found.
    """
    if rounds == 1:
        return {steps // 2}
    return {steps * (2 * (rounds - 1) + 5 * turn) // (9 * (rounds - 1)) for turn in range(rounds)}


@contextmanager
def changing(unet: nn.Module) -> Iterator[dict[str, Change]]:
    """What the weights of all layers that read no text change by, inside the block; nothing else can be trained there.
    """
    layers = guarded_layers(unet)
    trainable = [weight for weight in unet.parameters() if weight.requires_grad]
    for weight in trainable:
        weight.requires_grad_(False)
    changes = {}
    try:
        for name, layer in layers.items():
            changes[name] = Change(layer.weight)
            parametrize.register_parametrization(layer, "weight", changes[name])
        yield changes
    finally:
        for name in changes:
            parametrize.remove_parametrizations(layers[name], "weight", leave_parametrized=False)
        for weight in trainable:
            weight.requires_grad_(True)


@contextmanager
def _frozen(weights: Sequence[torch.Tensor]) -> Iterator[None]:
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def _losses(pipe: Pipeline, changes: Mapping[str, Change], lesson: Lesson) -> torch.Tensor:
    """Mean squared distance of each draw's prediction from the base's of its goal [n]."""
    noised, steps = lesson.noised(pipe)
    with torch.no_grad(), _off(changes):
        goal = predict(pipe, noised, steps, lesson.goal).float()
    return (predict(pipe, noised, steps, lesson.told).float() - goal).square().mean((1, 2, 3))


def _gradient(
    pipe: Pipeline, changes: Mapping[str, Change], lesson: Lesson, weights: Sequence[torch.Tensor], size: BatchSize
) -> list[torch.Tensor]:
    """Of a lesson's mean loss, for each of the weights."""
    def of(part: slice) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(_losses(pipe, changes, lesson.part(part)).sum(), weights)

    total = [torch.zeros_like(weight) for weight in weights]
    for _, found in size.each(len(lesson.steps), of):
        for each, grad in zip(total, found, strict=True):
            each += grad / len(lesson.steps)
    return total


@torch.no_grad()
def _distance(pipe: Pipeline, changes: Mapping[str, Change], lesson: Lesson, size: BatchSize) -> float:
    """Mean over a lesson's draws."""
    found = [each for _, each in size.each(len(lesson.steps), lambda part: _losses(pipe, changes, lesson.part(part)))]
    return float(torch.cat(found).mean())


@contextmanager
def _off(changes: Mapping[str, Change]) -> Iterator[None]:
    for each in changes.values():
        each.on = False
    try:
        yield
    finally:
        for each in changes.values():
            each.on = True
