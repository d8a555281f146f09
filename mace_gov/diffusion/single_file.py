"""A model as one safetensors file: packed from a diffusers folder, unpacked into one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.contents import weight_files
from mace_gov.diffusion.families import PICTURE_CHANNELS
from mace_gov.diffusion.layout import COMPONENTS, OTHER_PREFIXES, Place, places

ARCHITECTURES = {"sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2", "sdxl": "stable-diffusion-xl-v1-base"}
"""The field's own names (modelspec.architecture)."""

PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction"}
"""modelspec.prediction_type, and what a scheduler's configuration calls it."""

SPELLINGS = {"eps": "epsilon", **dict.fromkeys(("v_prediction", "v-prediction", "v_pred", "vpred", "velocity"), "v")}
"""Other names for them that are met in files."""

NOT_READ = {"Stable Diffusion 3": "joint_blocks.0.", "FLUX": "double_blocks.0."}
"""Other families' single files, by a name in them."""

REFINER_WIDTH = 1280
"""Text width of Stable Diffusion XL's refiner, which has the second encoder alone."""

LORA_HINT = ("This is a LoRA. Merge it into its model first: load_lora_weights, fuse_lora, unload_lora_weights, "
             "save_pretrained; or give it to `mace-gov audit` with --tier deep --lora.")

PRECISIONS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""What weights may come in; one file may mix them."""

BASE_SIDE = {"epsilon": 64}
"""Latents' side of Stable Diffusion 2 models that predict noise: its 512-pixel base and what was made of it."""

TEXT = (".json", ".txt", ".model")
"""Files of a configuration folder that a model needs besides its weights."""


