"""Many low-rank adapters in one forward pass: every sample of the batch carries its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mace_gov.diffusion.projections import projections


class StackedLora(nn.Module):
    """A linear layer W [out, d] with n adapters; sample i of a batch is read by W + b_i a_i."""

    def __init__(self, base: nn.Linear, count: int, rank: int) -> None:
        super().__init__()
        self.base = base
        device = base.weight.device
        self.a = nn.Parameter(torch.zeros(count, rank, base.in_features, device=device))  # [n, r, d]
        self.b = nn.Parameter(torch.zeros(count, base.out_features, rank, device=device))  # [n, out, r]

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """states [n, L, d] -> [n, L, out], in float32: in halves, what an adapter adds at first is lost beside W."""
        with torch.autocast(states.device.type, enabled=False):
            plain = self.base(states.to(self.base.weight.dtype))
            return plain + (states.to(self.a.dtype) @ self.a.mT @ self.b.mT).to(plain.dtype)


@contextmanager
def stacked(unet: nn.Module, count: int, rank: int) -> Iterator[dict[str, StackedLora]]:
    """``count`` adapters of ``rank`` on every cross-attention projection, by name; taken off again at the end."""
    plain = projections(unet)
    layers = {name: StackedLora(layer, count, rank) for name, layer in plain.items()}
    try:
        for name, layer in layers.items():
            unet.set_submodule(name, layer)
        yield layers
    finally:
        for name, layer in plain.items():
            unet.set_submodule(name, layer)
