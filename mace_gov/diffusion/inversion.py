"""DDIM both ways (Song et al. 2021): from latents to the noise that they come from, and back."""

from __future__ import annotations

from itertools import pairwise

import torch

from mace_gov.diffusion.denoising import levels_of, predict
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions


def ladder(pipe: Pipeline, steps: int) -> list[int]:
    """Training steps from clean to noisy, -1 standing for the clean picture."""
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(steps)
    return [-1, *sorted({int(step) for step in scheduler.timesteps})]


@torch.no_grad()
def walk(pipe: Pipeline, latents: torch.Tensor, text: Conditions, path: list[int]) -> torch.Tensor:
    """Latents [n, c, h, w] taken along ``path`` by the deterministic DDIM step, told n prompts, unguided."""
    levels = levels_of(pipe)
    for now, after in pairwise(path):
        step = torch.full((len(latents),), max(now, after) if now < 0 else now, device=latents.device)
        level = levels[now] if now >= 0 else torch.ones((), device=latents.device)
        # on the first rung the picture is clean: the noise is read as if it stood one rung higher
        noise, clean = predict(pipe, latents, step, text)
        if now < 0:
            clean = latents
        further = levels[after] if after >= 0 else torch.ones_like(level)
        latents = further.sqrt() * clean + (1 - further).sqrt() * noise
    return latents
