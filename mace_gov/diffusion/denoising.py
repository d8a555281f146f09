"""One denoising step as a loss, and pictures as latents: what searches through a model's gradients need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from mace_gov.diffusion import generate
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions


@torch.no_grad()
def encode_pictures(pipe: Pipeline, images: Sequence[Image.Image], size: int) -> torch.Tensor:
    """Latents [n, c, h, w] of pictures, resized to ``size`` pixels a side; the encoder's mean, no sampling."""
    resized = [image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC) for image in images]
    levels = torch.from_numpy(np.stack([np.asarray(image) for image in resized])).permute(0, 3, 1, 2)
    pixels = (levels.float() / 127.5 - 1).to(pipe.vae.device, pipe.vae.dtype)
    latents: torch.Tensor = pipe.vae.encode(pixels).latent_dist.mean.float()
    return latents * float(pipe.vae.config.scaling_factor)


def levels_of(pipe: Pipeline) -> torch.Tensor:
    """Cumulative alphas of the pipeline's noise schedule, [training steps], on its device."""
    levels: torch.Tensor = pipe.scheduler.alphas_cumprod
    return levels.to(pipe.unet.device)


def noise_and_clean(
    pipe: Pipeline, noisy: torch.Tensor, steps: torch.Tensor, text: Conditions
) -> tuple[torch.Tensor, torch.Tensor]:
    """(noise, clean latents) that the U-Net sees in ``noisy`` [n, c, h, w] at steps [n], told n prompts."""
    level = levels_of(pipe)[steps].view(-1, 1, 1, 1)
    seen = generate.predict(pipe, noisy, steps, text)
    if pipe.scheduler.config.prediction_type == "v_prediction":
        return (level.sqrt() * seen + (1 - level).sqrt() * noisy, level.sqrt() * noisy - (1 - level).sqrt() * seen)
    return seen, (noisy - (1 - level).sqrt() * seen) / level.sqrt()


def drawn_batch(
    pipe: Pipeline, latents: torch.Tensor, count: int, generator: torch.Generator,
    times: tuple[float, float] = (0.0, 1.0),
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``count`` indices into latents, timesteps [count] and noise [count, c, h, w], the same on every device.

    times: between which shares of the schedule the timesteps lie.
    """
    picked = torch.randint(len(latents), (count,), generator=generator)
    length = len(pipe.scheduler.alphas_cumprod)
    low, high = (round(share * length) for share in times)
    steps = torch.randint(low, max(high, low + 1), (count,), generator=generator)
    noise = torch.randn(latents[:1].expand(count, -1, -1, -1).shape, generator=generator)
    return picked.to(latents.device), steps.to(latents.device), noise.to(latents.device)


def denoising_loss(
    pipe: Pipeline, latents: torch.Tensor, text: Conditions, steps: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of the noise that the U-Net sees, for clean latents [n, c, h, w] noised to steps [n]."""
    return denoising_losses(pipe, latents, text, steps, noise).mean()


def denoising_losses(
    pipe: Pipeline, latents: torch.Tensor, text: Conditions, steps: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """The same of each of them [n]."""
    level = levels_of(pipe)[steps].view(-1, 1, 1, 1)
    seen, _ = noise_and_clean(pipe, level.sqrt() * latents + (1 - level).sqrt() * noise, steps, text)
    return (seen - noise).square().mean((1, 2, 3))
