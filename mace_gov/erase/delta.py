"""The erasure delta: a whole governed version as one d x d matrix and two thin matrices per projection.

    W* = W K + B C        K [d, d],  B [out, k],  C [k, d]

A layer that reads the pooled text has a K [p, p] of its own, one that a guard trained a change of its own. The file
holds K - I, B, C and these changes in half precision, with its own description, and the governed model is computed
from what was written. K - I is small where K is near 1, so that its rounding is small as well; where it would still
show, the file is written in float32. Neurons that are added to text encoders stand beside them in float32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import canonical_json
from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.diffusion.neurons import Neurons

SCHEMA = "mace-gov/delta/v2"
WITH_NEURONS = "mace-gov/delta/v3"
"""Schema of a delta that changes text encoders as well: who knows the other alone must not read half of it."""
GUARDED = "mace-gov/delta/v4"
"""Schema of a delta that changes layers that read no text as well, for the same reason."""
FILE_NAME = "erasure.safetensors"
_GUARD = ".guard"
_PARTS = ("read", "bias", "write")
_NEURONS = re.compile(r"(\w+)\.layers\.(\d+)\.neurons\.read")
_HEADER = "mace-gov"  # one metadata key: a file's metadata comes out in no fixed order

HALF_TOLERANCE = 1e-3
"""Half precision is enough while its rounding of K moves no text state by more than this share of its length."""


@dataclass(frozen=True)
class ErasureDelta:
    """The difference between a base model and a governed one."""

    matrix: torch.Tensor
    """K [d, d], shared by all projections."""
    left: dict[str, torch.Tensor] = field(default_factory=dict)
    """B [out, k] by projection; empty for a closed form alone."""
    right: dict[str, torch.Tensor] = field(default_factory=dict)
    """C [k, d] by projection."""
    about: dict[str, Any] = field(default_factory=dict)
    """baseDigest, policyDigest, planDigest, family, method, fusion, concepts."""
    pooled: dict[str, torch.Tensor] = field(default_factory=dict)
    """K [p, p] by layer that reads the pooled text with its first p inputs."""
    neurons: dict[str, Neurons] = field(default_factory=dict)
    """What is added to text encoders, by the names of their folders."""
    guard: dict[str, torch.Tensor] = field(default_factory=dict)
    """What weights of layers that read no text change by, in the weights' own shapes, by name."""

    def apply(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Governed weights W* [out, in], from the base's W by layer's name: in float64, rounded to the W's type.

        Raises ModelError when the delta does not fit the projections, NumericalError when it is not finite.
        """
        if unknown := (self.left.keys() | self.pooled.keys() | self.guard.keys()) - weights.keys():
            raise ModelError(f"the delta changes {min(unknown)}, which the base does not have")
        matrix = self.matrix.double()
        governed = {}
        for name, weight in weights.items():
            new = weight.detach().cpu().double()
            if name in self.guard:
                change = self.guard[name].double()
                if change.shape != new.shape:
                    raise ModelError(f"{name} has shape {tuple(new.shape)}, the delta is for {tuple(change.shape)}")
                new = new + change
            elif name in self.pooled:
                width = len(self.pooled[name])
                new = torch.cat([new[:, :width] @ self.pooled[name].double(), new[:, width:]], 1)
            elif new.shape[1] != len(matrix):
                raise ModelError(f"{name} reads width {new.shape[1]}, the delta is for {len(matrix)}")
            else:
                new = new @ matrix
                if name in self.left:
                    new += self.left[name].double() @ self.right[name].double()
            governed[name] = new.to(weight.dtype)
            if not torch.isfinite(governed[name]).all():
                raise NumericalError(f"{name} is not finite after the erasure, expected finite weights")
        return governed

    def rounded(self) -> ErasureDelta:
        """As it will be read back."""
        return _assembled(self._tensors(), self.about)

    def write(self, path: Path) -> None:
        """Write the file; equal deltas give equal bytes. Raises NumericalError when something is not finite."""
        schema = GUARDED if self.guard else WITH_NEURONS if self.neurons else SCHEMA
        header = canonical_json({"schema": schema, **self.about}).decode()
        write_bytes(path, save(self._tensors(), metadata={_HEADER: header}))

    def _tensors(self) -> dict[str, torch.Tensor]:
        """The file's tensors. B and C share their lengths evenly, so that neither leaves half precision's range."""
        changes = {"change": _less_identity(self.matrix)}
        changes |= {f"{name}.pooled": _less_identity(matrix) for name, matrix in self.pooled.items()}

        def whole() -> Iterator[tuple[str, torch.Tensor]]:
            """All but neurons in float64, one projection's at a time."""
            yield from changes.items()
            yield from ((f"{name}{_GUARD}", change.double()) for name, change in self.guard.items())
            for name, left in self.left.items():
                b, c = left.double(), self.right[name].double()
                long, wide = b.norm(dim=0), c.norm(dim=1)  # [k] each
                scale = torch.where((long > 0) & (wide > 0), (wide / long).sqrt(), 1.0)
                yield from ((f"{name}.left", b * scale), (f"{name}.right", c / scale[:, None]))

        halves = {}
        for name, tensor in whole():
            if not torch.isfinite(tensor).all():
                raise NumericalError(f"erasure delta: {name} is not finite, expected finite numbers")
            halves[name] = tensor.half().contiguous()
        added = {
            f"{encoder}.layers.{one.layer}.neurons.{part}": getattr(one, part).float().contiguous()
            for encoder, one in self.neurons.items() for part in _PARTS
        }
        if not all(torch.isfinite(tensor).all() for tensor in added.values()):
            raise NumericalError("erasure delta: the neurons are not finite, expected finite numbers")
        moved = max(torch.linalg.matrix_norm(halves[n].double() - change, 2) for n, change in changes.items())
        if moved <= HALF_TOLERANCE and all(torch.isfinite(tensor).all() for tensor in halves.values()):
            return {**halves, **added}
        return {**{name: tensor.float().contiguous() for name, tensor in whole()}, **added}


def _less_identity(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.double() - torch.eye(len(matrix), dtype=torch.float64)


def _assembled(tensors: Mapping[str, torch.Tensor], about: dict[str, Any]) -> ErasureDelta:
    def named(end: str) -> dict[str, torch.Tensor]:
        return {name.removesuffix(end): tensor for name, tensor in tensors.items() if name.endswith(end)}

    def whole(change: torch.Tensor) -> torch.Tensor:
        return change.double() + torch.eye(len(change), dtype=torch.float64)

    pooled = {name: whole(change) for name, change in named(".pooled").items()}
    neurons = {
        found[1]: Neurons(int(found[2]), *(tensors[f"{found[1]}.layers.{found[2]}.neurons.{part}"] for part in _PARTS))
        for name in tensors if (found := _NEURONS.fullmatch(name))
    }
    return ErasureDelta(whole(tensors["change"]), named(".left"), named(".right"), about, pooled, neurons,
                        named(_GUARD))


def read_delta(path: Path) -> ErasureDelta:
    """Read an erasure delta. Raises ModelError when the file is no delta of a known schema."""
    try:
        with safe_open(path, framework="pt") as handle:
            about = json.loads((handle.metadata() or {}).get(_HEADER, "{}"))
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"erasure delta {path} cannot be read: {error}") from error
    schema = about.pop("schema", None)
    if schema not in (SCHEMA, WITH_NEURONS, GUARDED) or "change" not in tensors:
        raise ModelError(f"{path} has schema {schema!r}, expected {SCHEMA}, {WITH_NEURONS} or {GUARDED}")
    return _assembled(tensors, about)
