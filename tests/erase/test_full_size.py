"""Random weights in the published shapes: all three stages within one float32 copy of the model. Minutes, gigabytes.

    python -m pytest -m full_size -s
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from safetensors import safe_open

from mace_gov.core.memory import peak_memory
from mace_gov.diffusion.manifest import read_manifest, weight_files
from mace_gov.diffusion.published import TEXTS, UNETS, VAES, write_published
from mace_gov.documents.plan import ClosedForm, GenerationSettings, PreserveSettings
from mace_gov.erase.delta import read_delta
from mace_gov.erase.engine import erase

CAPTIONS = ["a cat on the street", "a dog and a house", "a person in the middle", "art on the ground"]
FAMILIES = ("sd2", "sdxl")


def filled(make):
    """A model with random half-precision weights of the usual lengths, from one block of noise over and over."""
    noise = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).half()
    with torch.device("meta"):
        model = make()
    model = model.half().to_empty(device="cpu").eval()
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            weight.data.fill_(float(name.endswith("weight")))
            continue
        fan = 50 if "embedding." in name else weight[0].numel() ** 0.5
        weight.data.view(-1).copy_(noise.div(fan).repeat(weight.numel() // len(noise) + 1)[:weight.numel()])
    for name, buffer in model.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])
    return model


def build(folder: Path, family: str) -> Path:
    """The published configurations and tokenizers, with random weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    write_published(family, folder)
    models = {"unet": lambda: UNet2DConditionModel.from_config(UNETS[family]),
              "vae": lambda: AutoencoderKL.from_config(VAES[family])}
    for n, config in enumerate(TEXTS[family]):
        kind = getattr(transformers, config["architectures"][0])
        models[("text_encoder", "text_encoder_2")[n]] = partial(kind, transformers.CLIPTextConfig.from_dict(config))
    for part, make in models.items():
        filled(make).save_pretrained(folder / part)
    (folder / "captions.txt").write_text("\n".join(CAPTIONS))
    return folder


def numbers(folder: Path) -> int:
    """How many numbers a model's weights are."""
    count = 0
    for component in folder.iterdir():
        for file in weight_files(component):
            with safe_open(file, framework="pt") as handle:
                for name in handle.keys():  # noqa: SIM118 (not a dict)
                    shape = handle.get_slice(name).get_shape()
                    count += torch.Size(shape).numel()
    return count


@pytest.mark.full_size
@pytest.mark.parametrize("family", FAMILIES)
def test_all_stages_fit_beside_one_copy_of_the_model(family, plan_for, tmp_path):
    folder = build(tmp_path / family, family)
    whole, begun = numbers(folder), time.monotonic()
    plan = plan_for(
        base=read_manifest(str(folder)), concepts=("ship", "dog"), templates=["a photo of {}", "{} in the middle"],
        refine=ClosedForm(relative_ridge=1e-2), fuse=ClosedForm(relative_ridge=1e-2),
        preserve=PreserveSettings(prior="general", scale=1e-2, concepts=["cat"], concept_scale=1e-2),
        generation=GenerationSettings(steps=1, guidance=1.0, size=128, batch=2),
        lora={"steps": 2, "images": 1, "masks": "none"},
    )
    with peak_memory() as peak:
        record = erase(plan, tmp_path / "out", device="cpu")
    print(f"\n{family}: {whole / 1e9:.2f} billion weights, peak {peak.bytes / 2**30:.1f} GiB, "
          f"{time.monotonic() - begun:.0f} s, by stage {record.seconds}")
    assert record.systems[-1].stage == ("pooled" if family == "sdxl" else "fuse")
    # float32, its half-precision files, whose pages are mapped while they are read, and the libraries: no second copy
    assert peak.bytes < 4 * whole + 2 * whole + 2**30
    delta = read_delta(tmp_path / "out/delta/erasure.safetensors")
    assert delta.matrix.shape == (UNETS[family]["cross_attention_dim"],) * 2
    assert len(delta.left) == {"sd2": 32, "sdxl": 140}[family]
    name = next(name for name in delta.left if name.endswith("to_v"))
    (file,) = weight_files(tmp_path / "out/model/unet")
    (source,) = weight_files(folder / "unet")
    with safe_open(file, framework="pt") as after, safe_open(source, framework="pt") as before:
        weights = {n: before.get_tensor(f"{n}.weight").float() for n in (*delta.left, *delta.pooled)}
        expected = delta.apply(weights)[name]
        assert torch.equal(after.get_tensor(f"{name}.weight"), expected.half())
