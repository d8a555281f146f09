"""What the U-Net multiplies in."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache

import torch

from mace_gov.core.resources import asked

BFLOAT16 = {"avx512_bf16", "amx_bf16"}
"""What processors call it that multiply bfloat16 themselves; on others it takes longer than float32."""


def half_precision(device: torch.device, *, training: bool = False):
    """Arithmetic in what ``multiplies_in`` says. Training takes no float16, whose gradients vanish."""
    precision = multiplies_in(device)
    if precision is torch.float32 or (training and precision is torch.float16):
        return nullcontext()
    return torch.autocast(device.type, precision)


def multiplies_in(device: torch.device) -> torch.dtype:
    """What the U-Net multiplies in: as the user says, or halves on CUDA and on processors that multiply bfloat16."""
    if (given := asked().precision) is not None:
        return getattr(torch, given)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and not BFLOAT16.isdisjoint(name for name, has in _processor().items() if has):
        return torch.bfloat16
    return torch.float32


@cache
def _processor() -> dict[str, object]:
    return getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not say