def pack(folder: Path, family: str, out: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the diffusers folder as the one new file ``out``, in the precision of its weights.

    Raises ModelError when the single-file layout has no place for the family or one of its weights.
    """
    tensors: dict[str, torch.Tensor] = {}
    thirds: dict[str, dict[int, torch.Tensor]] = {}
    for component in COMPONENTS.get(family, {"unet": ""}):
        held = dict(_tensors(folder / component))
        for name, place in places(family, component, list(held), _config(folder / component)).items():
            value = held[name].T if place.transposed else held[name]
            if place.third is None:
                tensors[place.name] = (value[:, :, None, None] if place.pointwise else value).contiguous()
            else:
                thirds.setdefault(place.name, {})[place.third] = value
    tensors |= {name: torch.cat([parts[n] for n in range(3)]) for name, parts in thirds.items()}
    prediction = _config(folder / "scheduler", "scheduler_config.json").get("prediction_type", "epsilon")
    said = {"format": "pt", "modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": ARCHITECTURES[family],
            "modelspec.prediction_type": next((k for k, v in PREDICTIONS.items() if v == prediction), prediction)}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, metadata={**said, **(metadata or {})})


def recognise_file(file: Path) -> str:
    """The family of a single-file model, from its weights. Raises ModelError when it is none that is known."""
    with _opened(file) as handle:
        names = set(handle.keys())
        for other, part in NOT_READ.items():
            if any(part in name for name in names):
                raise ModelError(f"{file} is a single file of {other}, expected one of Stable Diffusion 1, 2 or XL",
                                 hint="Give the model as a diffusers folder.")
        key = "model.diffusion_model.input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"
        first = next((key.format(n) for n in range(12) if key.format(n) in names), None)
        if first is None:
            raise ModelError(f"{file} holds no U-Net of Stable Diffusion, expected names like {key.format(1)}",
                             hint=LORA_HINT if any("lora" in name.lower() for name in names) else None)
        begin = "model.diffusion_model.input_blocks.0.0.weight"
        channels = handle.get_slice(begin).get_shape()[1] if begin in names else PICTURE_CHANNELS
        if channels != PICTURE_CHANNELS:
            raise ModelError(
                f"{file}: its U-Net reads {channels} channels, expected {PICTURE_CHANNELS}: inpainting, depth and "
                "instruction models read a picture besides the text, and no erasure has been measured on one",
                hint="Give the text-to-image model that it was made from.")
        if any(name.startswith("conditioner.embedders.1.") for name in names):
            return "sdxl"
        width = handle.get_slice(first).get_shape()[1]
        if any(name.startswith("conditioner.") for name in names) and width == REFINER_WIDTH:
            raise ModelError(f"{file} is the refiner of Stable Diffusion XL, expected the base model",
                             hint="Give the base model: the refiner draws nothing by itself.")
        open_clip = ("cond_stage_model.model.", *OTHER_PREFIXES["sd2", "text_encoder"])
        return "sd2" if any(name.startswith(open_clip) for name in names) else "sd1"


def unpack(file: Path, configs: Path, family: str, out: Path) -> None:
    """Write a single-file model as a diffusers folder into the empty folder ``out``.

    configs: a diffusers folder of the same family, for its configurations and tokenizers; its weights are not read.
    Raises ModelError when the weights do not fit them, or when the file does not say clearly whether it predicts noise
    or v: the wrong one draws noise, and weights do not tell. Files of families 1 and XL that say nothing at all are
    taken as their published models, which predict noise.
    """
    with _opened(file) as handle:
        prediction, rescaled = _prediction(file, handle, family), "ztsnr" in handle.keys()  # noqa: SIM118
        _copy_text(configs, out)
        for component in COMPONENTS[family]:
            wanted = _shapes(configs / component)
            table = places(family, component, list(wanted), _config(configs / component))
            if component == "unet":
                _refuse_more(handle, file, table, COMPONENTS[family][component])
            found = dict(_found(handle, file, wanted, _where(handle, family, component, table)))
            stem = "diffusion_pytorch_model" if component in ("unet", "vae") else "model"
            (out / component).mkdir(exist_ok=True)
            save_file(found, out / component / f"{stem}.safetensors", metadata={"format": "pt"})
        side = _side(handle, BASE_SIDE.get(prediction) if family == "sd2" and prediction else None)
    if side is not None:
        path = out / "unet" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "sample_size": side}), "utf-8")
    if prediction is not None:
        path = out / "scheduler" / "scheduler_config.json"
        said = {"prediction_type": prediction, **({"rescale_betas_zero_snr": True} if rescaled else {})}
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **said}), "utf-8")


def _side(handle: Any, usual: int | None) -> int | None:
    """The latents' side that a file says (modelspec.resolution, of square pictures), else ``usual``."""
    said = re.fullmatch(r"(\d+)x\1", (handle.metadata() or {}).get("modelspec.resolution", ""))
    return int(said[1]) // 8 if said and int(said[1]) % 64 == 0 and int(said[1]) else usual


def _prediction(file: Path, handle: Any, family: str) -> str | None:
    """What the file says that its U-Net predicts, as a scheduler's configuration calls it; None when it does not say.

    Files say it by metadata, by sd-scripts' metadata or by an empty tensor. Raises ModelError when they contradict one
    another, or when none says so of a family that has both.
    """
    metadata, names = handle.metadata() or {}, set(handle.keys())
    places = {"modelspec.prediction_type": metadata.get("modelspec.prediction_type"),
            "ss_v_parameterization": {"true": "v"}.get(str(metadata.get("ss_v_parameterization")).lower()),
            "the tensor v_pred": "v" if "v_pred" in names else None,
            "its name": "v" if re.search(r"v[-_.]?pred", file.stem, re.IGNORECASE) else None}
    said = {place: value for place, value in places.items() if value is not None}
    found = {SPELLINGS.get(value.strip().lower(), value.strip().lower()) for value in said.values()}
    if any(name.startswith("edm_") for name in names):
        found.add("edm")
    if len(found) == 1 and found <= PREDICTIONS.keys() and list(said) != ["its name"]:
        return PREDICTIONS[found.pop()]
    if not found and family != "sd2":
        return None
    told = ", ".join(f"{place} is {value!r}" for place, value in said.items()) or "modelspec.prediction_type is None"
    raise ModelError(f"{file} does not say what it predicts ({told}), expected {' or '.join(PREDICTIONS)}",
                     hint="Weights do not tell. Convert it to a diffusers folder whose scheduler has the right "
                          "prediction_type, or write modelspec.prediction_type into the file's metadata.")


def _refuse_more(handle: Any, file: Path, table: Mapping[str, Place], prefix: str) -> None:
    """Raises ModelError for weights of a U-Net that would be left out: it would be another model without them."""
    known = {place.name for place in table.values()}
    more = sorted(name for name in handle.keys() if name.startswith(prefix) and name not in known)  # noqa: SIM118
    if more:
        raise ModelError(f"{file} has {len(more)} weights of its U-Net that the published model has not, such as "
                         f"{more[0]}: text or images reach it in another way, or its shape is another",
                         hint="Give the model as a diffusers folder, whose configuration says what it is.")


def _where(handle: Any, family: str, component: str, table: Mapping[str, Place]) -> Mapping[str, Place]:
    """The table with the prefix under which this file keeps the component."""
    usual, names = COMPONENTS[family][component], set(handle.keys())
    if any(place.name in names for place in table.values()):
        return table
    for prefix in OTHER_PREFIXES.get((family, component), ()):
        moved = {name: replace(place, name=prefix + place.name.removeprefix(usual)) for name, place in table.items()}
        if any(place.name in names for place in moved.values()):
            return moved
    return table


def _found(
    handle: Any, file: Path, wanted: Mapping[str, torch.Size], table: Mapping[str, Place]
) -> Iterator[tuple[str, torch.Tensor]]:
    names = set(handle.keys())
    lacking = [name for name, place in table.items() if place.name not in names]
    if lacking:
        raise ModelError(f"{file} has no weight {table[lacking[0]].name}, expected it for {lacking[0]}; "
                         f"{len(lacking)} of {len(table)} of its part are lacking",
                         hint="Give a whole checkpoint: U-Net, autoencoder and text encoders.")
    for name, place in table.items():
        value = handle.get_tensor(place.name)
        if value.dtype not in PRECISIONS:
            raise ModelError(f"{file}: {place.name} is {str(value.dtype).removeprefix('torch.')}, expected "
                             "float32, float16 or bfloat16: an edit would be lost in fewer digits",
                             hint="Get the model in half or single precision.")
        if place.third is not None:
            value = value.chunk(3)[place.third]
        if place.pointwise and value.dim() == 4:
            value = value[:, :, 0, 0]
        value = value.T if place.transposed else value
        if value.shape != wanted[name]:
            raise ModelError(f"{file}: {place.name} has shape {tuple(value.shape)}, expected {tuple(wanted[name])}")
        yield name, value.contiguous()


def _shapes(component: Path) -> dict[str, torch.Size]:
    """Every weight's shape by name, from the configuration alone."""
    import diffusers
    import transformers

    config = _config(component)
    parts = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL}
    texts = {"text_encoder": transformers.CLIPTextModel, "text_encoder_2": transformers.CLIPTextModelWithProjection}
    with torch.device("meta"):
        if component.name in parts:
            model = parts[component.name].from_config(config)
        else:
            model = texts[component.name](transformers.CLIPTextConfig.from_dict(config))
    return {name: value.shape for name, value in model.state_dict().items()}


def _tensors(component: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in weight_files(component):
        with safe_open(file, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118 (not a dict)
                if not name.endswith("position_ids"):  # a counter that some versions stored
                    yield name, handle.get_tensor(name)


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read as safetensors: {error}") from error


def _config(component: Path, name: str = "config.json") -> dict[str, Any]:
    config: dict[str, Any] = json.loads((component / name).read_text("utf-8"))
    return config


def _copy_text(configs: Path, out: Path) -> None:
    for source in sorted(p for p in configs.rglob("*") if p.suffix in TEXT and not p.name.endswith(".index.json")):
        target = out / source.relative_to(configs)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
