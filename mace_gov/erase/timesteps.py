"""Which timesteps stage 2 trains on: concept-focal importance sampling, or uniform."""

from __future__ import annotations

import torch

from mace_gov.documents.plan import LoraSettings

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
