"""What happens to a model after its release: lower precision, other samplers, users' LoRAs, more training.

And the control of attacks: the same shape with random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.denoising import denoising_loss, drawn_batch, encode_pictures
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import GenerationSettings

Variant = Callable[[Pipeline, GenerationSettings], GenerationSettings]
"""Changes a pipeline in place and returns the settings to draw with."""


@torch.no_grad()
def half(pipe: Pipeline, settings: GenerationSettings) -> GenerationSettings:
    """U-Net weights rounded to float16."""
    for weight in pipe.unet.parameters():
        weight.copy_(weight.half().float())
    return settings


@torch.no_grad()
def eight_bits(pipe: Pipeline, settings: GenerationSettings) -> GenerationSettings:
    """Weights of linear and convolutional layers rounded to 8 bits, symmetric, by output channel."""
    for module in pipe.unet.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            rows = module.weight.flatten(1)
            scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
            module.weight.copy_(((rows / scale).round() * scale).view_as(module.weight))
    return settings


def sampler(name: str) -> Variant:
    """Another sampler, by the name of its class in diffusers, with as many steps."""

    def change(pipe: Pipeline, settings: GenerationSettings) -> GenerationSettings:
        import diffusers

        pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
        return settings

    return change


def guided(factor: float) -> Variant:
    """Another guidance scale."""
    return lambda pipe, settings: settings.model_copy(update={"guidance": factor * settings.guidance})


def smaller(pipe: Pipeline, settings: GenerationSettings) -> GenerationSettings:
    """Pictures of about three quarters of the side, as the U-Net's levels allow."""
    step = pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.block_out_channels) - 1)
    return settings.model_copy(update={"size": max(step, 3 * settings.size // 4 // step * step)})


def merged(path: Path) -> Variant:
    """A user's LoRA (a .safetensors file in any format that diffusers reads) merged in at full strength.

    Raises ModelError when it does not fit the model, or changes nothing.
    """

    def change(pipe: Pipeline, settings: GenerationSettings) -> GenerationSettings:
        before = {name: weight.clone() for name, weight in pipe.unet.named_parameters()}
        try:
            pipe.load_lora_weights(str(path.parent), weight_name=path.name, local_files_only=True)
            pipe.fuse_lora()
            pipe.unload_lora_weights()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"LoRA {path}: does not fit the model: {type(error).__name__}: {error}",
                             hint="Give a LoRA that was trained on this kind of model.") from error
        if all(torch.equal(weight, before[name]) for name, weight in pipe.unet.named_parameters()):
            raise ModelError(f"LoRA {path}: found no weights for this model's U-Net, expected some")
        return settings

    return change


def trained_on(
    images: Sequence[Image.Image], prompts: Sequence[str], *, steps: int, rate: float, seed: int = 0
) -> Variant:
    """More training of the whole U-Net on pictures and their prompts, by the model's own loss."""

    def change(pipe: Pipeline, settings: GenerationSettings) -> GenerationSettings:
        latents = encode_pictures(pipe, images, settings.size)
        text = TextReader.of(pipe).conditions(list(prompts))
        chance = torch.Generator().manual_seed(seed)
        weights = list(pipe.unet.parameters())
        for weight in weights:
            weight.requires_grad_(True)
        optimizer = torch.optim.AdamW(weights, lr=rate)
        for _ in range(steps):
            picked, times, noise = drawn_batch(pipe, latents, min(4, len(latents)), chance)
            optimizer.zero_grad()
            denoising_loss(pipe, latents[picked], text[picked], times, noise).backward()
            optimizer.step()
        for weight in weights:
            weight.requires_grad_(False)
            weight.grad = None
        return settings

    return change


def scramble(pipe: Pipeline, *, seed: int) -> None:
    """Give the pipeline's U-Net fresh random weights, as its class begins with, in place: it has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(pipe.unet).from_config(pipe.unet.config)
    pipe.unet.load_state_dict(fresh.state_dict())
