"""Draw pictures: one sampling loop for training, masks and audits, deterministic per seed whatever the batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from PIL import Image

from mace_gov.core.errors import ModelError, UsageError
from mace_gov.core.progress import Progress, Silent
from mace_gov.diffusion.added_conditions import added_conditions
from mace_gov.diffusion.fitting import fit_of
from mace_gov.diffusion.load import quiet
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.precision import half_precision
from mace_gov.diffusion.text import Conditions, TextReader
from mace_gov.documents.drawable import refuse
from mace_gov.documents.plan import GenerationSettings

CACHED_PROMPTS = 1024
"""Text states kept at once while drawing; a state of SD 1.x takes a quarter of a megabyte."""

DECODED = 512 * 512
"""Pixels that are decoded at once to begin with. The decoder takes more memory for a picture than the U-Net does."""

OnStep = Callable[[int, torch.Tensor], None]
"""Called with a step's index before its forward pass, and the latents [n, c, h, w] as they are then."""


def draw(
    pipe: Pipeline, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings, *,
    progress: Progress | None = None,
) -> Iterator[Image.Image]:
    """Pictures of ``prompts``, one for each seed, in order, as RGB of ``settings.size``.

    A picture depends on its prompt, its seed and the settings; the batch it was drawn in moves it by rounding alone.
    Raises UsageError when prompts and seeds differ in number or one must never be drawn, ModelError when latents or
    pictures are not finite.
    """
    if len(prompts) != len(seeds):
        raise UsageError(f"{len(prompts)} prompts but {len(seeds)} seeds, expected as many")
    refuse(prompts)
    advance = (progress or Silent()).start("drawing pictures", len(prompts))
    if not hasattr(pipe, "unet"):
        yield from _drawn_by_itself(pipe, prompts, seeds, settings, advance)
        return
    reader = TextReader.of(pipe)
    known: dict[str, Conditions] = {}

    def drawn(part: slice) -> torch.Tensor:
        text = _cached_conditions(reader, [*prompts[part], ""], known)
        return sample(pipe, text[:-1], text[-1:], seeds[part], settings)

    for part, latents in fit_of(pipe, f"draw {settings.size}", settings.batch).each(len(prompts), drawn):
        yield from decode(pipe, latents)
        advance(part.stop - part.start)


@torch.no_grad()
def _drawn_by_itself(
    pipe: Pipeline, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings,
    advance: Callable[[int], None],
) -> Iterator[Image.Image]:
    """Pictures of models with joint attention, by the pipeline's own loop."""
    for prompt, seed in zip(prompts, seeds, strict=True):
        with quiet():  # prompts that are cut were said before
            made = pipe(prompt, num_inference_steps=settings.steps, guidance_scale=settings.guidance,
                        height=settings.size, width=settings.size,
                        generator=torch.Generator().manual_seed(int(seed)))
        yield made.images[0].convert("RGB")
        advance(1)


def _cached_conditions(reader: TextReader, prompts: Sequence[str], known: dict[str, Conditions]) -> Conditions:
    if missing := sorted({prompt for prompt in prompts if prompt not in known}):
        if len(known) + len(missing) > CACHED_PROMPTS:
            known.clear()
            missing = sorted(set(prompts))
        read = reader.conditions(missing)
        known.update({prompt: read[n:n + 1] for n, prompt in enumerate(missing)})
    return Conditions.joined([known[prompt] for prompt in prompts])


def initial_noise(pipe: Pipeline, generators: Sequence[torch.Generator], size: int) -> torch.Tensor:
    """Standard normal latents [n, c, h, w], each from its own CPU generator, so that every device draws the same."""
    side = size // pipe.vae_scale_factor
    shape = (1, pipe.unet.config.in_channels, side, side)
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators])


def schedule(pipe: Pipeline, steps: int) -> Any:
    """A fresh scheduler of the pipeline's own kind, set to so many steps."""
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(steps, device=pipe.unet.device)
    return scheduler


def predict(pipe: Pipeline, latents: torch.Tensor, step: torch.Tensor, text: Conditions) -> torch.Tensor:
    """The U-Net's output [n, c, h, w] for latents [n, c, h, w] at a timestep, with all that it reads of the prompts."""
    text = text.to(pipe.unet.device, pipe.unet.dtype)
    latents = latents.to(pipe.unet.dtype)
    seen: torch.Tensor = pipe.unet(latents, step, encoder_hidden_states=text.states, return_dict=False,
                                   **added_conditions(pipe, latents, text.pooled))[0]
    return seen


@torch.no_grad()
def sample(
    pipe: Pipeline, text: Conditions, empty: Conditions, seeds: Sequence[int], settings: GenerationSettings, *,
    on_step: OnStep | None = None, until: int | None = None,
) -> torch.Tensor:
    """Latents [n, c, h, w] by the pipeline's own scheduler with classifier-free guidance, each sample from its seed.

    text of the n prompts, empty of the empty prompt alone. In a forward pass the prompts are the last n samples.
    until: stop before the step of this index, with the latents as they are then.
    """
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    device = pipe.unet.device
    scheduler = schedule(pipe, settings.steps)
    options: dict[str, Any] = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        options["generator"] = generators
    guided = settings.guidance > 1
    context = Conditions.joined([empty.repeated(len(text)), text]) if guided else text
    latents = initial_noise(pipe, generators, settings.size).to(device) * scheduler.init_noise_sigma
    with half_precision(device):
        for index, step in enumerate(scheduler.timesteps[:until]):
            if on_step is not None:
                on_step(index, latents)
            seen = scheduler.scale_model_input(torch.cat([latents] * 2) if guided else latents, step)
            noise_seen = predict(pipe, seen, step, context)
            if guided:
                without, within = noise_seen.chunk(2)
                noise_seen = without + settings.guidance * (within - without)
            latents = scheduler.step(noise_seen.to(latents.dtype), step, latents, return_dict=False, **options)[0]
    if not torch.isfinite(latents).all():
        raise ModelError("the model draws latents that are not finite, expected finite numbers")
    return latents


def decode(pipe: Pipeline, latents: torch.Tensor) -> list[Image.Image]:
    """Latents [n, c, h, w] as RGB pictures. The decoder stays in its own precision: halves overflow in SD's.

    A picture that does not fit alone is decoded in tiles, which leave faint seams: the last resort.
    """
    side = latents.shape[-1]

    def tile() -> bool:
        if pipe.vae.use_tiling or side < 2:
            return False
        pipe.vae.enable_tiling()
        pipe.vae.tile_latent_min_size = side // 2
        pipe.vae.tile_sample_min_size = side // 2 * pipe.vae_scale_factor
        return True

    begin = max(1, DECODED // (side * pipe.vae_scale_factor) ** 2)
    fit = fit_of(pipe, f"decode {side}", begin, by_user=False, resort=tile)
    return [picture for _, pictures in fit.each(len(latents), lambda part: _decode(pipe, latents[part]))
            for picture in pictures]


@torch.no_grad()
def _decode(pipe: Pipeline, latents: torch.Tensor) -> list[Image.Image]:
    pixels = pipe.vae.decode(latents.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor, return_dict=False)[0]
    if not torch.isfinite(pixels).all():
        raise ModelError("the model draws pixels that are not finite, expected finite numbers")
    levels = ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(picture) for picture in levels.permute(0, 2, 3, 1).cpu().numpy()]
