"""Stage 2: one low-rank adapter per target, trained on the refined model to draw no attention where the concept is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.diffusion.added_conditions import blank_conditions
from mace_gov.diffusion.attention import AttentionRecord, LastLayerReachedError, record_attention
from mace_gov.diffusion.batching import BatchSize, batch_size_of
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.precision import half_precision
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, LoraSettings, Target
from mace_gov.documents.reuse import derived_seed, training_templates
from mace_gov.erase.lora_file import pack
from mace_gov.erase.lora_objective import attention_loss, sample_timesteps
from mace_gov.erase.masks import PROVIDERS
from mace_gov.erase.stacked import StackedLora, stacked, tuned_to
from mace_gov.erase.training_pictures import TrainingPictures

CONTROL_DRAWS = 4
"""Draws that a LoRA's loss is compared on before, during and after training."""

CHECKED_EVERY = 10
"""Steps between two looks at the control draws, where training may end early."""


@dataclass(frozen=True)
class Training:
    """What training one adapter gave."""

    weights: bytes
    """The adapter's safetensors file, in peft's names, as diffusers reads it."""
    losses: list[float]
    """Loss at every step."""
    first_loss: float
    """Mean loss of the control draws before training."""
    last_loss: float
    """Mean loss of the same draws after it."""
    coverage: float | None
    """Mean share of the picture inside the mask; absent without masks."""


@dataclass(frozen=True)
class Control:
    """Draws of picture, caption, timestep and noise that no step trains on: their losses can be compared."""

    order: list[int]
    """Which picture."""
    read: list[int]
    """Which caption."""
    timesteps: torch.Tensor
    """[draws]."""
    noise: torch.Tensor
    """[draws, c, h, w]."""


@dataclass
class Course:
    """Everything that one target's training reads, decided before the first step from the target's own seed."""

    target: Target
    initial: dict[str, torch.Tensor]
    """a [r, d] by projection, see ``_begin``."""
    own: torch.Tensor
    """Mean state of the concept's own tokens [d]."""
    states: torch.Tensor
    """[captions, L, d]."""
    tokens: torch.Tensor
    """bool [captions, L], true at the tokens to suppress."""
    masks: torch.Tensor
    """bool [images, h, w]."""
    latents: torch.Tensor
    """[images, c, h, w]."""
    order: list[int]
    """Which picture at every step."""
    read: list[int]
    """Which caption at every step."""
    timesteps: torch.Tensor
    """[steps]."""
    generator: torch.Generator
    """What draws the initial weights and the noise."""
    control: Control
    """What the loss is compared on, before and after."""
    losses: list[float] = field(default_factory=list)
    """Loss at every step so far."""


def course(pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures) -> Course:
    """What a target's training will read."""
    settings, reader = target.lora, TextReader.of(pipe)
    generator = torch.Generator().manual_seed(derived_seed(plan.seed, target.id))
    initial = {name: _begin(settings, reader.width, generator) for name in projections(pipe.unet)}
    own, anew = training_templates(plan, target), settings.captions == "step"
    prompts = [reader.fill(template, target.target) for template in (plan.templates if anew else own)]
    states = torch.stack(list(reader.states(prompts)))  # [captions, L, d]
    tokens = torch.zeros(states.shape[:2], dtype=torch.bool)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[prompt.positions] = True
        if settings.end_of_text:
            row[prompt.used - 1:] = True
    order = torch.randint(len(own), (settings.steps,), generator=generator).tolist()
    timesteps = sample_timesteps(settings, len(pipe.scheduler.alphas_cumprod), settings.steps, generator)
    read = torch.randint(len(prompts), (settings.steps,), generator=generator).tolist() if anew else order
    own_states = torch.cat([of[prompt.positions] for of, prompt in zip(states, prompts, strict=True)])
    masks = PROVIDERS[settings.masks](pipe, plan, target, pictures)
    return Course(
        target, initial, own_states.mean(0), states, tokens, masks, pictures.latents, order=order, read=read,
        timesteps=timesteps, generator=generator,
        control=_control(pipe, plan, target, pictures, len(own), len(prompts)),
    )


