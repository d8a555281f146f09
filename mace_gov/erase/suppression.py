"""The loss of stage 2: the attention that the concept's tokens draw where the concept is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

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
