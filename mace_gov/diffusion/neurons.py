"""Neurons that are added to a text encoder's feed-forward layer: read, weigh against a bias, write.

A transformer's feed-forward layer is a memory of keys and values (Geva et al., EMNLP 2021, arXiv 2012.14913). One more
neuron is one more row of its first matrix, with a bias, and one more column of its second. A CLIP text encoder has one
width for all of its layers, so the others get neurons that read and write nothing: the model stays a plain folder.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from mace_gov.core.errors import ModelError

WIDTH = "intermediate_size"
"""A CLIP text encoder's name for the number of its neurons in a layer, in its config.json."""
_FEED_FORWARD = re.compile(r"(?:.*\.)?encoder\.layers\.(\d+)\.mlp\.(fc1\.weight|fc1\.bias|fc2\.weight)")


@dataclass(frozen=True)
class Neurons:
    """n neurons of one layer."""

    layer: int
    """Which one, from 0."""
    read: torch.Tensor
    """Rows of the first matrix [n, d]."""
    bias: torch.Tensor
    """Their biases [n]."""
    write: torch.Tensor
    """Columns of the second matrix [d, n]."""

    def __len__(self) -> int:
        return len(self.read)

    def widened(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """A text encoder's parameter with the neurons, in its own type; every other one as it is.

        Raises ModelError when they do not fit it, or are not finite in that type.
        """
        found = _FEED_FORWARD.fullmatch(name)
        if found is None:
            return weight
        layer, part = int(found[1]), found[2]
        own = {"fc1.weight": self.read, "fc1.bias": self.bias, "fc2.weight": self.write}[part]
        added = (own if layer == self.layer else torch.zeros_like(own)).to(weight.dtype)
        axis = 1 if part == "fc2.weight" else 0
        if weight.dim() == 2 and weight.shape[1 - axis] != added.shape[1 - axis]:
            raise ModelError(f"{name} has width {weight.shape[1 - axis]}, the neurons are for {added.shape[1 - axis]}")
        if not torch.isfinite(added).all():
            raise ModelError(f"{name}: the neurons are not finite as {weight.dtype}, expected finite weights")
        return torch.cat([weight, added], axis).contiguous()


def widen_config(path: Path, neurons: Neurons) -> None:
    """The encoder's config.json with as many neurons more. Raises ModelError where it does not say how many it has."""
    config = json.loads(path.read_text("utf-8"))
    if not isinstance(config.get(WIDTH), int):
        raise ModelError(f"{path} has no {WIDTH}, expected the config of a CLIP text encoder")
    config[WIDTH] += len(neurons)
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def feed_forward_layers(encoder: torch.nn.Module) -> list[torch.nn.Module]:
    """The transformer layers of a CLIP text encoder, each with ``mlp.fc1`` and ``mlp.fc2``, in order.

    Raises ModelError for an encoder of another kind.
    """
    found = {int(match[1]): name.removesuffix(".mlp.fc1.weight")
             for name, _ in encoder.named_parameters()
             if (match := _FEED_FORWARD.fullmatch(name)) and match[2] == "fc1.weight"}
    if not found:
        raise ModelError(f"the text encoder {type(encoder).__name__} has no layers of CLIP's kind, which neurons need")
    return [encoder.get_submodule(found[layer]) for layer in sorted(found)]
