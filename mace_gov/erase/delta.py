"""The erasure delta: a whole governed version as one d x d matrix and two thin matrices per projection.

    W* = W K + B C        K [d, d],  B [out, k],  C [k, d]

It is written in float32 with its own description, and the governed model is computed from what was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import canonical_json
from mace_gov.core.errors import ModelError, NumericalError

SCHEMA = "mace-gov/delta/v1"
FILE_NAME = "erasure.safetensors"
_HEADER = "mace-gov"  # one metadata key: a file's metadata comes out in no fixed order


@dataclass(frozen=True)
class ErasureDelta:
    """The difference between a base model and a governed one."""

    matrix: torch.Tensor
    """K [d, d], shared by all projections."""
    left: dict[str, torch.Tensor] = field(default_factory=dict)
    """B [out, k] by projection; empty for refinement alone."""
    right: dict[str, torch.Tensor] = field(default_factory=dict)
    """C [k, d] by projection."""
    about: dict[str, Any] = field(default_factory=dict)
    """baseDigest, planDigest, method, fusion, concepts."""

    def apply(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Governed projections W* [out, d] in float64, from the base's W by projection name.

        Raises ModelError when the delta does not fit the projections, NumericalError when it is not finite.
        """
        if unknown := self.left.keys() - weights.keys():
            raise ModelError(f"the delta changes {min(unknown)}, which the base does not have")
        matrix = self.matrix.double()
        governed = {}
        for name, weight in weights.items():
            if weight.shape[1] != matrix.shape[0]:
                raise ModelError(f"{name} reads width {weight.shape[1]}, the delta is for {matrix.shape[0]}")
            new = weight.detach().cpu().double() @ matrix
            if name in self.left:
                new += self.left[name].double() @ self.right[name].double()
            if not torch.isfinite(new).all():
                raise NumericalError(f"{name} is not finite after the erasure, expected finite weights")
            governed[name] = new
        return governed

    def rounded(self) -> ErasureDelta:
        """As it will be read back: float32."""
        return ErasureDelta(
            self.matrix.float(),
            {name: tensor.float() for name, tensor in self.left.items()},
            {name: tensor.float() for name, tensor in self.right.items()},
            self.about,
        )

    def write(self, path: Path) -> None:
        """Write in float32; equal deltas give equal bytes. Raises NumericalError when something is not finite."""
        small = self.rounded()
        tensors = {"matrix": small.matrix.contiguous()}
        tensors |= {f"{name}.left": tensor.contiguous() for name, tensor in small.left.items()}
        tensors |= {f"{name}.right": tensor.contiguous() for name, tensor in small.right.items()}
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise NumericalError(f"erasure delta: {name} is not finite, expected finite numbers")
        header = canonical_json({"schema": SCHEMA, **self.about}).decode()
        write_bytes(path, save(tensors, metadata={_HEADER: header}))


def read_delta(path: Path) -> ErasureDelta:
    """Read an erasure delta. Raises ModelError when the file is no delta of a known schema."""
    try:
        with safe_open(path, framework="pt") as handle:
            about = json.loads((handle.metadata() or {}).get(_HEADER, "{}"))
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"erasure delta {path} cannot be read: {error}") from error
    schema = about.pop("schema", None)
    if schema != SCHEMA or "matrix" not in tensors:
        raise ModelError(f"{path} has schema {schema!r}, expected {SCHEMA}")
    return ErasureDelta(
        tensors["matrix"],
        {name.removesuffix(".left"): tensor for name, tensor in tensors.items() if name.endswith(".left")},
        {name.removesuffix(".right"): tensor for name, tensor in tensors.items() if name.endswith(".right")},
        about,
    )
