"""What SDXL's U-Net reads besides the text states: the pooled text, and the picture's size."""

from __future__ import annotations

import torch

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


def blank_conditions(pipe: Pipeline, latents: torch.Tensor) -> dict[str, dict[str, torch.Tensor]]:
    """``added_conditions`` of the empty prompt, whose pooled text is all zeros, for latents [n, c, h, w].

    For who looks at cross-attention alone: the pooled text reaches a picture by the timestep's embedding.
    """
    config = pipe.unet.config
    if config.addition_embed_type != "text_time":
        return {}
    width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return added_conditions(pipe, latents, torch.zeros(len(latents), width, device=latents.device, dtype=latents.dtype))
