"""Draw pictures: one sampling loop for training, masks and audits, deterministic per seed whatever the batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from PIL import Image

from mace_gov.core.errors import ModelError, UsageError
from mace_gov.core.progress import Progress, Silent
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import GenerationSettings

CACHED_PROMPTS = 1024
"""Text states kept at once while drawing; a state of SD 1.x takes a quarter of a megabyte."""

OnStep = Callable[[int, torch.Tensor], None]
"""Called with a step's index before its forward pass, and the latents [n, c, h, w] as they are then."""


def draw(
    pipe, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings, *,
    progress: Progress | None = None,
) -> Iterator[Image.Image]:
    """Pictures of ``prompts``, one for each seed, in order, as RGB of ``settings.size``.

    A picture depends on its prompt, its seed and the settings; the batch it was drawn in moves it by rounding alone.
    Raises UsageError when prompts and seeds differ in number, ModelError when latents or pictures are not finite.
    """
    if len(prompts) != len(seeds):
        raise UsageError(f"{len(prompts)} prompts but {len(seeds)} seeds, expected as many")
    advance = (progress or Silent()).start("drawing pictures", len(prompts))
    reader, cache = TextReader.of(pipe), {}
    for start in range(0, len(prompts), settings.batch):
        part = list(prompts[start:start + settings.batch])
        states = _cached_states(reader, [*part, ""], cache)
        latents = sample(pipe, states[:-1], states[-1], seeds[start:start + settings.batch], settings)
        yield from decode(pipe, latents)
        advance(len(part))


def _cached_states(reader: TextReader, prompts: Sequence[str], cache: dict[str, torch.Tensor]) -> torch.Tensor:
    if missing := sorted({prompt for prompt in prompts if prompt not in cache}):
        if len(cache) + len(missing) > CACHED_PROMPTS:
            cache.clear()
            missing = sorted(set(prompts))
        cache.update(zip(missing, reader.encode(missing), strict=True))
    return torch.stack([cache[prompt] for prompt in prompts])


def initial_noise(pipe, generators: Sequence[torch.Generator], size: int) -> torch.Tensor:
    """Standard normal latents [n, c, h, w], each from its own CPU generator, so that every device draws the same."""
    side = size // pipe.vae_scale_factor
    shape = (1, pipe.unet.config.in_channels, side, side)
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators])


@torch.no_grad()
def sample(
    pipe, states: torch.Tensor, empty: torch.Tensor, seeds: Sequence[int], settings: GenerationSettings, *,
    on_step: OnStep | None = None,
) -> torch.Tensor:
    """Latents [n, c, h, w] by the pipeline's own scheduler with classifier-free guidance, each sample from its seed.

    states [n, L, d] of the prompts, empty [L, d] of the empty prompt. In a forward pass the prompts are the last n
    samples.
    """
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    device = pipe.unet.device
    scheduler.set_timesteps(settings.steps, device=device)
    options = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        options["generator"] = generators
    guided = settings.guidance > 1
    context = torch.cat([empty.expand_as(states), states]) if guided else states
    context = context.to(device, pipe.unet.dtype)
    latents = initial_noise(pipe, generators, settings.size).to(device, pipe.unet.dtype) * scheduler.init_noise_sigma
    with half_precision(device):
        for index, step in enumerate(scheduler.timesteps):
            if on_step is not None:
                on_step(index, latents)
            seen = scheduler.scale_model_input(torch.cat([latents] * 2) if guided else latents, step)
            noise_seen = pipe.unet(seen, step, encoder_hidden_states=context, return_dict=False)[0]
            if guided:
                without, within = noise_seen.chunk(2)
                noise_seen = without + settings.guidance * (within - without)
            latents = scheduler.step(noise_seen.to(latents.dtype), step, latents, return_dict=False, **options)[0]
    if not torch.isfinite(latents).all():
        raise ModelError("the model draws latents that are not finite, expected finite numbers")
    return latents


def half_precision(device: torch.device):
    """Half-precision arithmetic where it pays, on CUDA; plain float32 elsewhere."""
    if device.type != "cuda":
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


@torch.no_grad()
def decode(pipe, latents: torch.Tensor) -> list[Image.Image]:
    """Latents [n, c, h, w] as RGB pictures. The decoder stays in its own precision: halves overflow in SD's."""
    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
    if not torch.isfinite(pixels).all():
        raise ModelError("the model draws pixels that are not finite, expected finite numbers")
    levels = ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(picture) for picture in levels.permute(0, 2, 3, 1).cpu().numpy()]
