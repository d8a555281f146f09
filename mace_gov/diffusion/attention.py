"""Look into cross-attention while a U-Net runs: its probabilities, layer by layer, differentiable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mace_gov.diffusion.projections import cross_attention

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention


class LastLayerReachedError(Exception):
    """Raised on purpose after the last cross-attention map: nothing behind it matters to who asked only for maps."""


SLICE = 1 << 26
"""Probabilities of a layer that are computed at once where no gradient is asked for: a quarter of a gigabyte."""


class AttentionRecord:
    """The maps of one forward pass. ``maps[name]`` is [batch, heads, pixels, tokens], or without heads their mean."""

    def __init__(self, layers: int, *, stop: bool, mean: bool) -> None:
        self.maps: dict[str, torch.Tensor] = {}
        self.layers, self.stop, self.mean = layers, stop, mean

    def clear(self) -> None:
        """Forget the last pass."""
        self.maps.clear()

    def keep(self, name: str, probabilities: torch.Tensor) -> None:
        """Store one layer's maps; ends the pass after the last layer if asked to.

        A complete record takes no more: gradient checkpointing runs a layer again, backwards.
        """
        if len(self.maps) == self.layers:
            return
        self.maps[name] = probabilities
        if self.stop and len(self.maps) == self.layers:
            raise LastLayerReachedError


class RecordingProcessor:
    """Plain attention with its probabilities written out, in float32. Equal to the fused kernel up to rounding."""

    def __init__(self, name: str, record: AttentionRecord) -> None:
        self.name, self.record = name, record

    def __call__(
        self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None, temb: torch.Tensor | None = None, **_unused: Any,
    ) -> torch.Tensor:
        """One cross-attention layer: hidden_states [b, n, c], encoder_hidden_states [b, L, d] -> [b, n, c]."""
        def heads(states: torch.Tensor) -> torch.Tensor:  # [b, n, c] -> [b, heads, n, c / heads]
            return states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        query, key, value = (heads(project(states)) for project, states in (
            (attn.to_q, hidden_states), (attn.to_k, encoder_hidden_states), (attn.to_v, encoder_hidden_states)))
        most = len(query) if torch.is_grad_enabled() else max(1, SLICE // (query[0, ..., 0].numel() * key.shape[2]))
        kept, read = [], []
        for q, k, v in zip(query.split(most), key.split(most), value.split(most), strict=True):
            with torch.autocast(q.device.type, enabled=False):
                probabilities = ((q.float() @ k.float().mT) * attn.scale).softmax(dim=-1)  # [b, heads, n, L]
            kept.append(probabilities.mean(1) if self.record.mean else probabilities)
            read.append(probabilities.to(v.dtype) @ v)
        self.record.keep(self.name, kept[0] if len(kept) == 1 else torch.cat(kept))
        mixed = torch.cat(read).transpose(1, 2).flatten(2)  # [b, n, c]
        out: torch.Tensor = attn.to_out[1](attn.to_out[0](mixed)) / attn.rescale_output_factor
        return out


@contextmanager
def record_attention(unet: nn.Module, *, stop: bool = False, mean: bool = False) -> Iterator[AttentionRecord]:
    """Record cross-attention inside the block; the processors that were there before come back after it.

    mean: keep the mean over heads, which takes a fraction of the memory.

    stop: end each forward pass with LastLayerReachedError once the last map is in, which spares the rest of the U-Net.
    """
    layers = cross_attention(unet)
    record = AttentionRecord(len(layers), stop=stop, mean=mean)
    before = {name: layer.processor for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.set_processor(RecordingProcessor(name, record))
        yield record
    finally:
        for name, layer in layers.items():
            layer.set_processor(before[name])