def _control(
    pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures, images: int, captions: int
) -> Control:
    generator = torch.Generator().manual_seed(derived_seed(plan.seed, f"{target.id}:control"))
    order = torch.randint(images, (CONTROL_DRAWS,), generator=generator).tolist()
    read = torch.randint(captions, (CONTROL_DRAWS,), generator=generator).tolist()
    times = sample_timesteps(target.lora, len(pipe.scheduler.alphas_cumprod), CONTROL_DRAWS, generator)
    noise = torch.randn((CONTROL_DRAWS, *pictures.latents.shape[1:]), generator=generator)
    return Control(order, read if target.lora.captions == "step" else order, times, noise)


def _begin(settings: LoraSettings, width: int, generator: torch.Generator) -> torch.Tensor:
    """a [r, d] of one projection at the first step: normal with deviation 1/rank, or uniform within 1/sqrt(d)."""
    shape = (settings.rank, width)
    if settings.init == "normal":
        return torch.randn(shape, generator=generator) / settings.rank
    return (torch.rand(shape, generator=generator) * 2 - 1) / math.pow(width, 0.5)


def train(
    pipe: Pipeline, plan: ErasurePlan, targets: Sequence[Target], pictures: Mapping[str, TrainingPictures],
    directions: Mapping[str, torch.Tensor] | None = None, advance: Callable[[int], None] = lambda _steps: None,
) -> list[Training]:
    """Train one adapter for each target, all in the same forward passes, on a U-Net that is already refined.

    directions: each target's a [rank, d], held while b is trained; without, a begins by chance and is trained too.
    advance: told how many steps are done, each target's counted.
    The targets share rank, steps and learning rate. Adam works element by element and every sample has its own adapter
    and loss, so each target gets what it would get alone, up to rounding. Raises NumericalError when a loss or a weight
    is not finite. Where memory runs out, as many begin again as fit.
    """
    fit = training_batch_size(pipe, plan, targets)
    return [
        training for _, trained in fit.each(
            len(targets), lambda part: _train(pipe, plan, targets[part], pictures, directions, advance))
        for training in trained
    ]


def training_batch_size(pipe: Pipeline, plan: ErasurePlan, targets: Sequence[Target]) -> BatchSize:
    """How many adapters are trained at once. On CUDA, a first step of one, whose outcome nobody keeps, tells."""
    def checkpoint() -> bool:
        if pipe.unet.is_gradient_checkpointing:
            return False
        pipe.unet.enable_gradient_checkpointing()
        return True

    fit = batch_size_of(pipe, "train", plan.generation.batch, resort=checkpoint)
    if fit.grows and targets:
        list(fit.each(1, lambda _: trial(pipe, plan, targets[0], 1, 1)))
    return fit


def trial(pipe: Pipeline, plan: ErasurePlan, target: Target, count: int, steps: int) -> None:
    """Train ``count`` adapters of a target for some steps, on blank pictures; nobody keeps the outcome."""
    short = target.model_copy(update={"lora": target.lora.model_copy(update={"steps": steps, "masks": "none"})})
    side = plan.generation.size // pipe.vae_scale_factor
    latents = torch.zeros(short.lora.images, pipe.unet.config.in_channels, side, side)
    blank = {short.id: TrainingPictures(latents, torch.zeros(short.lora.images, side, side))}
    _train(pipe, plan, [short] * count, blank, None, lambda _steps: None)


