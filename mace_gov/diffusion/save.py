"""Write a governed model: the base folder byte for byte, but for the U-Net's weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.diffusion.contents import weight_files

TEXT = (".json", ".txt", ".md", ".model", "")
"""Suffixes that are copied besides the weights that load; a bare name is a LICENSE."""


DENOISERS = ("unet", "transformer")
"""Component folders whose weights an erasure changes."""


def save_governed(base: Path, out: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the base folder into the empty folder ``out`` with some U-Net weights replaced.

    weights: new values by parameter name (``....attn2.to_k.weight``); they are cast to the base's own dtype.
    Pickles, variants and single-file checkpoints are left behind: they would carry the unerased U-Net along.
    Raises NumericalError when a weight is not finite, also after the cast; ModelError for a name or shape that the
    base does not have. The base is only read.
    """
    _copy(base, out)
    left = set(weights)
    part = next((name for name in DENOISERS if (base / name).is_dir()), DENOISERS[0])
    for source in weight_files(base / part):
        with safe_open(source, framework="pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
        for name in left & tensors.keys():
            tensors[name] = replaced(name, tensors[name], weights[name])
        left -= tensors.keys()
        # a file's metadata comes out in no fixed order: "format" alone is what loaders ask for
        save_file(tensors, out / part / source.name, metadata={"format": metadata.get("format", "pt")})
    if left:
        raise ModelError(f"the base U-Net has no weight named {min(left)} ({len(left)} such), expected all to exist")


def replaced(name: str, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """``new`` in the shape and dtype of ``old``, checked."""
    if old.shape != new.shape:
        raise ModelError(f"{name} has shape {tuple(new.shape)}, expected {tuple(old.shape)}")
    cast = new.detach().to("cpu", old.dtype).contiguous()
    if not torch.isfinite(cast).all():
        largest = new.detach().abs().max().item()
        raise NumericalError(f"{name} as {old.dtype} is not finite (largest {largest:.3g}), expected finite weights")
    return cast


def _copy(base: Path, out: Path) -> None:
    components = {
        name for name, value in json.loads((base / "model_index.json").read_text("utf-8")).items()
        if isinstance(value, list) and Path(name).name == name
    }
    for source in sorted(p for p in base.rglob("*") if p.is_file()):
        inside = source.relative_to(base)
        component = base / inside.parts[0]
        if len(inside.parts) > 1 and inside.parts[0] not in components:
            continue
        loads = len(inside.parts) > 1 and inside.parts[0] not in DENOISERS and source in weight_files(component)
        if not loads and source.suffix not in TEXT:
            continue
        target = out / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
