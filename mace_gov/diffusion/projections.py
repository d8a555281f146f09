"""Where a U-Net reads text: key and value projections of cross-attention, and, in SDXL, the pooled text's layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


class Attention(nn.Module):
    """An attention layer of diffusers, as far as its type goes."""

    to_q: nn.Linear
    to_k: nn.Linear
    to_v: nn.Linear
    to_out: nn.ModuleList
    heads: int
    scale: float
    rescale_output_factor: float
    processor: Callable[..., torch.Tensor]

    def set_processor(self, processor: Callable[..., torch.Tensor]) -> None:
        """How it attends from now on."""
        raise NotImplementedError


CROSS_ATTENTION = "attn2"
"""diffusers' name for the attention of a transformer block that reads the text states."""


POOLED = "add_embedding.linear_1"
"""Where SDXL's U-Net reads the pooled text, beside the picture's sizes."""


CONTEXT, JOINT_POOLED = "context_embedder", "time_text_embed.text_embedder.linear_1"
"""Where the transformers of Stable Diffusion 3 and FLUX read text states, and the pooled text."""


def denoiser(pipe: Pipeline) -> nn.Module:
    """What predicts the noise: U-Net, or transformer."""
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


def cross_attention(unet: nn.Module) -> dict[str, Attention]:
    """Every cross-attention layer by dotted name, in the order of the forward pass. Raises ModelError if none."""
    layers = {n: m for n, m in unet.named_modules() if n.split(".")[-1] == CROSS_ATTENTION and hasattr(m, "to_k")}
    if not layers:
        raise ModelError(f"{type(unet).__name__} has no layer named {CROSS_ATTENTION}, expected cross-attention")

    # named_modules goes down, up, mid; the data goes down, mid, up
    def position(name: str) -> int:
        return ("down", "mid", "up").index(name.split("_")[0]) if name.split("_")[0] in ("down", "mid", "up") else 0

    return dict(sorted(layers.items(), key=lambda item: position(item[0])))


def projections(unet: nn.Module) -> dict[str, nn.Linear]:
    """Every key and value projection W [out, d] of cross-attention, by dotted name.

    Of a transformer with joint attention the context embedder, which alone reads the text states.
    Raises ModelError when there is none, when one is no plain linear layer or when they differ in width.
    """
    if hasattr(unet, CONTEXT):
        return {CONTEXT: _linear(unet, CONTEXT)}
    found: dict[str, nn.Linear] = {}
    for name, layer in cross_attention(unet).items():
        for part in ("to_k", "to_v"):
            module = getattr(layer, part)
            if not isinstance(module, nn.Linear):
                raise ModelError(f"{name}.{part} is {type(module).__name__}, expected a Linear without adapters")
            found[f"{name}.{part}"] = module
    widths = {module.in_features for module in found.values()}
    if len(widths) != 1:
        raise ModelError(f"cross-attention projections read widths {sorted(widths)}, expected one text width")
    return found


def pooled_projection(unet: nn.Module) -> dict[str, nn.Linear]:
    """The layer [out, p + rest] whose first p inputs are the pooled text, by dotted name; none where no text is pooled.

    p is the pooled text's width; the rest are sizes of the picture.
    """
    if hasattr(unet, CONTEXT):
        return {JOINT_POOLED: _linear(unet, JOINT_POOLED)}
    if getattr(unet.config, "addition_embed_type", None) != "text_time":
        return {}
    return {POOLED: _linear(unet, POOLED)}


def guarded_layers(unet: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """Every linear layer and convolution of a U-Net that reads neither text nor time, by dotted name."""
    reads = projections(unet)
    return {name: layer for name, layer in unet.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and name not in reads
            and not any(part.startswith(("time_", "add_")) for part in name.split("."))}


def _linear(network: nn.Module, name: str) -> nn.Linear:
    layer = network.get_submodule(name)
    if not isinstance(layer, nn.Linear):
        raise ModelError(f"{name} is {type(layer).__name__}, expected a Linear without adapters")
    return layer