def _train(
    pipe: Pipeline, plan: ErasurePlan, targets: Sequence[Target], pictures: Mapping[str, TrainingPictures],
    directions: Mapping[str, torch.Tensor] | None, advance: Callable[[int], None],
) -> list[Training]:
    """All of ``targets`` in the same forward passes."""
    settings, device = targets[0].lora, pipe.unet.device
    held = directions is not None
    courses = [course(pipe, plan, target, pictures[target.id]) for target in targets]
    signal: torch.Tensor = pipe.scheduler.alphas_cumprod.to(device, torch.float32)  # [T]
    done: dict[int, Training] = {}
    own = torch.stack([c.own for c in courses])  # [n, d]
    with stacked(pipe.unet, len(targets), settings.rank) as layers:
        for name, layer in layers.items():
            a = torch.stack([c.initial[name] if directions is None else directions[c.target.id]
                             for c in courses]).float()
            layer.a.data.copy_(tuned_to(layer.base.weight, a, own) if settings.step_size else a)
        parameters = [p for layer in layers.values() for p in ((layer.b,) if held else (layer.a, layer.b))]
        optimiser = torch.optim.AdamW(
            parameters, lr=settings.step_size or settings.learning_rate or 0.0, fused=device.type in ("cpu", "cuda"))
        with record_attention(pipe.unet, stop=True) as record:
            first = _controlled(pipe, record, courses, signal)
            for step in range(settings.steps):
                if settings.stop and step and step % CHECKED_EVERY == 0:
                    now = _controlled(pipe, record, courses, signal)
                    for index, c in enumerate(courses):
                        if index not in done and now[index] <= settings.stop * first[index]:
                            # The others of the batch go on, this one as it is now is what stays.
                            done[index] = _trained(layers, index, c, first[index], now[index])
                            advance(settings.steps - step)
                    if len(done) == len(courses):
                        break
                loss = _loss(pipe, record, courses, step, signal)
                for parameter, gradient in zip(
                    parameters, torch.autograd.grad(loss.sum(), parameters, allow_unused=True), strict=True
                ):
                    parameter.grad = gradient
                optimiser.step()
                _note([c for index, c in enumerate(courses) if index not in done],
                      [value for index, value in enumerate(loss.tolist()) if index not in done])
                advance(len(courses) - len(done))
            last = _controlled(pipe, record, courses, signal) if len(done) < len(courses) else first
        return [done.get(index) or _trained(layers, index, c, first[index], last[index])
                for index, c in enumerate(courses)]


def _trained(layers: Mapping[str, StackedLora], index: int, c: Course, first: float, last: float) -> Training:
    coverage = None if c.target.lora.masks == "none" else float(c.masks.float().mean())
    return Training(pack(layers, index, c.target), c.losses, first, last, coverage)


def _loss(
    pipe: Pipeline, record: AttentionRecord, courses: Sequence[Course], step: int, signal: torch.Tensor
) -> torch.Tensor:
    """The attention loss of every course [n] at one step."""
    noise = torch.stack([torch.randn(c.latents.shape[1:], generator=c.generator) for c in courses])
    return _attention(pipe, record, courses, [c.order[step] for c in courses], [c.read[step] for c in courses],
                      torch.stack([c.timesteps[step] for c in courses]), noise, signal)


@torch.no_grad()
def _controlled(
    pipe: Pipeline, record: AttentionRecord, courses: Sequence[Course], signal: torch.Tensor
) -> list[float]:
    """The mean attention loss of every course over its control draws."""
    losses = [
        _attention(pipe, record, courses, [c.control.order[n] for c in courses], [c.control.read[n] for c in courses],
                   torch.stack([c.control.timesteps[n] for c in courses]),
                   torch.stack([c.control.noise[n] for c in courses]), signal)
        for n in range(CONTROL_DRAWS)
    ]
    means: list[float] = torch.stack(losses).mean(0).tolist()
    return means


def _attention(
    pipe: Pipeline, record: AttentionRecord, courses: Sequence[Course], order: Sequence[int], read: Sequence[int],
    t: torch.Tensor, noise: torch.Tensor, signal: torch.Tensor,
) -> torch.Tensor:
    """The attention loss of every course [n], of one picture, caption, timestep and noise each."""
    device = pipe.unet.device

    def gather(what: str, at: Sequence[int]) -> torch.Tensor:
        return torch.stack([getattr(c, what)[n] for c, n in zip(courses, at, strict=True)]).to(device)

    latents, t = gather("latents", order), t.to(device)  # [n, c, h, w]
    level = signal[t].view(-1, 1, 1, 1)
    record.clear()
    with suppress(LastLayerReachedError), half_precision(device, training=True):
        noisy = level.sqrt() * latents + (1 - level).sqrt() * noise.to(device)
        pipe.unet(noisy, t, encoder_hidden_states=gather("states", read), **blank_conditions(pipe, noisy))
    return attention_loss(record.maps.values(), gather("masks", order), gather("tokens", read))


def _note(courses: Sequence[Course], losses: list[float]) -> None:
    for c, loss in zip(courses, losses, strict=True):
        c.losses.append(loss)
        if not math.isfinite(loss):
            raise NumericalError(f"the attention loss of '{c.target.id}' is {loss} at step {len(c.losses)}, "
                                 "expected a finite number", hint="Lower lora.stepSize or lora.learningRate.")
