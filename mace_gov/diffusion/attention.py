"""Look into cross-attention while a U-Net runs: its probabilities, layer by layer, differentiable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mace_gov.diffusion.projections import cross_attention


class LastLayerReachedError(Exception):
    """Raised on purpose after the last cross-attention map: nothing behind it matters to who asked only for maps."""


class AttentionRecord:
    """The maps of one forward pass. ``maps[name]`` is [batch, heads, pixels, tokens]."""

    def __init__(self, layers: int, *, stop: bool) -> None:
        self.maps: dict[str, torch.Tensor] = {}
        self.layers, self.stop = layers, stop

    def clear(self) -> None:
        """Forget the last pass."""
        self.maps.clear()

    def keep(self, name: str, probabilities: torch.Tensor) -> None:
        """Store one layer's maps; ends the pass after the last layer if asked to."""
        self.maps[name] = probabilities
        if self.stop and len(self.maps) == self.layers:
            raise LastLayerReachedError


class RecordingProcessor:
    """Plain attention with its probabilities written out. Equal to the fused kernel up to rounding."""

    def __init__(self, name: str, record: AttentionRecord) -> None:
        self.name, self.record = name, record

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, **_unused):
        """One cross-attention layer: hidden_states [b, n, c], encoder_hidden_states [b, L, d] -> [b, n, c]."""
        def heads(states: torch.Tensor) -> torch.Tensor:  # [b, n, c] -> [b, heads, n, c / heads]
            return states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        query, key = heads(attn.to_q(hidden_states)), heads(attn.to_k(encoder_hidden_states))
        scores = (query @ key.transpose(-1, -2)) * attn.scale  # [b, heads, n, L]
        probabilities = scores.float().softmax(dim=-1)
        self.record.keep(self.name, probabilities)
        value = heads(attn.to_v(encoder_hidden_states))
        mixed = (probabilities.to(value.dtype) @ value).transpose(1, 2).flatten(2)  # [b, n, c]
        return attn.to_out[1](attn.to_out[0](mixed)) / attn.rescale_output_factor


@contextmanager
def record_attention(unet, *, stop: bool = False) -> Iterator[AttentionRecord]:
    """Record cross-attention inside the block; the processors that were there before come back after it.

    stop: end each forward pass with LastLayerReachedError once the last map is in, which spares the rest of the U-Net.
    """
    layers = cross_attention(unet)
    record = AttentionRecord(len(layers), stop=stop)
    before = {name: layer.processor for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.set_processor(RecordingProcessor(name, record))
        yield record
    finally:
        for name, layer in layers.items():
            layer.set_processor(before[name])
