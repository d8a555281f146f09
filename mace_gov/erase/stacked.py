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
            plain: torch.Tensor = self.base(states.to(self.base.weight.dtype))
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
        for name, bare in plain.items():
            unet.set_submodule(name, bare)


def tuned_to(weight: torch.Tensor, a: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """a [n, r, d], each row so long that b = 1 answers the state ``own`` [n, d] as loudly as the layer W [out, d] does.

    Then a step of b is a share of the layer's answer, whatever the lengths of states and weights are.
    """
    own, a = own.to(weight.device, torch.float32), a.to(weight.device)
    answer = (own @ weight.float().T).square().mean(1).sqrt()  # [n], root mean square over outputs
    heard = torch.einsum("nrd,nd->nr", a, own)
    floor = torch.finfo(torch.float32).eps * own.norm(dim=1, keepdim=True)
    heard = torch.where(heard.abs() > floor, heard, floor)
    return a * (answer[:, None] / heard)[..., None]
