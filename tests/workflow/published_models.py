"""Models with the published families' structure, encoders and tokenizers, in fewer channels and random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from mace_gov.diffusion import published
from mace_gov.diffusion.contents import weight_files

LEVELS = {"sd1": [32, 64, 64, 64], "sd2": [32, 64, 64, 64], "sdxl": [32, 64, 64]}
HEADS: dict[str, Any] = {"sd1": 8, "sd2": [1, 2, 4, 4], "sdxl": [1, 2, 4]}
"""The first family gives one number for all levels, the others a list."""


def fewer_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what stands for the published configurations have fewer channels; all else stays as it is."""
    for family, texts in published.TEXTS.items():
        small = [{**text, "hidden_size": 32 * (n + 2), "intermediate_size": 64, "num_attention_heads": 2,
                  "projection_dim": 40, "initializer_range": 0.1} for n, text in enumerate(texts)]
        width = sum(text["hidden_size"] for text in small)
        unet = {"block_out_channels": LEVELS[family], "attention_head_dim": HEADS[family], "sample_size": 8,
                "cross_attention_dim": width}
        if family == "sdxl":
            unet |= {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 40 + 6 * 8}
        monkeypatch.setitem(published.TEXTS, family, small)
        monkeypatch.setitem(published.UNETS, family, {**published.UNETS[family], **unet})
        monkeypatch.setitem(published.VAES, family, {
            **published.VAES[family], "block_out_channels": [32, 32, 32, 32], "sample_size": 64})
    # of a file that predicts noise; these draw 64 pixels whatever they predict
    monkeypatch.setattr("mace_gov.diffusion.single_file.BASE_SIDE", {})


def write_model(folder: Path, family: str, seed: int = 0) -> Path:
    """A diffusers folder of the family with random weights."""
    published.write_published(family, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _save(diffusers.UNet2DConditionModel.from_config(published.UNETS[family]), folder / "unet")
        _save(diffusers.AutoencoderKL.from_config(published.VAES[family]), folder / "vae")
        for n, text in enumerate(published.TEXTS[family]):
            kind = getattr(transformers, text["architectures"][0])
            _save(kind(transformers.CLIPTextConfig.from_dict(text)), folder / ("text_encoder", "text_encoder_2")[n])
    return folder


def _save(model: torch.nn.Module, folder: Path) -> None:
    stem = "diffusion_pytorch_model" if folder.name in ("unet", "vae") else "model"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()},
              folder / f"{stem}.safetensors", metadata={"format": "pt"})


def rewritten(folder: Path, change) -> Path:
    """Every weight of a folder as ``change(part, name, value)`` gives it."""
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        for file in weight_files(folder / part) if (folder / part).is_dir() else []:
            save_file({name: change(part, name, value).contiguous() for name, value in load_file(file).items()}, file,
                      metadata={"format": "pt"})
    return folder


def finetuned(part: str, name: str, value: torch.Tensor) -> torch.Tensor:
    """A step away in the U-Net and the text encoders, in half precision, as finetunes are shared."""
    step = 0.0 if part == "vae" else 0.05 * value.std(correction=0)
    drawn = torch.randn(value.shape, generator=torch.Generator().manual_seed(len(name)))
    return (value + step * drawn).half()


def merged(one: Path, other: Path) -> Mapping[str, Mapping[str, torch.Tensor]]:
    """By part: the mean of two models' weights, in turn in three precisions, as merging tools leave them."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for part in sorted(path.name for path in one.iterdir() if weight_files(path)):
        first, second = (load_file(weight_files(folder / part)[0]) for folder in (one, other))
        found[part] = {
            name: ((value.float() + second[name].float()) / 2).to((torch.float32, torch.float16, torch.bfloat16)[n % 3])
            for n, (name, value) in enumerate(first.items())
        }
    return found
