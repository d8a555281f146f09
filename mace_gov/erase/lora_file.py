"""The file of a LoRA, as diffusers reads it: its name, how an adapter is written and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from safetensors.torch import load, save

from mace_gov.core.errors import NumericalError
from mace_gov.documents.plan import Target
from mace_gov.erase.stacked import StackedLora

FILE_NAME = "pytorch_lora_weights.safetensors"
"""The name that diffusers' load_lora_weights looks for."""

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By projection: b [out, r] and a [r, d] with dW = b a."""


def pack(layers: Mapping[str, StackedLora], index: int, target: Target) -> bytes:
    """One target's adapter as the bytes of a diffusers LoRA file. Raises NumericalError when it is not finite."""
    tensors = {}
    for name, layer in layers.items():
        for part, stack in (("lora_A", layer.a), ("lora_B", layer.b)):
            tensor = stack[index].detach().cpu().float().contiguous()
            if not torch.isfinite(tensor).all():
                raise NumericalError(f"LoRA of '{target.id}': {name}.{part} is not finite, expected finite weights",
                                     hint="Lower lora.stepSize or lora.learningRate.")
            tensors[f"unet.{name}.{part}.weight"] = tensor
    return save(tensors, metadata={"format": "pt"})


def factors(weights: bytes) -> Factors:
    """b and a of every projection from a LoRA file's bytes, float64."""
    tensors = {name.removeprefix("unet."): tensor.double() for name, tensor in load(weights).items()}
    names = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
    return {name: (tensors[f"{name}.lora_B.weight"], tensors[f"{name}.lora_A.weight"]) for name in sorted(names)}


class Learnt(Mapping[str, Factors]):
    """The factors of LoRAs by concept, read from their files when asked for: one concept's are in memory."""

    def __init__(self, files: Mapping[str, Callable[[], bytes]]) -> None:
        """files: what reads each."""
        self._files = files

    def __getitem__(self, concept: str) -> Factors:
        return factors(self._files[concept]())

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
