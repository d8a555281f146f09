"""Stage 2's objective: the attention that a concept's tokens draw where it is, on timesteps drawn by weight."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

from mace_gov.documents.plan import LoraSettings

_FLOOR = 1e-12  # keeps the root differentiable at zero attention


def attention_loss(maps: Iterable[torch.Tensor], masks: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Sum over layers of the Frobenius norm of the attention inside the mask, for every sample: [n].

    maps: one [n, heads, pixels, L] per layer; masks: bool [n, h, w] at the latents' resolution; tokens: bool [n, L],
    true where a token is to be suppressed.
    """
    total = torch.zeros(len(masks), device=masks.device)
    for attention in maps:
        inside = masks_for(masks, attention.shape[-2]).to(attention.dtype)  # [n, pixels]
        drawn = torch.einsum("nhpl,np,nl->n", attention.square(), inside, tokens.to(attention.dtype))
        total = total + drawn.add(_FLOOR).sqrt()
    return total


def masks_for(masks: torch.Tensor, pixels: int) -> torch.Tensor:
    """Masks [n, h, w] at a layer's resolution, flat [n, pixels]: cells at least half covered, or any if none is."""
    height, width = masks.shape[1:]
    shrink = round((height * width / pixels) ** 0.5)
    if shrink == 1:
        return masks.flatten(1)
    covered = F.adaptive_avg_pool2d(masks[:, None].float(), (-(-height // shrink), -(-width // shrink))).flatten(1)
    inside = covered >= 0.5
    return torch.where(inside.any(1, keepdim=True), inside, covered > 0)


REFERENCE_STEPS = 1000
"""The window's edges are written for a schedule of this many steps."""


def timestep_weights(settings: LoraSettings, steps: int) -> torch.Tensor:
    """p(t) [steps] over training timesteps 0..steps-1, float64, sums to 1.

    cfis: p(t) ~ sigmoid(gamma (t - t1)) - sigmoid(gamma (t - t2)), high where the concept takes shape.
    """
    if settings.sampling == "uniform":
        return torch.full((steps,), 1 / steps, dtype=torch.float64)
    window = settings.window
    t = torch.arange(steps, dtype=torch.float64) * (REFERENCE_STEPS / steps)
    weights = torch.sigmoid(window.gamma * (t - window.start)) - torch.sigmoid(window.gamma * (t - window.end))
    return weights / weights.sum()


def sample_timesteps(settings: LoraSettings, steps: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """``count`` independent timesteps [count], int64."""
    return torch.multinomial(timestep_weights(settings, steps), count, replacement=True, generator=generator)
