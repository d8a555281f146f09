"""Each family is told from its files, reads its own text and draws what its own pipeline draws."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion import generate
from mace_gov.diffusion.added_conditions import blank_conditions
from mace_gov.diffusion.families import anatomy
from mace_gov.diffusion.generate import draw, initial_noise, predict
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import GenerationSettings
from tests.conftest import WIDTHS, build_tiny_model

SETTINGS = GenerationSettings(steps=3, guidance=4.0, size=16, batch=4)


@pytest.fixture(scope="module")
def loaded(family_model):
    family, folder = family_model
    return family, load_pipeline(folder, device="cpu")


def test_the_family_is_told_from_the_files(family_model):
    family, folder = family_model
    manifest = read_manifest(str(folder))
    assert (manifest.family, manifest.text_width, manifest.image_size) == (family, sum(WIDTHS[family]), 16)


def test_it_draws_what_its_own_pipeline_draws(loaded, monkeypatch):
    monkeypatch.setattr(generate, "half_precision", lambda _device: nullcontext())  # as pipelines compute
    _, pipe = loaded
    noise = initial_noise(pipe, [torch.Generator().manual_seed(5)], 16)
    own = pipe("a ship", latents=noise, num_inference_steps=3, guidance_scale=4.0, height=16, width=16)
    theirs = np.asarray(own.images[0]).astype(int)
    (ours,) = draw(pipe, ["a ship"], [5], SETTINGS)
    assert np.abs(np.asarray(ours).astype(int) - theirs).max() <= 1


def test_text_states_have_the_joined_width_and_everything_is_frozen(loaded):
    family, pipe = loaded
    read = TextReader.of(pipe).conditions(["a ship", ""])
    assert read.states.shape == (2, 77, sum(WIDTHS[family]))
    if family == "sdxl":
        assert read.pooled.shape == (2, 40) and read.pooled[0].abs().max() > 0
        assert not read.states[1].any() and not read.pooled[1].any()  # SDXL's empty prompt is all zeros
        assert not any(p.requires_grad for p in pipe.text_encoder_2.parameters())
    else:
        assert read.pooled is None and read.states[1].any()


def test_blank_conditions_are_those_of_the_empty_prompt_and_an_sdxl_unet_is_not_called_without(loaded):
    family, pipe = loaded
    x, text = torch.ones(2, 4, 8, 8), TextReader.of(pipe).conditions(["a ship", "a dog"])
    with torch.no_grad():
        plain = pipe.unet(x, 10, encoder_hidden_states=text.states, **blank_conditions(pipe, x)).sample
        given = predict(pipe, x, torch.tensor(10), text)
        if family == "sdxl":
            empty = type(text)(text.states, torch.zeros_like(text.pooled))
            assert torch.allclose(plain, predict(pipe, x, torch.tensor(10), empty), atol=1e-6)
            assert not torch.allclose(plain, given, atol=1e-6)
            with pytest.raises(ValueError, match="text_embeds"):  # nothing is filled in silently
                pipe.unet(x, 10, encoder_hidden_states=text.states, added_cond_kwargs={})
        else:
            assert torch.allclose(plain, given, atol=1e-6)


def test_tokenizers_that_differ_are_refused(tmp_path):
    folder = build_tiny_model(tmp_path / "sdxl", family="sdxl", widths=WIDTHS["sdxl"])
    pipe = load_pipeline(folder, device="cpu")
    pipe.tokenizer_2.add_tokens(["ship-of-theseus"])
    with pytest.raises(ModelError, match="different vocabularies"):
        TextReader.of(pipe)


@pytest.fixture
def model(tiny_model, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.mark.parametrize(("key", "value", "told"), [
    ("in_channels", 9, "reads 9 channels, expected 4"),
    ("addition_embed_type", "image", "adds embeddings of type 'image', expected None for sd1"),
    ("encoder_hid_dim_type", "ip_image_proj", "another way than cross-attention"),
    ("dual_cross_attention", True, "two texts at once"),
])
def test_what_nobody_measured_is_refused_with_the_reason_and_the_flag(model, key, value, told):
    path = model / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=told) as refused:
        read_manifest(str(model))
    assert "--allow-unmeasured" in refused.value.hint
    assert read_manifest(str(model), unmeasured=True).family == "sd1"


def test_parts_that_do_not_fit_are_refused_whatever_is_allowed(model):
    path = model / "text_encoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_size": 48}))
    with pytest.raises(ModelError, match="cross-attention reads width 32, the text encoders give 48"):
        read_manifest(str(model), unmeasured=True)


@pytest.mark.parametrize("name", ["PixArtAlphaPipeline", "KandinskyV22Pipeline", "StableDiffusionInpaintPipeline",
                                  "StableCascadeDecoderPipeline", None])
def test_architectures_that_no_code_reads_are_refused_whatever_is_allowed(model, name):
    path = model / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": name}))
    with pytest.raises(ModelError, match=f"pipeline class {name!r} is not supported, expected StableDiffusionPipeline"):
        read_manifest(str(model), unmeasured=True)


def test_a_unet_that_text_does_not_reach_is_refused_whatever_is_allowed(model):
    path = model / "unet" / "config.json"
    without = {"down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2,
               "mid_block_type": "UNetMidBlock2D"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **without}))
    with pytest.raises(ModelError, match="has no cross-attention, its blocks are DownBlock2D, DownBlock2D, UNetMid"):
        read_manifest(str(model), unmeasured=True)


@pytest.mark.parametrize(("pipeline", "unet", "widths", "family", "width"), [
    ("StableDiffusionPipeline", {"cross_attention_dim": 768}, [768], "sd1", 768),
    ("StableDiffusionPipeline", {"cross_attention_dim": 1024, "use_linear_projection": True}, [1024], "sd2", 1024),
    ("StableDiffusionXLPipeline", {"cross_attention_dim": 2048, "addition_embed_type": "text_time",
                                   "use_linear_projection": True}, [768, 1280], "sdxl", 2048),
])
def test_published_configurations_are_measured_families(pipeline, unet, widths, family, width):
    found = anatomy(pipeline, unet, [{"hidden_size": each} for each in widths])
    assert (found.family, found.text_width, found.unmeasured) == (family, width, ())
