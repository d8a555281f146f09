"""A version's delta, written in the forms that other tools load: a folder, a single file, a LoRA."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import save

from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.errors import ModelError, UsageError
from mace_gov.diffusion.contents import weight_files
from mace_gov.diffusion.exact import exact_copy
from mace_gov.diffusion.families import JOINT
from mace_gov.diffusion.projections import CONTEXT
from mace_gov.diffusion.save import DENOISERS, save_governed
from mace_gov.diffusion.single_file import pack
from mace_gov.documents.plan import ModelManifest
from mace_gov.erase.delta import ErasureDelta, read_delta
from mace_gov.erase.lora_file import FILE_NAME

Form = Literal["diffusers", "single-file", "lora"]

FAITHFUL = 0.05
"""Share of the change, as Frobenius norms go, that a LoRA may miss and still stand for it."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    """Folder or file."""
    rank: int | None = None
    """Of a LoRA."""
    error: float | None = None
    """Share of the change that a LoRA misses."""


def export_weights(delta: Path, base: ModelManifest, form: Form, out: Path, *, rank: int = 64) -> Exported:
    """Write the base with the delta applied (or, for ``lora``, the change alone) to the new path ``out``.

    Raises UsageError when ``out`` is taken, ModelError when the base is not the one that the delta was made for, when
    the form has no place for its family, or when no LoRA of this rank is faithful.
    """
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise UsageError(f"{out} exists already, expected a new place", hint="Give another --out.")
    change = read_delta(delta)
    if change.about.get("baseDigest") != base.digest:
        raise ModelError(f"the delta was made for the base model {change.about.get('baseDigest')}, found {base.digest}",
                         hint="Give the same base with --base.")
    if form != "diffusers" and base.family in JOINT.values():
        raise ModelError(f"no {form} layout is known for {base.family}", hint="Export it as a diffusers folder.")
    with exact_copy(base) as folder:
        return _export(change, base, folder, form, out, rank)


def _export(change: ErasureDelta, base: ModelManifest, folder: Path, form: Form, out: Path, rank: int) -> Exported:
    weights = _edited_weights(folder, change)
    if change.neurons and form != "diffusers":
        where = ", ".join(sorted(change.neurons))
        raise ModelError(f"the erasure adds neurons to {where}, for which the form {form} has no place",
                         hint="Export it as a diffusers folder.")
    if form == "lora":
        return _lora(change, weights, out, rank)
    governed = {f"{name}.weight": weight for name, weight in change.apply(weights).items()}
    if form == "diffusers":
        with new_folder(out) as scratch:
            save_governed(folder, scratch, governed, change.neurons)
        return Exported(out)
    with tempfile.TemporaryDirectory(prefix="mace-gov-export-") as name:
        scratch = Path(name)
        save_governed(folder, scratch, governed)
        said = {f"mace-gov.{key}": change.about[key] for key in ("baseDigest", "policyDigest") if key in change.about}
        pack(scratch, base.family or "sd1", out, said)
    return Exported(out)


def _edited_weights(folder: Path, delta: ErasureDelta) -> dict[str, torch.Tensor]:
    """The base's weights W [out, d] that a delta changes, by name, from its files alone."""
    found = {}
    ends = (*(f"{name}.weight" for name in (CONTEXT, *delta.pooled, *delta.guard)),
            ".attn2.to_k.weight", ".attn2.to_v.weight")
    for file in (file for name in DENOISERS for file in weight_files(folder / name)):
        with safe_open(file, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118 (not a dict)
                if name.endswith(ends):
                    found[name.removesuffix(".weight")] = handle.get_tensor(name)
    return found


def _lora(delta: ErasureDelta, weights: dict[str, torch.Tensor], out: Path, rank: int) -> Exported:
    tensors, missed, whole = {}, 0.0, 0.0
    weights = {name: weight.double() for name, weight in weights.items()}
    for name, governed in delta.apply(weights).items():
        shape = governed.shape
        left, values, right = torch.linalg.svd((governed - weights[name]).flatten(1), full_matrices=False)
        whole += float(values.square().sum())
        missed += float(values[rank:].square().sum())
        root = values[:rank].sqrt()
        down, up = (root[:, None] * right[:rank]).float(), (left[:, :rank] * root).float()
        if len(shape) == 4:  # a convolution's: as many channels as ranks, then one pixel by one
            down, up = down.view(-1, *shape[1:]), up[:, :, None, None]
        tensors[f"unet.{name}.lora_A.weight"] = down.contiguous()
        tensors[f"unet.{name}.lora_B.weight"] = up.contiguous()
    error = (missed / whole) ** 0.5 if whole else 0.0
    if error > FAITHFUL:
        raise ModelError(f"a LoRA of rank {rank} misses {error:.1%} of the change, expected at most {FAITHFUL:.0%}: "
                         "it would be another model than the one that was audited",
                         hint="Give a larger --rank, or export as diffusers or single-file.")
    file = out / FILE_NAME
    write_bytes(file, save(tensors, metadata={"format": "pt"}))
    return Exported(file, rank, error)
