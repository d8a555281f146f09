"""The loss of stage 2: the attention that the concept's tokens draw where the concept is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

_FLOOR = 1e-12  # keeps the root differentiable at zero attention


def attention_loss(maps: Iterable[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    """Sum over layers of the Frobenius norm of the attention inside the mask.

    maps: one [batch, heads, pixels, tokens] per layer, of the suppressed tokens only; mask: bool [h, w] at the latents'
    resolution. Returns a scalar.
    """
    total = torch.zeros((), device=mask.device)
    for attention in maps:
        inside = mask_for(mask, attention.shape[-2])  # [pixels]
        total = total + attention[:, :, inside].square().sum().add(_FLOOR).sqrt()
    return total


def mask_for(mask: torch.Tensor, pixels: int) -> torch.Tensor:
    """The mask [h, w] at a layer's resolution, flat [pixels]: cells at least half covered, or any if none is."""
    height, width = mask.shape
    shrink = round((height * width / pixels) ** 0.5)
    if shrink == 1:
        return mask.flatten()
    covered = F.adaptive_avg_pool2d(mask.float()[None, None], (-(-height // shrink), -(-width // shrink)))
    inside = covered >= 0.5 if bool((covered >= 0.5).any()) else covered > 0
    return inside.flatten()
