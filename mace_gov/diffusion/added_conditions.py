"""What SDXL's U-Net reads besides the text states: the pooled text, and the picture's size."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mace_gov.diffusion.pipeline import Pipeline


def added_conditions(
    pipe: Pipeline, latents: torch.Tensor, pooled: torch.Tensor | None
) -> dict[str, dict[str, torch.Tensor]]:
    """Keyword arguments for the U-Net: pooled text [n, p] and sizes [n, 6]; nothing for other families.

    The sizes say that the picture was never cropped or shrunk: original height and width, crop corner, target size.
    """
    if pooled is None:
        return {}
    height, width = (side * pipe.vae_scale_factor for side in latents.shape[-2:])
    sizes = torch.tensor([height, width, 0, 0, height, width], device=latents.device, dtype=pooled.dtype)
    return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes.expand(len(pooled), -1)}}


def complete(pipe: Pipeline) -> None:
    """Let an SDXL U-Net be called without them: it then reads the empty prompt's pooled text, which is all zeros.

    For who looks at cross-attention alone: the pooled text reaches a picture by the timestep's embedding.
    """
    config = pipe.unet.config
    if config.addition_embed_type != "text_time":
        return
    width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim

    def fill(
        _unet: nn.Module, arguments: tuple[Any, ...], given: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if given.get("added_cond_kwargs") is None:
            latents = arguments[0] if arguments else given["sample"]
            pooled = torch.zeros(len(latents), width, device=latents.device, dtype=latents.dtype)
            given = {**given, **added_conditions(pipe, latents, pooled)}
        return arguments, given

    pipe.unet.register_forward_pre_hook(fill, with_kwargs=True)
