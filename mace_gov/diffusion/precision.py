"""What the U-Net multiplies in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch

from mace_gov.core.resources import Dtype, asked

BFLOAT16 = {"avx512_bf16", "amx_bf16"}
"""What processors call it that multiply bfloat16 themselves; on others it takes longer than float32."""


def half_precision(device: torch.device, *, training: bool = False) -> AbstractContextManager[Any]:
    """Arithmetic in what ``multiplies_in`` says.

    Training is in float32 unless bfloat16 is asked for, and never in float16, whose gradients vanish: on an H200 a
    LoRA of Stable Diffusion 1.4's shape trained no faster in bfloat16, with more memory (docs/methods.md).
    """
    precision = multiplies_in(device)
    if training and asked().precision is not Dtype.BFLOAT16:
        return nullcontext()
    if precision is torch.float32 or (training and precision is torch.float16):
        return nullcontext()
    return torch.autocast(device.type, precision)


def multiplies_in(device: torch.device) -> torch.dtype:
    """What the U-Net multiplies in: as the user says, or halves on CUDA and on processors that multiply bfloat16."""
    if (given := asked().precision) is not None:
        precision: torch.dtype = getattr(torch, given)
        return precision
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and not BFLOAT16.isdisjoint(name for name, has in _processor().items() if has):
        return torch.bfloat16
    return torch.float32


@cache
def _processor() -> dict[str, object]:
    return getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not say
