"""Write a governed model: the base folder byte for byte, but for what an erasure changes and how text encoders load.

That is the U-Net's weights, or neurons that are added to a text encoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.diffusion.contents import loaded_files, parts_of, read_json, weight_files
from mace_gov.diffusion.neurons import Neurons, widen_config

TEXT = (".json", ".txt", ".md", ".model", "")
"""Suffixes that are copied besides the weights that load; a bare name is a LICENSE."""


DENOISERS = ("unet", "transformer")
"""Component folders whose weights an erasure changes."""


def save_governed(
    base: Path, out: Path, weights: Mapping[str, torch.Tensor], neurons: Mapping[str, Neurons] | None = None
) -> None:
    """Write the base folder into the empty folder ``out`` with some U-Net weights replaced, to load as it is.

    weights: new values by parameter name (``....attn2.to_k.weight``); they are cast to the base's own dtype.
    neurons: what is added to text encoders, by their folders' names.
    Pickles, variants and single-file checkpoints are left behind: they would carry the unerased U-Net along.
    Raises NumericalError when a weight is not finite, also after the cast; ModelError for a name or shape that the
    base does not have. The base is only read.
    """
    _copy(base, out)
    _one_precision(out)
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
    for encoder, added in (neurons or {}).items():
        for source in weight_files(base / encoder):
            with safe_open(source, framework="pt") as handle:
                tensors = {name: added.widened(name, handle.get_tensor(name)) for name in handle.keys()}  # noqa: SIM118
            save_file(tensors, out / encoder / source.name, metadata={"format": "pt"})
        widen_config(out / encoder / "config.json", added)
    if left:
        raise ModelError(f"the base U-Net has no weight named {min(left)} ({len(left)} such), expected all to exist")


def _one_precision(out: Path) -> None:
    """Let a plain ``from_pretrained`` load every part in one precision: diffusers' parts come as float32 by default.

    transformers takes the precision that config.json says, or else the weights' own: text encoders in half precision
    beside a float32 U-Net do not draw. The weights stay as they are and are widened when they are loaded.
    """
    index = read_json(out / "model_index.json")
    for part in parts_of(index):
        path = out / part / "config.json"
        if index[part][0] not in ("transformers", "stable_diffusion") or not path.is_file():
            continue
        config = read_json(path)
        keys = [key for key in ("dtype", "torch_dtype") if config.get(key) is not None]
        if any(config[key] != "float32" for key in keys) or (not keys and _stored_in_half(out / part)):
            config |= dict.fromkeys(keys or ["dtype"], "float32")
            path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def _stored_in_half(component: Path) -> bool:
    for file in weight_files(component):
        with safe_open(file, framework="pt") as handle:
            if any(handle.get_slice(name).get_dtype() in ("F16", "BF16") for name in handle.keys()):  # noqa: SIM118
                return True
    return False


def replaced(name: str, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """``new`` in the shape and dtype of ``old``, checked."""
    if old.shape != new.shape:
        raise ModelError(f"{name} has shape {tuple(new.shape)}, expected {tuple(old.shape)}")
    cast = new.detach().to("cpu", old.dtype).contiguous()
    if not torch.isfinite(cast).all():
        largest = new.detach().abs().max().item()
        raise NumericalError(f"{name} as {old.dtype} is not finite (largest {largest:.3g}), expected finite weights")
    return cast


def remarks(base: Path, index: Mapping[str, Any]) -> dict[str, Path]:
    """Texts of a model's folder by relative path, loaded or not. index: its model_index.json."""
    folders = (base, *(base / part for part in parts_of(index)))
    return {path.relative_to(base).as_posix(): path for folder in folders if folder.is_dir()
            for path in folder.iterdir()
            if path.suffix in TEXT and not path.name.startswith(".") and path.is_file()}


def _copy(base: Path, out: Path) -> None:
    """What is loaded but for the denoiser's weights, and the texts beside it: licences, remarks."""
    wanted = {name: path for name, path in loaded_files(base).items()
              if path.suffix != ".safetensors" or name.split("/")[0] not in DENOISERS} | remarks(
                  base, read_json(base / "model_index.json"))
    for name, source in wanted.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
