"""Random weights in the published shapes: all three stages within one float32 copy of the model. Minutes, gigabytes.

    python -m pytest -m full_size -s
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mace_gov.core.memory import peak_memory
from mace_gov.diffusion.manifest import read_manifest, weight_files
from mace_gov.documents.plan import ClosedForm, GenerationSettings, PreserveSettings
from mace_gov.erase.delta import read_delta
from mace_gov.erase.engine import erase
from tests.conftest import write_tokenizer_files

CAPTIONS = ["a cat on the street", "a dog and a house", "a person in the middle", "art on the ground"]
UNETS = {
    "sd2": {"sample_size": 96, "attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024,
            "use_linear_projection": True},
    "sdxl": {"sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
             "use_linear_projection": True, "attention_head_dim": (5, 10, 20),
             "transformer_layers_per_block": (1, 2, 10), "addition_embed_type": "text_time",
             "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
             "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")},
}
TEXTS = {
    "sd2": [{"hidden_size": 1024, "num_hidden_layers": 23, "num_attention_heads": 16, "intermediate_size": 4096,
             "projection_dim": 512, "hidden_act": "gelu"}],
    "sdxl": [{"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
             {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120,
              "projection_dim": 1280, "hidden_act": "gelu"}],
}


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
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    write_tokenizer_files(folder / "words")
    tokenizer = CLIPTokenizer(str(folder / "words/vocab.json"), str(folder / "words/merges.txt"), model_max_length=77)
    index = {"_class_name": "StableDiffusionXLPipeline" if family == "sdxl" else "StableDiffusionPipeline",
             "scheduler": ["diffusers", "DDIMScheduler"], "unet": ["diffusers", "UNet2DConditionModel"],
             "vae": ["diffusers", "AutoencoderKL"], "feature_extractor": [None, None], "image_encoder": [None, None],
             **({} if family == "sdxl" else {"safety_checker": [None, None]})}
    for n, config in enumerate(TEXTS[family]):
        end, kind = ["", "_2"][n], (CLIPTextModel, CLIPTextModelWithProjection)[n]
        whole = CLIPTextConfig(vocab_size=49408, bos_token_id=tokenizer.bos_token_id,
                               eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id, **config)
        filled(lambda kind=kind, whole=whole: kind(whole)).save_pretrained(folder / f"text_encoder{end}")
        tokenizer.save_pretrained(folder / f"tokenizer{end}")
        for name in ("vocab.json", "merges.txt"):
            (folder / f"tokenizer{end}" / name).write_bytes((folder / "words" / name).read_bytes())
        index |= {f"text_encoder{end}": ["transformers", kind.__name__],
                  f"tokenizer{end}": ["transformers", "CLIPTokenizer"]}
    filled(lambda: UNet2DConditionModel(**UNETS[family])).save_pretrained(folder / "unet")
    filled(lambda: AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, sample_size=8 * UNETS[family]["sample_size"],
    )).save_pretrained(folder / "vae")
    DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
                  prediction_type="v_prediction" if family == "sd2" else "epsilon",
                  ).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index))
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
@pytest.mark.parametrize("family", UNETS)
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
